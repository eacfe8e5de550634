//! All SQL about how subscriptions stand.

use crate::subscriptions::Status;
use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::Timestamp as Time;
use sqlx::PgPool;

/// How many there are of each status, of those that may run: the others are history, and ever more.
pub(in crate::subscriptions) async fn standing(db: &PgPool) -> Result<Vec<(Status, i64)>, sqlx::Error> {
    let rows = sqlx::query!(
        "select status, count(*) as \"count!\" from subscriptions where fenced_at is null group by status"
    );
    let rows = rows.fetch_all(db).await?;
    Ok(rows.into_iter().filter_map(|row| Some((Status::of(&row.status)?, row.count))).collect())
}

/// How many wait for longer than that: to be there for the first time, and to be fenced; and of how many the next step has failed more often
/// than that.
pub(in crate::subscriptions) async fn late(
    db: &PgPool,
    now: Timestamp,
    [pending, ending]: [SignedDuration; 2],
    failures: i32,
) -> Result<(i64, i64, i64), sqlx::Error> {
    let since = |by| Time::from(crate::clock::before(now, by));
    let row = sqlx::query!(
        "select count(*) filter (where status = 'PENDING_DEPLOYMENT' and created_at <= $1) as \"pending!\",
                count(*) filter (where ended_at <= $2 and fenced_at is null) as \"ending!\",
                count(*) filter (where failures > $3) as \"failing!\"
         from subscriptions where fenced_at is null or look_at is not null",
        since(pending) as _,
        since(ending) as _,
        failures,
    );
    let row = row.fetch_one(db).await?;
    Ok((row.pending, row.ending, row.failing))
}
