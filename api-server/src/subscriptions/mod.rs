//! What customers have bought: what they owe for it, until when, and what the cluster is told of it. What runs is the cluster's to say.

pub mod buy;
pub mod cancel;
pub mod life;
pub mod metrics;
pub mod offer;
pub mod period;
pub mod price;
pub mod progress;
pub mod quota;
pub mod sales;
pub mod store;
pub mod sweep;
pub mod work;

use crate::{clock, money::Rupiah};
use crds::plan::Period;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use uuid::Uuid;

/// When its owner is told that it takes long.
pub const SLOW: SignedDuration = SignedDuration::from_mins(5);
/// When administrators are told.
pub const ALERT: SignedDuration = SignedDuration::from_mins(15);
/// When what is still not there is given up, and the money goes back.
pub const GIVEN_UP: SignedDuration = SignedDuration::from_mins(60);
/// Until then the operator lets it run though nothing is activated: longer than until it is given up.
pub const FIRST_GRACE: SignedDuration = SignedDuration::from_mins(75);
/// How long it runs beyond what is paid for.
pub const GRACE: SignedDuration = SignedDuration::from_hours(3 * 24);
/// How long what was decided may be on its way to the cluster.
pub const ON_ITS_WAY: SignedDuration = SignedDuration::from_mins(2);
/// How long data is kept after an end: hours or days, as a resource says it.
pub const KEEP_FOR: &str = "14d";

/// How a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = SubscriptionStatus)]
pub enum Status {
    /// Paid, and not yet there for the first time.
    PendingDeployment,
    /// Paid for the present period.
    Active,
    /// Not paid, or held by an administrator; its data is kept.
    Suspended,
    /// Not paid for long: it is gone, its data is kept for a while.
    Expired,
    /// Called off: it is gone, its data is kept for a while.
    Cancelled,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::PendingDeployment, Self::Active, Self::Suspended, Self::Expired, Self::Cancelled];

    /// As the database has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PendingDeployment => "PENDING_DEPLOYMENT",
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::Expired => "EXPIRED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Reads what the database has.
    pub fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }

    /// Whether it is over.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Expired | Self::Cancelled)
    }
}

/// Who ended a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = SubscriptionEndedBy)]
pub enum EndedBy {
    /// Its owner.
    Customer,
    /// An administrator.
    Administrator,
    /// Nobody: a deadline.
    System,
}

impl EndedBy {
    /// As the database has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "CUSTOMER",
            Self::Administrator => "ADMINISTRATOR",
            Self::System => "SYSTEM",
        }
    }

    /// Reads what the database has.
    pub fn of(text: &str) -> Option<Self> {
        [Self::Customer, Self::Administrator, Self::System].into_iter().find(|one| one.as_str() == text)
    }
}

/// What an instance of a plan takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SubscriptionResources)]
pub struct Resources {
    /// CPU, in thousandths of a core.
    pub cpu_millicores: i64,
    /// Memory, in bytes.
    pub memory_bytes: i64,
    /// Storage, in bytes.
    pub storage_bytes: i64,
}

/// The period that is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paid {
    /// Since when.
    pub start: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// How one ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: EndedBy,
    /// The transaction that brings money back, if any does.
    pub refund_id: Option<Uuid>,
    /// Since when nothing of it can run any more.
    pub fenced_at: Option<Timestamp>,
}

/// How far the resource follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crossing {
    /// The resource's uid, once it is made.
    pub uid: Option<Uuid>,
    /// Counts what was decided here.
    pub desired_version: i64,
    /// What of it the cluster was told.
    pub applied_version: i64,
    /// The resource's generation then.
    pub applied_generation: Option<i64>,
    /// How often the next step has failed, one time after the other.
    pub failures: i32,
    /// When something was decided last, by the database's clock; none: this moment.
    pub decided_at: Option<Timestamp>,
}

impl Crossing {
    /// Whether what was decided should have come to the cluster by now: for a moment it is on its way.
    pub fn is_late(&self, now: Timestamp) -> bool {
        let is_over = |at| clock::after(at, ON_ITS_WAY) <= now;
        self.failures > 0 || self.decided_at.is_some_and(is_over)
    }
}

/// What somebody has bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The id.
    pub id: Uuid,
    /// Whose.
    pub user_id: Uuid,
    /// What its owner calls it.
    pub name: String,
    /// The app.
    pub service: String,
    /// The plan.
    pub plan: String,
    /// The app's settings as they were ordered.
    pub parameters: BTreeMap<String, String>,
    /// How long one payment lasts.
    pub period: Period,
    /// What one period costs.
    pub price: Rupiah,
    /// The tax in it.
    pub tax: Rupiah,
    /// What it may take.
    pub resources: Resources,
    /// Whether it is to be renewed by itself.
    pub auto_renew: bool,
    /// How it stands.
    pub status: Status,
    /// When it was bought.
    pub created_at: Timestamp,
    /// How many periods were begun.
    pub periods: i32,
    /// The day of the month that periods begin at.
    pub anchor_day: Option<i8>,
    /// The present period; none before the first.
    pub paid: Option<Paid>,
    /// How it ended.
    pub end: Option<End>,
    /// Whether its owner was told that it takes long.
    pub was_told_slow: bool,
    /// Whether administrators were.
    pub was_alerted: bool,
    /// How far the resource follows.
    pub crossing: Crossing,
}

impl Subscription {
    /// The name of its resource, which nothing else has.
    pub fn resource_name(&self) -> String {
        crds::names::instance_of_subscription(&self.service, &self.id.to_string())
    }

    /// The tenant that the resource belongs to.
    pub fn tenant(&self) -> String {
        crds::names::tenant_of_user(&self.user_id.to_string())
    }
}

/// How many of somebody's have not ended, or may still run. Whoever holds the lock of the wallet is told for sure.
///
/// # Errors
/// As the database's.
pub async fn live(db: &mut PgConnection, user_id: Uuid) -> Result<usize, sqlx::Error> {
    Ok(store::holdings(db, user_id).await?.len())
}

/// How many are read at a time.
const CHUNK: i64 = 500;

/// All subscriptions of somebody, the last first, but no more than `most`; and whether that is all of them.
///
/// # Errors
/// As the database's.
pub async fn all_of(
    db: &PgPool,
    user_id: Uuid,
    most: usize,
) -> Result<(Vec<Subscription>, bool), sqlx::Error> {
    let mut all: Vec<Subscription> = Vec::new();
    while all.len() <= most {
        let beyond = all.last().map(|last| last.id);
        let query = store::Query {
            user_id: Some(user_id),
            beyond,
            descending: true,
            limit: CHUNK,
            ..store::Query::default()
        };
        let chunk = store::list(db, &query).await?;
        if chunk.is_empty() {
            return Ok((all, true));
        }
        all.extend(chunk);
    }
    all.truncate(most);
    Ok((all, false))
}

/// By how much a version may be ahead of its row, as after a database was restored. What is further ahead somebody has written by hand, and
/// following it would leave no newer words.
const FAR_AHEAD: i64 = 1_000_000;

/// Whether a version of a resource is none that its row could ever have had.
pub fn is_far_ahead(told: i64, row: &Crossing) -> bool {
    told.saturating_sub(row.desired_version) > FAR_AHEAD
}

/// Why the cluster is not told again.
#[derive(Debug, thiserror::Error)]
pub enum RetellError {
    /// There is none.
    #[error("there is no such subscription")]
    NotFound,
    /// The version is none of ours.
    #[error(
        "version {above} is too far above the subscription's own, {desired}: somebody has written it by hand. Take the annotation {annotation} off its resource instead",
        annotation = crds::labels::BILLING_VERSION
    )]
    FarAhead {
        /// What was asked for.
        above: i64,
        /// What was decided here.
        desired: i64,
    },
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Has the cluster told once more what a subscription's resource is to say, in words newer than `above`.
///
/// # Errors
/// [`RetellError`].
pub async fn retell(db: &PgPool, id: Uuid, above: i64, now: Timestamp) -> Result<(), RetellError> {
    let row = store::find(db, id).await?.ok_or(RetellError::NotFound)?;
    if is_far_ahead(above, &row.crossing) {
        return Err(RetellError::FarAhead { above, desired: row.crossing.desired_version });
    }
    store::retell(db, id, None, above, now).await?;
    Ok(())
}

/// How all subscriptions stand.
///
/// # Errors
/// As the database's.
pub async fn standing(db: &PgPool, now: Timestamp) -> Result<metrics::Standing, sqlx::Error> {
    let by_status = store::standing(db).await?;
    let (late, unfenced, failing) =
        store::late(db, now, [ALERT, work::FENCE_LATE], work::FAILS_OFTEN).await?;
    Ok(metrics::Standing { by_status, late, unfenced, failing })
}
