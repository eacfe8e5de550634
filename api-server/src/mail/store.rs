//! All SQL about mail.

use super::New;
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

/// A mail that is to be sent now.
#[derive(Clone, Debug)]
pub struct Due {
    /// Its id.
    pub id: Uuid,
    /// The same at every try.
    pub message_id: String,
    /// To which user, where it is known.
    pub user_id: Option<Uuid>,
    /// To which address.
    pub recipient: String,
    /// About what.
    pub kind: String,
    /// In which language.
    pub language: String,
    /// What the text needs.
    pub data: Value,
    /// Which try this is, from 1 on.
    pub attempts: i32,
}

pub(super) async fn insert(
    db: &mut PgConnection,
    id: Uuid,
    new: &New,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into emails (id, message_id, user_id, recipient, kind, language, data, created_at, next_attempt_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
        id,
        format!("{}@nakhoda", id.simple()),
        new.user_id,
        new.recipient,
        new.kind.as_str(),
        new.language.as_str(),
        new.data,
        Time::from(now) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Takes mails that are due. Until `lease` nobody else takes them.
///
/// # Errors
/// As the database's.
pub async fn take(
    db: &PgPool,
    count: i64,
    now: Timestamp,
    lease: Timestamp,
) -> Result<Vec<Due>, sqlx::Error> {
    sqlx::query_as!(
        Due,
        "update emails set next_attempt_at = $2, attempts = attempts + 1
         where id in (select id from emails where status = 'PENDING' and next_attempt_at <= $1
                      order by next_attempt_at limit $3 for update skip locked)
         returning id, message_id, user_id, recipient, kind, language, data, attempts",
        Time::from(now) as _,
        Time::from(lease) as _,
        count,
    )
    .fetch_all(db)
    .await
}

/// When the next is due.
///
/// # Errors
/// As the database's.
pub async fn next_due(db: &PgPool) -> Result<Option<Timestamp>, sqlx::Error> {
    let next = sqlx::query_scalar!("select min(next_attempt_at) from emails where status = 'PENDING'");
    Ok(next.fetch_one(db).await?.map(Into::into))
}

/// Notes that a mail was taken by the mail server.
///
/// # Errors
/// As the database's.
pub async fn sent(db: impl PgExecutor<'_>, id: Uuid, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update emails set status = 'SENT', sent_at = $2, last_error = null where id = $1 and status = 'PENDING'",
        id,
        Time::from(now) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Notes that a mail is not to be sent after all.
///
/// # Errors
/// As the database's.
pub async fn discard(db: impl PgExecutor<'_>, id: Uuid, why: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("update emails set status = 'DISCARDED', last_error = $2 where id = $1", id, why)
        .execute(db)
        .await
        .map(drop)
}

/// Notes a try that failed: when the next one is, or that there is none.
///
/// # Errors
/// As the database's.
pub async fn failed(
    db: impl PgExecutor<'_>,
    id: Uuid,
    error: &str,
    next: Option<Timestamp>,
) -> Result<(), sqlx::Error> {
    let error: String = error.chars().take(1000).collect();
    sqlx::query!(
        "update emails set last_error = $2, status = case when $3::timestamptz is null then 'DEAD' else status end,
                next_attempt_at = coalesce($3, next_attempt_at)
         where id = $1 and status = 'PENDING'",
        id,
        error,
        next.map(Time::from) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Takes address and content off a user's mails; those that have not gone out never will.
///
/// # Errors
/// As the database's.
pub async fn forget(db: &mut PgConnection, user: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update emails set recipient = 'deleted', data = '{}', status = case when status = 'PENDING' then 'DISCARDED' else status end
         where user_id = $1",
        user,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Takes address and content off one mail that was the last word to a user.
///
/// # Errors
/// As the database's.
pub async fn forget_one(db: impl PgExecutor<'_>, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("update emails set recipient = 'deleted', data = '{}' where id = $1", id)
        .execute(db)
        .await
        .map(drop)
}
