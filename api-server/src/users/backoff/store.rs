//! All SQL about tries to log in.

use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// Counts a try of a key, where its wait is over. The wait after `failures` of them is 2 ^ (failures - free) seconds, `longest` at
/// most; looked at and counted in one statement. What was counted before `forgotten` does not count.
pub(super) async fn count(
    db: &PgPool,
    key: &str,
    free: i32,
    longest: f64,
    now: Timestamp,
    forgotten: Timestamp,
) -> Result<bool, sqlx::Error> {
    let counted = sqlx::query_scalar!(
        "insert into login_failures as f (key, failures, last_at) values ($1, 1, $2)
         on conflict (key) do update
         set failures = case when f.last_at < $5 then 1 else f.failures + 1 end, last_at = $2
         where f.failures < $3 or f.last_at + make_interval(secs => least($4, power(2, least(f.failures - $3, 20)))) <= $2
         returning failures",
        key,
        Time::from(now) as _,
        free,
        longest,
        Time::from(forgotten) as _,
    );
    Ok(counted.fetch_optional(db).await?.is_some())
}

/// When the wait of a key is over.
pub(super) async fn waits_until(
    db: &PgPool,
    key: &str,
    free: i32,
    longest: f64,
) -> Result<Option<Timestamp>, sqlx::Error> {
    let until = sqlx::query_scalar!(
        "select last_at + make_interval(secs => least($3, power(2, least(failures - $2, 20)))) as \"until!\"
         from login_failures where key = $1",
        key,
        free,
        longest,
    );
    Ok(until.fetch_optional(db).await?.map(Into::into))
}

pub(super) async fn forget(db: &mut PgConnection, key: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from login_failures where key = $1", key).execute(db).await.map(drop)
}

pub(super) async fn take_one_back(db: &mut PgConnection, key: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("update login_failures set failures = greatest(failures - 1, 0) where key = $1", key)
        .execute(db)
        .await
        .map(drop)
}

pub(super) async fn is_known(
    db: &PgPool,
    user: Option<Uuid>,
    network: &str,
    since: Timestamp,
) -> Result<bool, sqlx::Error> {
    let known = sqlx::query_scalar!(
        "select exists (select from known_addresses where user_id = $1 and network = $2 and last_used_at > $3) as \"known!\"",
        user,
        network,
        Time::from(since) as _,
    );
    known.fetch_one(db).await
}

/// Notes that somebody has logged in from there.
///
/// # Errors
/// As the database's.
pub async fn know(
    db: &mut PgConnection,
    user: Uuid,
    network: &str,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into known_addresses (user_id, network, last_used_at) values ($1, $2, $3)
         on conflict (user_id, network) do update set last_used_at = $3",
        user,
        network,
        Time::from(now) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

pub(super) async fn forget_old(db: &PgPool, before: Timestamp) -> Result<u64, sqlx::Error> {
    let gone = sqlx::query!(
        "delete from login_failures where key in (select key from login_failures where last_at < $1 limit 5000)",
        Time::from(before) as _
    );
    Ok(gone.execute(db).await?.rows_affected())
}
