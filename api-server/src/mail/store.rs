//! All SQL about mail.

use super::{Kind, New};
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
    // What a newer version has queued is left to it.
    let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    sqlx::query_as!(
        Due,
        "update emails set next_attempt_at = $2, attempts = attempts + 1
         where id in (select id from emails where status = 'PENDING' and next_attempt_at <= $1 and kind = any($4)
                      order by next_attempt_at limit $3 for update skip locked)
         returning id, message_id, user_id, recipient, kind, language, data, attempts",
        Time::from(now) as _,
        Time::from(lease) as _,
        count,
        &kinds as &[&str],
    )
    .fetch_all(db)
    .await
}

/// Notes that a mail was taken by the mail server.
///
/// # Errors
/// As the database's.
pub async fn sent(db: impl PgExecutor<'_>, id: Uuid, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update emails set status = 'SENT', sent_at = $2, last_error = null,
                recipient = case when kind = 'ACCOUNT_DELETED' then 'deleted' else recipient end,
                data = case when kind = 'ACCOUNT_DELETED' then '{}' else data end
         where id = $1 and status = 'PENDING'",
        id,
        Time::from(now) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Notes that a mail is not to be sent after all. Its address may be a stranger's, who never asked us to keep it.
///
/// # Errors
/// As the database's.
pub async fn discard(db: impl PgExecutor<'_>, id: Uuid, why: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("update emails set status = 'DISCARDED', last_error = $2, recipient = 'deleted', data = '{}' where id = $1", id, why)
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
        "update emails set status = case when $3::timestamptz is null then 'DEAD' else status end,
                next_attempt_at = coalesce($3, next_attempt_at),
                last_error = case when kind = 'ACCOUNT_DELETED' then 'not said' else $2 end,
                recipient = case when kind = 'ACCOUNT_DELETED' and $3 is null then 'deleted' else recipient end,
                data = case when kind = 'ACCOUNT_DELETED' and $3 is null then '{}' else data end
         where id = $1 and status = 'PENDING'",
        id,
        error,
        next.map(Time::from) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Takes address and content off the mails to a user and to their address; those that have not gone out never will.
///
/// # Errors
/// As the database's.
pub async fn forget(db: &mut PgConnection, user: Uuid, address: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update emails set recipient = 'deleted', data = '{}', last_error = null,
                status = case when status = 'PENDING' then 'DISCARDED' else status end
         where user_id = $1 or recipient = $2",
        user,
        address,
    )
    .execute(db)
    .await
    .map(drop)
}
