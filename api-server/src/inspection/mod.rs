//! Whether all that is said of money and apps agrees: the books, what was sold, what the cluster was told, and what the gateway holds. It
//! only reads. What differs is named with the call that mends it; work under way is no difference, since everything is looked at twice.

pub mod books;
pub mod gateway;
pub mod remedy;
pub mod report;
pub mod resources;
mod store;

use crate::{cluster::Cluster, payments::midtrans};
use jiff::Timestamp;
use remedy::Remedy;
use serde::Serialize;
use sqlx::PgPool;
use std::{collections::BTreeSet, time::Duration};

/// Between the two looks.
const MOMENT: Duration = Duration::from_secs(5);
/// How many differences of one part are kept; more of them say nothing new.
const MOST: usize = 1000;

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    /// A subscription is paid, and its resource is not there or may not run.
    PaidNotRunning,
    /// A resource may run, or for longer than that, and nobody has paid for it.
    RunningNotPaid,
    /// A resource says another plan than was sold.
    WrongPlan,
    /// A resource of billing's that no subscription has.
    Orphan,
    /// A resource was told something that its subscription has not come to yet: the database is older than the cluster.
    Overtaken,
    /// A subscription has ended for long, and its money still waits for what may run of it.
    RefundWaits,
    /// A subscription was bought, and nothing was paid for it.
    PurchaseMissing,
    /// A subscription was paid for more than once.
    PurchaseTooMany,
    /// What was paid for a subscription is not its price.
    PurchaseDiffers,
    /// Something was paid for a subscription that is not there.
    SubscriptionMissing,
    /// A subscription is over, and its money has not come back.
    RefundMissing,
    /// More comes back of a subscription than it cost.
    RefundTooLarge,
    /// Money came back of a subscription that does not know of it.
    RefundTooMany,
    /// The gateway does not hold what was credited.
    CreditedNotPaid,
    /// The gateway holds what was not credited.
    PaidNotCredited,
    /// The books do not agree with themselves.
    Books,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::PaidNotRunning,
        Self::RunningNotPaid,
        Self::WrongPlan,
        Self::Orphan,
        Self::Overtaken,
        Self::RefundWaits,
        Self::PurchaseMissing,
        Self::PurchaseTooMany,
        Self::PurchaseDiffers,
        Self::SubscriptionMissing,
        Self::RefundMissing,
        Self::RefundTooLarge,
        Self::RefundTooMany,
        Self::CreditedNotPaid,
        Self::PaidNotCredited,
        Self::Books,
    ];

    /// Its code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PaidNotRunning => "PAID_NOT_RUNNING",
            Self::RunningNotPaid => "RUNNING_NOT_PAID",
            Self::WrongPlan => "WRONG_PLAN",
            Self::Orphan => "ORPHAN",
            Self::Overtaken => "OVERTAKEN",
            Self::RefundWaits => "REFUND_WAITS",
            Self::PurchaseMissing => "PURCHASE_MISSING",
            Self::PurchaseTooMany => "PURCHASE_TOO_MANY",
            Self::PurchaseDiffers => "PURCHASE_DIFFERS",
            Self::SubscriptionMissing => "SUBSCRIPTION_MISSING",
            Self::RefundMissing => "REFUND_MISSING",
            Self::RefundTooLarge => "REFUND_TOO_LARGE",
            Self::RefundTooMany => "REFUND_TOO_MANY",
            Self::CreditedNotPaid => "CREDITED_NOT_PAID",
            Self::PaidNotCredited => "PAID_NOT_CREDITED",
            Self::Books => "BOOKS",
        }
    }
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What.
    pub kind: Kind,
    /// About what: `subscription 0192…`, `serviceinstance customer-u0192…/ghost-abc`, `order tu-0192…`, `transaction TXMP-101`.
    pub subject: String,
    /// What should be.
    pub expected: String,
    /// What is.
    pub found: String,
    /// What mends it.
    pub mend: Remedy,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The books by themselves.
    Books,
    /// What was sold and what was paid for it.
    Sales,
    /// Subscriptions and the cluster's resources.
    Cluster,
    /// Top-ups and the gateway.
    Gateway,
}

impl Part {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Books => "books",
            Self::Sales => "sales",
            Self::Cluster => "cluster",
            Self::Gateway => "gateway",
        }
    }
}

/// One thing that is as somebody means it, though nothing that was sold accounts for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Meant {
    /// What, as in [`Difference::subject`].
    pub subject: String,
    /// Why, by whoever means it.
    pub because: String,
}

/// What one part came to.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// How many things were looked at.
    pub count: u64,
    /// What differs.
    pub differences: Vec<Difference>,
    /// What would differ, and is meant so.
    pub meant: Vec<Meant>,
    /// What could not be looked at of it, and why.
    pub missed: Vec<String>,
}

/// Why a part could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum InspectionError {
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] crate::cluster::CallError),
    /// The gateway.
    #[error(transparent)]
    Gateway(#[from] midtrans::CallError),
    /// There are payments, and nobody to ask about them.
    #[error("no server key of Midtrans is named, and there are payments of that time")]
    NoGateway,
}

/// What is compared.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The database.
    pub db: &'a PgPool,
    /// The cluster; none: it is not looked at.
    pub cluster: Option<&'a Cluster>,
    /// The gateway.
    pub gateway: Option<&'a midtrans::Client>,
    /// Payments begun or changed since are asked about.
    pub since: Timestamp,
    /// The time.
    pub now: Timestamp,
}

/// One part, as far as it was looked at.
#[derive(Debug)]
pub struct Outcome {
    /// Which.
    pub part: Part,
    /// What it came to, or why it could not be looked at; none: it was not to be.
    pub looked: Option<Result<Looked, InspectionError>>,
}

/// Looks at everything, and once more at what differed.
pub async fn inspect(sources: Sources<'_>) -> Vec<Outcome> {
    let mut all = Vec::new();
    for part in [Part::Books, Part::Sales, Part::Cluster, Part::Gateway] {
        let looked = match part {
            Part::Cluster if sources.cluster.is_none() => None,
            _ => Some(twice(sources, part).await),
        };
        all.push(Outcome { part, looked });
    }
    all
}

/// What differs both times.
async fn twice(sources: Sources<'_>, part: Part) -> Result<Looked, InspectionError> {
    let first = look(sources, part, None).await?;
    if first.differences.is_empty() {
        return Ok(first);
    }
    tokio::time::sleep(MOMENT).await;
    let name = |one: &Difference| (one.kind, one.subject.clone());
    let before: BTreeSet<_> = first.differences.iter().map(name).collect();
    let again = look(sources, part, Some(&before)).await?;
    let is_still = |one: &Difference| before.contains(&name(one));
    let differences = again.differences.into_iter().filter(is_still).take(MOST).collect();
    // What can't be looked at most often can't be either time.
    let missed: BTreeSet<String> = first.missed.into_iter().chain(again.missed).collect();
    let missed = missed.into_iter().collect();
    Ok(Looked { count: first.count, differences, meant: again.meant, missed })
}

async fn look(
    sources: Sources<'_>,
    part: Part,
    only: Option<&BTreeSet<(Kind, String)>>,
) -> Result<Looked, InspectionError> {
    let Sources { db, cluster, gateway, since, now } = sources;
    match (part, cluster) {
        (Part::Books, _) => Ok(books::books(db).await?),
        (Part::Sales, _) => Ok(books::sales(db).await?),
        (Part::Cluster, Some(cluster)) => resources::look(db, cluster, now).await,
        (Part::Cluster, None) => Ok(Looked::default()),
        (Part::Gateway, _) => Ok(gateway::look(db, gateway, since, only).await),
    }
}
