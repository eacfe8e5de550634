//! All SQL about the audit log.

use super::{Actor, Entry};
use crate::db::planned_anew;
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// A line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its id, which sorts by time.
    pub id: Uuid,
    /// When.
    pub at: Timestamp,
    /// Who; none: the command line.
    pub actor_id: Option<Uuid>,
    /// From where.
    pub address: Option<String>,
    /// The verb.
    pub action: String,
    /// The kind of thing.
    pub entity_type: String,
    /// Which of them.
    pub entity_id: String,
    /// What it was like.
    pub before: Option<Value>,
    /// What it is like.
    pub after: Option<Value>,
    /// Why.
    pub reason: Option<String>,
    /// By which request.
    pub request_id: Option<String>,
}

pub(super) async fn insert(
    db: &mut PgConnection,
    id: Uuid,
    actor: &Actor,
    entry: Entry<'_>,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let Entry { action, entity_type, entity_id, before, after, reason } = entry;
    let Actor { user_id, address, request_id } = actor;
    sqlx::query!(
        "insert into audit_log (id, at, actor_id, address, action, entity_type, entity_id, before, after, reason, request_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        id,
        Time::from(now) as _,
        *user_id,
        address.as_deref(),
        action,
        entity_type,
        entity_id,
        before,
        after,
        reason,
        request_id.as_deref(),
    )
    .execute(db)
    .await
    .map(drop)
}

/// Which lines.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Of whom.
    pub actor_id: Option<Uuid>,
    /// Which verb.
    pub action: Option<String>,
    /// About which kind of thing.
    pub entity_type: Option<String>,
    /// About which of them.
    pub entity_id: Option<String>,
    /// Beyond which line.
    pub beyond: Option<Uuid>,
    /// Newest first.
    pub descending: bool,
    /// How many.
    pub limit: i64,
}

/// Lines of the log.
///
/// # Errors
/// As the database's.
pub async fn list(db: &PgPool, query: &Query) -> Result<Vec<Line>, sqlx::Error> {
    let mut db = planned_anew(db).await?;
    let rows = sqlx::query!(
        "select id, at, actor_id, address, action, entity_type, entity_id, before, after, reason, request_id from audit_log
         where ($1::uuid is null or actor_id = $1) and ($2::text is null or action = $2)
           and ($3::text is null or entity_type = $3) and ($4::text is null or entity_id = $4)
           and ($5::uuid is null or case when $6 then id < $5 else id > $5 end)
         order by case when $6 then id end desc, id limit $7",
        query.actor_id,
        query.action,
        query.entity_type,
        query.entity_id,
        query.beyond,
        query.descending,
        query.limit,
    )
    .fetch_all(&mut *db)
    .await?;
    db.rollback().await?;
    Ok(rows
        .into_iter()
        .map(|row| Line {
            id: row.id,
            at: row.at.into(),
            actor_id: row.actor_id,
            address: row.address,
            action: row.action,
            entity_type: row.entity_type,
            entity_id: row.entity_id,
            before: row.before,
            after: row.after,
            reason: row.reason,
            request_id: row.request_id,
        })
        .collect())
}
