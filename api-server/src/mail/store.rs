//! All SQL about mail.

use super::{Kind, New};
use crate::db::planned_anew;
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor, PgPool};
use utoipa::ToSchema;
use uuid::Uuid;

/// In the place of an address that is not kept.
pub const NOBODY: &str = "deleted";

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
    /// Since when it was to be sent.
    pub due_at: Timestamp,
    /// Until when it is ours alone.
    pub lease: Timestamp,
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
        "with due as (select id, next_attempt_at from emails where status = 'PENDING' and next_attempt_at <= $1 and kind = any($4)
                      order by next_attempt_at limit $3 for update skip locked)
         update emails set next_attempt_at = $2, attempts = attempts + 1
         from due where emails.id = due.id
         returning emails.id, message_id, user_id, recipient, kind, language, data, attempts,
                   due.next_attempt_at as due_at, emails.next_attempt_at as lease",
        Time::from(now) as _,
        Time::from(lease) as _,
        count,
        &kinds as &[&str],
    )
    .fetch_all(db)
    .await
}

/// Notes that a mail was taken by the mail server, whatever another sender has noted of it meanwhile.
///
/// # Errors
/// As the database's.
pub async fn sent(db: impl PgExecutor<'_>, id: Uuid, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update emails set status = 'SENT', sent_at = $2, last_error = null,
                recipient = case when kind = 'ACCOUNT_DELETED' then 'deleted' else recipient end,
                data = case when kind = 'ACCOUNT_DELETED' then '{}' else data end
         where id = $1 and status in ('PENDING', 'DEAD')",
        id,
        Time::from(now) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Notes that a mail is not to be sent after all, unless it is another sender's by now. An address that nobody has proven may be
/// a stranger's, who never asked us to keep it.
///
/// # Errors
/// As the database's.
pub async fn discard(db: impl PgExecutor<'_>, due: &Due, why: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update emails set status = 'DISCARDED', last_error = $2,
                recipient = case when user_id is null or kind = 'CHANGE_EMAIL' then $4 else recipient end,
                data = case when user_id is null or kind = 'CHANGE_EMAIL' then '{}' else data end
         where id = $1 and status = 'PENDING' and next_attempt_at = $3",
        due.id,
        why,
        Time::from(due.lease) as _,
        NOBODY,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Notes a try that failed: when the next one is, or that there is none. Not where the mail is another sender's by now, or was sent
/// once more.
///
/// # Errors
/// As the database's.
pub async fn failed(
    db: impl PgExecutor<'_>,
    due: &Due,
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
         where id = $1 and status = 'PENDING' and next_attempt_at = $4",
        due.id,
        error,
        next.map(Time::from) as _,
        Time::from(due.lease) as _,
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

/// What became of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = EmailStatus)]
pub enum Status {
    /// It goes out when its time has come.
    Pending,
    /// The mail server has taken it.
    Sent,
    /// It was given up.
    Dead,
    /// It was not to go out after all.
    Discarded,
}

impl Status {
    /// As the database has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Sent => "SENT",
            Self::Dead => "DEAD",
            Self::Discarded => "DISCARDED",
        }
    }

    fn of(text: &str) -> Self {
        match text {
            "SENT" => Self::Sent,
            "DEAD" => Self::Dead,
            "DISCARDED" => Self::Discarded,
            _ => Self::Pending,
        }
    }
}

/// A mail as administrators see it: never what it says, for that may open an account.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its id.
    pub id: Uuid,
    /// The same at every try.
    pub message_id: String,
    /// To which user, where it is known.
    pub user_id: Option<Uuid>,
    /// To which address; `deleted` where it is not kept.
    pub recipient: String,
    /// About what.
    pub kind: String,
    /// In which language.
    pub language: String,
    /// What became of it.
    pub status: Status,
    /// How often it was tried.
    pub attempts: i32,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it is tried next, where it is to be.
    pub next_attempt_at: Option<Timestamp>,
    /// When the mail server took it.
    pub sent_at: Option<Timestamp>,
    /// What went wrong last.
    pub last_error: Option<String>,
}

struct Row {
    id: Uuid,
    message_id: String,
    user_id: Option<Uuid>,
    recipient: String,
    kind: String,
    language: String,
    status: String,
    attempts: i32,
    created_at: Time,
    next_attempt_at: Time,
    sent_at: Option<Time>,
    last_error: Option<String>,
}

impl From<Row> for Delivery {
    fn from(row: Row) -> Self {
        let status = Status::of(&row.status);
        Self {
            id: row.id,
            message_id: row.message_id,
            user_id: row.user_id,
            recipient: row.recipient,
            kind: row.kind,
            language: row.language,
            status,
            attempts: row.attempts,
            created_at: row.created_at.into(),
            next_attempt_at: (status == Status::Pending).then(|| row.next_attempt_at.into()),
            sent_at: row.sent_at.map(Into::into),
            last_error: row.last_error,
        }
    }
}

/// Which mails.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// To whom.
    pub user_id: Option<Uuid>,
    /// To which address.
    pub recipient: Option<String>,
    /// About what.
    pub kind: Option<&'static str>,
    /// What became of them.
    pub status: Option<Status>,
    /// Beyond which mail.
    pub beyond: Option<Uuid>,
    /// Newest first.
    pub descending: bool,
    /// How many.
    pub limit: i64,
}

/// Mails in the order in which they were written.
///
/// # Errors
/// As the database's.
pub async fn list(db: &PgPool, query: &Query) -> Result<Vec<Delivery>, sqlx::Error> {
    let mut db = planned_anew(db).await?;
    let rows = sqlx::query_as!(
        Row,
        "select id, message_id, user_id, recipient, kind, language, status, attempts, created_at, next_attempt_at, sent_at, last_error
         from emails
         where ($1::uuid is null or user_id = $1) and ($2::text is null or recipient = $2)
           and ($3::text is null or kind = $3) and ($4::text is null or status = $4)
           and ($5::uuid is null or case when $6 then id < $5 else id > $5 end)
         order by case when $6 then id end desc, id limit $7",
        query.user_id,
        query.recipient,
        query.kind,
        query.status.map(Status::as_str),
        query.beyond,
        query.descending,
        query.limit,
    )
    .fetch_all(&mut *db)
    .await?;
    db.rollback().await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// One mail.
///
/// # Errors
/// As the database's.
pub async fn find(db: &PgPool, id: Uuid) -> Result<Option<Delivery>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "select id, message_id, user_id, recipient, kind, language, status, attempts, created_at, next_attempt_at, sent_at, last_error
         from emails where id = $1",
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Into::into))
}

/// Locks one mail.
///
/// # Errors
/// As the database's.
pub async fn lock(db: &mut PgConnection, id: Uuid) -> Result<Option<Delivery>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "select id, message_id, user_id, recipient, kind, language, status, attempts, created_at, next_attempt_at, sent_at, last_error
         from emails where id = $1 for update",
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Into::into))
}

/// How mails stand.
#[derive(Clone, Debug)]
pub struct Queue {
    /// How many there are of each status.
    pub by_status: [(&'static str, i64); 4],
    /// How long ago the oldest was written of those that have yet to go out, in seconds.
    pub oldest_pending_seconds: i64,
}

/// Counts mails.
///
/// # Errors
/// As the database's.
pub async fn queue(db: &PgPool, now: Timestamp) -> Result<Queue, sqlx::Error> {
    let row = sqlx::query!(
        "select count(*) filter (where status = 'PENDING') as \"pending!\",
                count(*) filter (where status = 'SENT') as \"sent!\",
                count(*) filter (where status = 'DEAD') as \"dead!\",
                count(*) filter (where status = 'DISCARDED') as \"discarded!\",
                coalesce(extract(epoch from $1 - min(created_at) filter (where status = 'PENDING')), 0)::bigint as \"waits!\"
         from emails",
        Time::from(now) as _,
    )
    .fetch_one(db)
    .await?;
    let by_status = [
        (Status::Pending.as_str(), row.pending),
        (Status::Sent.as_str(), row.sent),
        (Status::Dead.as_str(), row.dead),
        (Status::Discarded.as_str(), row.discarded),
    ];
    Ok(Queue { by_status, oldest_pending_seconds: row.waits.max(0) })
}

/// Lets a mail go out now, as if it had not been tried yet.
///
/// # Errors
/// As the database's.
pub async fn again(db: &mut PgConnection, id: Uuid, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update emails set status = 'PENDING', attempts = 0, next_attempt_at = $2, sent_at = null, last_error = null where id = $1",
        id,
        Time::from(now) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Takes away mails that were written before and have come to their end; so many at a time.
///
/// # Errors
/// As the database's.
pub async fn forget_old(db: &PgPool, before: Timestamp) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "delete from emails where id in (
             select id from emails where created_at < $1 and status <> 'PENDING' order by created_at, id limit 1000)",
        Time::from(before) as _,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}
