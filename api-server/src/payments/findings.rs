//! What an administrator must know of: payments that are not as they should be. Each is noted once, logged, counted, and stays until somebody
//! has settled it.

use super::store;
use crate::{random, state::State};
use jiff::Timestamp;
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// The gateway told something by itself that no notification had told.
pub const MISSED_NOTIFICATION: &str = "MISSED_NOTIFICATION";
/// What was credited is not known to the gateway.
pub const UNKNOWN_TO_GATEWAY: &str = "UNKNOWN_TO_GATEWAY";
/// The gateway refuses to make a page.
pub const PAGE_REFUSED: &str = "PAGE_REFUSED";
/// The gateway does not know our key.
pub const KEY_REFUSED: &str = "KEY_REFUSED";

/// A signed notification is about an order of our form that is not here.
pub const LOST_ORDER: &str = "LOST_ORDER";
/// The wallet of somebody who is deleted was credited.
pub const OWNER_DELETED: &str = "OWNER_DELETED";
/// It was tried again and again to learn and book how an order stands.
pub const UNSETTLED: &str = "UNSETTLED";

/// All of those; the others are a judge's.
pub const KINDS: &[&str] = &[
    MISSED_NOTIFICATION,
    UNKNOWN_TO_GATEWAY,
    PAGE_REFUSED,
    KEY_REFUSED,
    LOST_ORDER,
    OWNER_DELETED,
    UNSETTLED,
];

/// Something found.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// What, in capitals.
    pub kind: &'a str,
    /// About which thing; the same kind about the same thing is noted once.
    pub subject: &'a str,
    /// Of which top-up.
    pub top_up_id: Option<Uuid>,
    /// What helps whoever looks into it.
    pub detail: Value,
}

/// Notes it, in the transaction of what follows from it.
///
/// # Errors
/// As the database's.
pub async fn note(
    state: &State,
    db: &mut PgConnection,
    found: &Found<'_>,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let is_new = store::find(db, random::id(now), found, now).await?;
    if is_new {
        let Found { kind, subject, top_up_id, detail } = found;
        state.metrics.payments.found(kind);
        let top_up = top_up_id.map(tracing::field::display);
        tracing::warn!(kind, subject, top_up.id = top_up, %detail, "a payment is not as it should be");
    }
    Ok(is_new)
}

/// The same, by itself.
///
/// # Errors
/// As the database's.
pub async fn note_now(state: &State, found: &Found<'_>) -> Result<bool, sqlx::Error> {
    note(state, &mut *state.db.acquire().await?, found, state.clock.now()).await
}

/// A finding as it is kept.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Its id, which sorts by time.
    pub id: Uuid,
    /// What.
    pub kind: String,
    /// About which thing.
    pub subject: String,
    /// Of which top-up.
    pub top_up_id: Option<Uuid>,
    /// What helps whoever looks into it.
    pub detail: Value,
    /// When.
    pub found_at: Timestamp,
    /// When somebody settled it.
    pub settled_at: Option<Timestamp>,
    /// Who.
    pub settled_by: Option<Uuid>,
    /// What they did.
    pub note: Option<String>,
}

/// Which findings.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Of what kind.
    pub kind: Option<String>,
    /// Whether settled.
    pub settled: Option<bool>,
    /// Of which top-up.
    pub top_up_id: Option<Uuid>,
    /// Beyond which one.
    pub beyond: Option<Uuid>,
    /// Newest first.
    pub descending: bool,
    /// How many.
    pub limit: i64,
}

/// Findings.
///
/// # Errors
/// As the database's.
pub async fn list(db: &PgPool, query: &Query) -> Result<Vec<Finding>, sqlx::Error> {
    store::findings(db, query).await
}

/// One of them.
///
/// # Errors
/// As the database's.
pub async fn read(db: &PgPool, id: Uuid) -> Result<Option<Finding>, sqlx::Error> {
    store::finding(db, id).await
}

/// Says that one is settled; none where there is none that was not.
///
/// # Errors
/// As the database's.
pub async fn settle(
    db: &mut PgConnection,
    id: Uuid,
    by: Uuid,
    note: &str,
    now: Timestamp,
) -> Result<Option<Finding>, sqlx::Error> {
    store::settle_finding(db, id, by, note, now).await
}
