//! Serving: from settings to a running process, and its end.

use crate::{
    catalog::availability::Counted,
    clock::Clock,
    cluster::{self, Cluster},
    config, db,
    http::{self, rate::Leases, streams::Streams},
    instances::usage::Readings,
    jobs::{registry::Registry, worker::Worker},
    ledger,
    mail::{
        self,
        sender::{Sender, SenderError},
    },
    metrics::Metrics,
    payments::{self, Payments, comparison, inbox, reconcile},
    secret_key::SecretKey,
    sessions::{cache::Cache, keys::Keys},
    state::State,
    subscriptions,
    users::password::{HashError, Hasher},
    wallet::queue::Queue,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long requests may take to end once the process is told to stop.
const GRACE: Duration = Duration::from_secs(12);
/// Between two looks at the signing keys.
const KEYS: Duration = Duration::from_mins(1);
/// Between two looks while there are none yet.
const KEYS_MISSING: Duration = Duration::from_secs(1);
/// Between two looks at how mails and payments stand, and between two times that what is counted by the minute begins anew.
const MINUTE: Duration = Duration::from_mins(1);

/// Everything it takes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The database.
    pub database: config::Database,
    /// HTTP.
    pub http: config::Http,
    /// Passwords.
    pub passwords: config::Passwords,
    /// Mail.
    pub mail: config::Mail,
    /// The payment gateway.
    pub midtrans: config::Midtrans,
    /// How people can pay.
    pub methods: config::PaymentMethods,
    /// On which terms is sold.
    pub billing: config::Billing,
    /// The installation's secret.
    pub secret: SecretKey,
}

/// Why the process can't start. A database that is away is no reason: it says so until it is back.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database's settings.
    #[error(transparent)]
    Database(#[from] db::DatabaseError),
    /// The parameters of passwords' hashes.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// Mail's settings.
    #[error(transparent)]
    Mail(#[from] SenderError),
    /// The settings of payments.
    #[error(transparent)]
    Payments(#[from] payments::SettingsError),
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It serves the API, and does background work.
    Both,
    /// It serves the API alone.
    Api,
    /// It does background work alone, and tells how it is.
    Worker,
}

/// What all requests share, and the sender of mail where a mail server is named.
///
/// # Errors
/// [`StartError`].
pub fn build(
    settings: Settings,
    cluster: Cluster,
    clock: Clock,
) -> Result<(Arc<State>, Option<Sender>), StartError> {
    let Settings { database, http, passwords, mail, midtrans, methods, billing, secret } = settings;
    let state = State {
        db: db::pool(&database.database_url, database.database_connections, database.statement_timeout())?,
        cluster,
        clock,
        secret,
        billing,
        http,
        hasher: Hasher::new(passwords)?,
        keys: Keys::default(),
        sessions: Cache::default(),
        leases: Leases::default(),
        metrics: Metrics::default(),
        payments: Payments::new(&midtrans, &methods)?,
        wallets: Queue::default(),
        counted: Counted::default(),
        readings: Readings::default(),
        streams: Streams::default(),
        stopping: CancellationToken::new(),
        subscriptions_are_due: tokio::sync::Notify::new(),
        mail_is_due: tokio::sync::Notify::new(),
        jobs_are_due: tokio::sync::Notify::new(),
    };
    Ok((Arc::new(state), Sender::new(&mail)?))
}

/// Serves until told to stop; then requests under way, mails under way and jobs under way are finished.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    state: Arc<State>,
    sender: Option<Sender>,
    role: Role,
    listener: TcpListener,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let work = TaskTracker::new();
    work.spawn(keep_keys(Arc::clone(&state), stop.clone()));
    work.spawn(cluster::watch::run(Arc::clone(&state), stop.clone()));
    work.spawn(begin_anew(Arc::clone(&state), stop.clone()));
    if role != Role::Api {
        do_background_work(&work, &state, sender, &stop)?;
    }
    work.close();
    let router = if role == Role::Worker { http::router_of_worker(&state) } else { http::router(&state) };
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
    let bound = async {
        stop.cancelled().await;
        // Whoever is told of something as it happens would never end by itself.
        state.stopping.cancel();
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = serving => served?,
        () = bound => tracing::warn!("requests that took too long to end were cut off"),
    }
    // A listener that failed stops the rest too.
    stop.cancel();
    if tokio::time::timeout(GRACE, work.wait()).await.is_err() {
        tracing::warn!("background work that took too long to end was cut off; it is done again");
    }
    state.db.close().await;
    Ok(())
}

/// Begins all that is done without being asked.
fn do_background_work(
    work: &TaskTracker,
    state: &Arc<State>,
    sender: Option<Sender>,
    stop: &CancellationToken,
) -> std::io::Result<()> {
    let worker = Worker::new(Arc::clone(state), Registry::standard()).map_err(std::io::Error::other)?;
    work.spawn(worker.run(stop.clone()));
    work.spawn(stand(Arc::clone(state), stop.clone()));
    if state.payments.gateway.is_some() {
        work.spawn(inbox::run(Arc::clone(state), stop.clone()));
        work.spawn(reconcile::run(Arc::clone(state), stop.clone()));
        work.spawn(comparison::run(Arc::clone(state), stop.clone()));
    } else {
        tracing::warn!("no server key of Midtrans is named: nobody can top up");
    }
    if state.cluster.is_there() {
        work.spawn(subscriptions::work::run(Arc::clone(state), stop.clone()));
    }
    work.spawn(ledger::watch::run(Arc::clone(state), stop.clone()));
    if let Some(sender) = sender {
        let (state, stop) = (Arc::clone(state), stop.clone());
        work.spawn(async move { sender.run(state, stop).await });
    } else {
        tracing::warn!(
            "no mail server is named (--smtp-url): mails are kept and none is sent by this process"
        );
    }
    Ok(())
}

async fn keep_keys(state: Arc<State>, stop: CancellationToken) {
    loop {
        let now = state.clock.now();
        if let Err(error) = state.keys.load(&state.db, &state.secret, now).await {
            tracing::warn!(%error, "the signing keys can't be read; those known so far stay");
        }
        let pause = if state.keys.is_ready(now) { KEYS } else { KEYS_MISSING };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Lets begin anew what this process counts by the minute.
async fn begin_anew(state: Arc<State>, stop: CancellationToken) {
    loop {
        state.payments.tidy();
        tokio::select! {
            () = tokio::time::sleep(MINUTE) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Tells how mails, payments and subscriptions stand.
async fn stand(state: Arc<State>, stop: CancellationToken) {
    loop {
        let now = state.clock.now();
        match mail::store::queue(&state.db, now).await {
            Ok(queue) => state.metrics.mails_stand(&queue),
            Err(error) => tracing::warn!(%error, "how mails stand can't be read; it is tried again"),
        }
        match payments::standing(&state.db, now).await {
            Ok(standing) => state.metrics.payments.stand(&standing),
            Err(error) => tracing::warn!(%error, "how payments stand can't be read; it is tried again"),
        }
        match subscriptions::standing(&state.db, now).await {
            Ok(standing) => state.metrics.subscriptions.stand(&standing),
            Err(error) => tracing::warn!(%error, "how subscriptions stand can't be read; it is tried again"),
        }
        tokio::select! {
            () = tokio::time::sleep(MINUTE) => {}
            () = stop.cancelled() => return,
        }
    }
}
