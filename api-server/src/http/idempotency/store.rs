//! All SQL about idempotency keys.

use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// Where a key counts.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) user: Uuid,
    pub(super) route: String,
    pub(super) key: String,
}

/// An answer as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) fingerprint: Vec<u8>,
    pub(super) status: i16,
    pub(super) headers: Value,
    pub(super) body: Vec<u8>,
    /// What the first request has made and a repeat goes on with, where the answer is not kept.
    pub(super) resumes: Option<Uuid>,
}

/// Locks a scope until the transaction's end; whether nobody else has it.
pub(super) async fn lock(db: &mut PgConnection, scope: &Scope) -> Result<bool, sqlx::Error> {
    let name = format!("{} {} {}", scope.user, scope.route, scope.key);
    sqlx::query_scalar!("select pg_try_advisory_xact_lock(hashtextextended($1, 7)) as \"ours!\"", name)
        .fetch_one(db)
        .await
}

/// The same, once whoever has it is done with it.
pub(super) async fn wait_for_lock(db: &mut PgConnection, scope: &Scope) -> Result<(), sqlx::Error> {
    let name = format!("{} {} {}", scope.user, scope.route, scope.key);
    let lock =
        sqlx::query_scalar!("select pg_advisory_xact_lock(hashtextextended($1, 7)) is null as locked", name);
    lock.fetch_one(db).await.map(drop)
}

/// The answer of then, if it was given since.
pub(super) async fn find(
    db: &mut PgConnection,
    scope: &Scope,
    since: Timestamp,
) -> Result<Option<Stored>, sqlx::Error> {
    let row = sqlx::query!(
        "select fingerprint, status, headers, body, resumes, created_at >= $4 as \"counts!\"
         from idempotency_keys where user_id = $1 and route = $2 and key = $3",
        scope.user,
        scope.route,
        scope.key,
        Time::from(since) as _,
    );
    let Some(found) = row.fetch_optional(&mut *db).await? else { return Ok(None) };
    if !found.counts {
        // The key is free again.
        remove(db, scope, since).await?;
        return Ok(None);
    }
    Ok(Some(Stored {
        fingerprint: found.fingerprint,
        status: found.status,
        headers: found.headers,
        body: found.body,
        resumes: found.resumes,
    }))
}

async fn remove(db: &mut PgConnection, scope: &Scope, since: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from idempotency_keys where user_id = $1 and route = $2 and key = $3 and created_at < $4",
        scope.user,
        scope.route,
        scope.key,
        Time::from(since) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Forgets what is kept there.
pub(super) async fn take_away(db: &mut PgConnection, scope: &Scope) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from idempotency_keys where user_id = $1 and route = $2 and key = $3",
        scope.user,
        scope.route,
        scope.key,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Keeps an answer.
pub(super) async fn insert(
    db: &mut PgConnection,
    scope: &Scope,
    stored: &Stored,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into idempotency_keys (user_id, route, key, fingerprint, status, headers, body, created_at, resumes) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        scope.user,
        scope.route,
        scope.key,
        stored.fingerprint,
        stored.status,
        stored.headers,
        stored.body,
        Time::from(now) as _,
        stored.resumes,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Takes an intent back that nobody has ended yet; whether it was there.
pub(super) async fn remove_intent(
    db: &mut PgConnection,
    scope: &Scope,
    intent: Uuid,
) -> Result<bool, sqlx::Error> {
    let gone = sqlx::query!(
        "delete from idempotency_keys where user_id = $1 and route = $2 and key = $3 and resumes = $4",
        scope.user,
        scope.route,
        scope.key,
        intent,
    );
    Ok(gone.execute(db).await?.rows_affected() == 1)
}

/// Forgets answers that were given before then.
pub(super) async fn forget(db: &PgPool, before: Timestamp) -> Result<u64, sqlx::Error> {
    let gone = sqlx::query!(
        "delete from idempotency_keys where (user_id, route, key) in (select user_id, route, key from idempotency_keys where created_at < $1 limit 5000)",
        Time::from(before) as _
    );
    Ok(gone.execute(db).await?.rows_affected())
}
