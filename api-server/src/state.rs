//! What all requests share.

use crate::{
    catalog::availability::Counted,
    clock::Clock,
    cluster::Cluster,
    config,
    http::{rate::Leases, streams::Streams},
    instances::usage::Readings,
    metrics::Metrics,
    payments::Payments,
    secret_key::SecretKey,
    sessions::{cache::Cache, keys::Keys},
    users::password::Hasher,
    wallet::queue::Queue,
};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// What all requests share.
#[derive(Debug)]
pub struct State {
    /// The database, as the application's role.
    pub db: PgPool,
    /// The cluster.
    pub cluster: Cluster,
    /// The time.
    pub clock: Clock,
    /// The installation's secret.
    pub secret: SecretKey,
    /// On which terms is sold.
    pub billing: config::Billing,
    /// Settings of the HTTP side.
    pub http: config::Http,
    /// Hashes passwords.
    pub hasher: Hasher,
    /// The keys of access tokens.
    pub keys: Keys,
    /// Sessions that were good a moment ago.
    pub sessions: Cache,
    /// Requests that limits have left for this replica, and who has none left.
    pub leases: Leases,
    /// What is counted.
    pub metrics: Metrics,
    /// What payments need.
    pub payments: Payments,
    /// Where requests wait whose wallet another is changing.
    pub wallets: Queue,
    /// What was sold a moment ago, for the shop window.
    pub counted: Counted,
    /// What apps used a moment ago.
    pub readings: Readings,
    /// Who is told of something as it happens.
    pub streams: Streams,
    /// Said when the process is about to end.
    pub stopping: CancellationToken,
    /// Wakes whoever looks after subscriptions in this process.
    pub subscriptions_are_due: tokio::sync::Notify,
    /// Wakes the sender of mail in this process.
    pub mail_is_due: tokio::sync::Notify,
    /// Wakes the worker in this process.
    pub jobs_are_due: tokio::sync::Notify,
}
