//! All SQL about rates.

use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use sqlx::PgPool;

/// Moves the arrival of a key on: to `first` where it is new or was before `now`, else by as much. None where it is beyond
/// `furthest`.
pub(super) async fn advance(
    db: &PgPool,
    key: &str,
    now: Timestamp,
    first: Timestamp,
    furthest: Timestamp,
) -> Result<Option<Timestamp>, sqlx::Error> {
    let arrival = sqlx::query_scalar!(
        "insert into rate_limits as r (key, arrival) values ($1, $2)
         on conflict (key) do update set arrival = greatest(r.arrival, $3) + ($2 - $3)
         where r.arrival <= $4
         returning arrival",
        key,
        Time::from(first) as _,
        Time::from(now) as _,
        Time::from(furthest) as _,
    );
    Ok(arrival.fetch_optional(db).await?.map(Into::into))
}

/// The arrival of a key.
pub(super) async fn arrival(db: &PgPool, key: &str) -> Result<Option<Timestamp>, sqlx::Error> {
    let arrival = sqlx::query_scalar!("select arrival from rate_limits where key = $1", key);
    Ok(arrival.fetch_optional(db).await?.map(Into::into))
}

/// Forgets subjects that have everything again.
///
/// # Errors
/// As the database's.
pub async fn forget_old(db: &PgPool, now: Timestamp) -> Result<u64, sqlx::Error> {
    let gone = sqlx::query!(
        "delete from rate_limits where key in (select key from rate_limits where arrival < $1 limit 5000)",
        Time::from(now) as _
    );
    Ok(gone.execute(db).await?.rows_affected())
}
