//! Who did what: every change by an administrator, in the transaction of the change; and what owners do to their apps in the cluster.

mod store;

use crate::{http::request::ClientAddress, random, sessions::Principal};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
pub use store::{Line, Query, list};
use uuid::Uuid;

/// Who changes something, and by which request.
#[derive(Clone, Debug)]
pub struct Actor {
    /// Whose request it is; none: the command line.
    pub user_id: Option<Uuid>,
    /// From where.
    pub address: Option<String>,
    /// By which request.
    pub request_id: Option<String>,
}

impl Actor {
    /// Somebody's request.
    pub fn of(principal: &Principal, address: ClientAddress, request_id: String) -> Self {
        Self {
            user_id: Some(principal.user_id),
            address: Some(address.0.to_string()),
            request_id: Some(request_id),
        }
    }

    /// Whoever may start the program.
    pub fn command_line() -> Self {
        Self { user_id: None, address: None, request_id: None }
    }
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The verb: `user.deactivate`.
    pub action: &'static str,
    /// The kind of thing: `user`.
    pub entity_type: &'static str,
    /// Which of them.
    pub entity_id: &'a str,
    /// What it was like; none: it was not there.
    pub before: Option<Value>,
    /// What it is like; none: it is gone.
    pub after: Option<Value>,
    /// Why, in the administrator's words.
    pub reason: Option<&'a str>,
}

/// A thing as the log keeps it.
pub fn value(thing: &impl Serialize) -> Option<Value> {
    serde_json::to_value(thing).ok()
}

/// Writes a line.
///
/// # Errors
/// As the database's.
pub async fn record(
    db: &mut PgConnection,
    actor: &Actor,
    entry: Entry<'_>,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    store::insert(db, random::id(now), actor, entry, now).await
}
