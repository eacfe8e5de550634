//! All SQL about sessions.

use super::Principal;
use crate::users::Role;
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// Its holder logged out.
    Logout,
    /// Its user ended it from the list.
    EndedByUser,
    /// A refresh token of it was used twice.
    ReusedToken,
    /// The password was changed or reset.
    PasswordChanged,
    /// The address was changed.
    EmailChanged,
    /// The account was deactivated.
    Deactivated,
    /// The account was deleted.
    Deleted,
}

impl EndReason {
    fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "LOGOUT",
            Self::EndedByUser => "ENDED_BY_USER",
            Self::ReusedToken => "REUSED_TOKEN",
            Self::PasswordChanged => "PASSWORD_CHANGED",
            Self::EmailChanged => "EMAIL_CHANGED",
            Self::Deactivated => "DEACTIVATED",
            Self::Deleted => "DELETED",
        }
    }
}

/// A session as its user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: Uuid,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was refreshed last.
    pub last_used_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// The browser or program, as it calls itself.
    pub user_agent: Option<String>,
    /// Where it was used last.
    pub address: Option<String>,
}

/// A session as a refresh token finds it.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) principal: Principal,
    pub(super) expires_at: Timestamp,
    pub(super) last_used_at: Timestamp,
    /// Ended, or its user may not any more.
    pub(super) ended: bool,
}

/// What using a refresh token found.
#[derive(Clone, Debug)]
pub(super) enum Used {
    /// It was good.
    First(Standing),
    /// It had been used.
    Again { standing: Standing, used_at: Timestamp },
}

pub(super) async fn insert(
    db: &mut PgConnection,
    id: Uuid,
    user: Uuid,
    now: Timestamp,
    expires_at: Timestamp,
    address: &str,
    user_agent: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into sessions (id, user_id, created_at, last_used_at, expires_at, address, user_agent) values ($1, $2, $3, $3, $4, $5, $6)",
        id,
        user,
        Time::from(now) as _,
        Time::from(expires_at) as _,
        address,
        user_agent,
    )
    .execute(db)
    .await
    .map(drop)
}

pub(super) async fn insert_token(
    db: &mut PgConnection,
    digest: &[u8; 32],
    session: Uuid,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into refresh_tokens (digest, session_id, issued_at) values ($1, $2, $3)",
        digest.as_slice(),
        session,
        Time::from(now) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Whose the session is, where it stands and its user may use it.
pub(super) async fn principal(
    db: &PgPool,
    session: Uuid,
    now: Timestamp,
) -> Result<Option<Principal>, sqlx::Error> {
    let row = sqlx::query!(
        "select u.id, u.role from sessions s join users u on u.id = s.user_id
         where s.id = $1 and s.ended_at is null and s.expires_at > $2 and u.deactivated_at is null",
        session,
        Time::from(now) as _,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| Principal { user_id: row.id, session_id: session, role: Role::of(&row.role) }))
}

/// Marks a token as used, once. Of two at the same time the second waits here and then finds it used.
pub(super) async fn use_token(
    db: &mut PgConnection,
    digest: &[u8; 32],
    now: Timestamp,
) -> Result<Option<Used>, sqlx::Error> {
    let first = sqlx::query_scalar!(
        "update refresh_tokens set used_at = $2 where digest = $1 and used_at is null returning session_id",
        digest.as_slice(),
        Time::from(now) as _,
    )
    .fetch_optional(&mut *db)
    .await?;
    let row = sqlx::query!(
        "select s.id, s.user_id, u.role, s.expires_at, s.last_used_at, t.used_at,
                (s.ended_at is not null or u.deactivated_at is not null) as \"ended!\"
         from refresh_tokens t join sessions s on s.id = t.session_id join users u on u.id = s.user_id
         where t.digest = $1",
        digest.as_slice(),
    )
    .fetch_optional(&mut *db)
    .await?;
    Ok(row.map(|row| {
        let standing = Standing {
            principal: Principal { user_id: row.user_id, session_id: row.id, role: Role::of(&row.role) },
            expires_at: row.expires_at.into(),
            last_used_at: row.last_used_at.into(),
            ended: row.ended,
        };
        match (first, row.used_at) {
            (None, Some(used_at)) => Used::Again { standing, used_at: used_at.into() },
            _ => Used::First(standing),
        }
    }))
}

pub(super) async fn is_used(db: &mut PgConnection, digest: &[u8; 32]) -> Result<bool, sqlx::Error> {
    let used = sqlx::query_scalar!(
        "select exists (select from refresh_tokens where digest = $1 and used_at is not null) as \"used!\"",
        digest.as_slice(),
    );
    used.fetch_one(db).await
}

pub(super) async fn touch(
    db: &mut PgConnection,
    session: Uuid,
    address: &str,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update sessions set last_used_at = $2, address = $3 where id = $1",
        session,
        Time::from(now) as _,
        address,
    )
    .execute(db)
    .await
    .map(drop)
}

pub(super) async fn session_of(
    db: &mut PgConnection,
    digest: &[u8; 32],
) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar!("select session_id from refresh_tokens where digest = $1", digest.as_slice())
        .fetch_optional(db)
        .await
}

/// Ends a session; one that has ended keeps its reason.
///
/// # Errors
/// As the database's.
pub async fn end(
    db: &mut PgConnection,
    session: Uuid,
    reason: EndReason,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update sessions set ended_at = $2, end_reason = $3 where id = $1 and ended_at is null",
        session,
        Time::from(now) as _,
        reason.as_str(),
    )
    .execute(db)
    .await
    .map(drop)
}

/// Ends all of a user's sessions but one.
///
/// # Errors
/// As the database's.
pub async fn end_all(
    db: &mut PgConnection,
    user: Uuid,
    but: Option<Uuid>,
    reason: EndReason,
    now: Timestamp,
) -> Result<u64, sqlx::Error> {
    let ended = sqlx::query!(
        "update sessions set ended_at = $2, end_reason = $3 where user_id = $1 and ended_at is null and id is distinct from $4",
        user,
        Time::from(now) as _,
        reason.as_str(),
        but,
    );
    Ok(ended.execute(db).await?.rows_affected())
}

/// A user's sessions that stand, newest first.
///
/// # Errors
/// As the database's.
pub async fn list(
    db: impl PgExecutor<'_>,
    user: Uuid,
    now: Timestamp,
    used_since: Timestamp,
) -> Result<Vec<Session>, sqlx::Error> {
    let rows = sqlx::query!(
        "select id, created_at, last_used_at, expires_at, user_agent, address from sessions
         where user_id = $1 and ended_at is null and expires_at > $2 and last_used_at > $3 order by created_at desc limit 200",
        user,
        Time::from(now) as _,
        Time::from(used_since) as _,
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Session {
            id: row.id,
            created_at: row.created_at.into(),
            last_used_at: row.last_used_at.into(),
            expires_at: row.expires_at.into(),
            user_agent: row.user_agent,
            address: row.address,
        })
        .collect())
}

/// Forgets sessions that were over before then, a thousand at a time.
///
/// # Errors
/// As the database's.
pub async fn forget_old(db: impl PgExecutor<'_>, before: Timestamp) -> Result<u64, sqlx::Error> {
    let gone = sqlx::query!(
        "delete from sessions where id in (select id from sessions where expires_at < $1 order by expires_at limit 1000)",
        Time::from(before) as _,
    );
    Ok(gone.execute(db).await?.rows_affected())
}

/// Ends one of a user's sessions; whether there was one to end.
///
/// # Errors
/// As the database's.
pub async fn end_of_user(
    db: &mut PgConnection,
    user: Uuid,
    session: Uuid,
    reason: EndReason,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let ended = sqlx::query!(
        "update sessions set ended_at = $3, end_reason = $4 where id = $1 and user_id = $2 and ended_at is null",
        session,
        user,
        Time::from(now) as _,
        reason.as_str(),
    );
    Ok(ended.execute(db).await?.rows_affected() > 0)
}
