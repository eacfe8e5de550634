//! All SQL from a cause to its job.

use crate::jobs::{New, Queue};
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

pub(in crate::jobs) async fn insert(
    db: &mut PgConnection,
    id: Uuid,
    new: &New,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let New { kind, key, payload, run_at } = new;
    let conduct = kind.conduct();
    sqlx::query!(
        "insert into job_outbox (id, kind, queue, key, payload, allowed, run_at, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8)",
        id,
        kind.as_str(),
        conduct.queue.as_str(),
        key.as_deref(),
        payload,
        i32::from(conduct.attempts),
        Time::from(run_at.unwrap_or(now)) as _,
        Time::from(now) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// What there is to do.
#[derive(Clone, Copy, Debug)]
pub(in crate::jobs) struct Look {
    /// The outbox has something.
    pub(in crate::jobs) outbox: bool,
    /// The time of some job has come.
    pub(in crate::jobs) due: bool,
    /// Some worker has not said for long that it lives.
    pub(in crate::jobs) lost: bool,
}

pub(in crate::jobs) async fn look(db: &PgPool, now: Timestamp) -> Result<Look, sqlx::Error> {
    sqlx::query_as!(
        Look,
        "select exists (select from job_outbox) as \"outbox!\",
                exists (select from jobs where state = 'PENDING' and queue = any($2) and run_at <= $1) as \"due!\",
                exists (select from jobs where state = 'RUNNING' and lease_until <= now()) as \"lost!\"",
        Time::from(now) as _,
        &Queue::ALL.iter().map(|queue| queue.as_str()).collect::<Vec<_>>() as &[&str],
    )
    .fetch_one(db)
    .await
}

/// Makes jobs of what is in the outbox, the oldest first; how many rows it was. Those of one kind and key become one, and one with what waits
/// already: the newest payload, the earliest time, and all attempts anew.
pub(in crate::jobs) async fn relay(db: &PgPool, most: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        "with taken as (
             delete from job_outbox where position = any(array(
                 select position from job_outbox order by position limit $1 for update skip locked))
             returning *),
         named as (select *, coalesce(kind || ' ' || key, id::text) as name from taken),
         merged as (
             select distinct on (name) id, position, kind, queue, key, payload, allowed, created_at,
                    min(run_at) over (partition by name) as run_at
             from named order by name, position desc),
         written as (
             insert into jobs (id, position, kind, queue, key, payload, allowed, run_at, created_at)
             select id, position, kind, queue, key, payload, allowed, run_at, created_at from merged order by kind, key, position
             on conflict (kind, key) where state = 'PENDING' and key is not null do update
             set payload = excluded.payload, run_at = least(jobs.run_at, excluded.run_at), allowed = jobs.attempts + excluded.allowed)
         select count(*) as \"count!\" from taken",
        most
    )
    .fetch_one(db)
    .await
}
