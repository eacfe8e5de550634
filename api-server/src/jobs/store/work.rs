//! All SQL about taking jobs, and how they end.

use crate::jobs::{Queue, Run};
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// The most characters of an error that are kept.
const ERROR: usize = 1000;

fn shortened(error: &str) -> String {
    // PostgreSQL keeps no NUL.
    error.chars().filter(|it| *it != '\0').take(ERROR).collect()
}

/// A job that somebody has taken.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Its id.
    pub id: Uuid,
    /// The order in which it was written.
    pub position: i64,
    /// What it does.
    pub kind: String,
    /// What that needs to know.
    pub payload: Value,
    /// Which attempt this is.
    pub attempts: i32,
    /// Up to which it is tried.
    pub allowed: i32,
    /// Since when it was to be run.
    pub due_at: Timestamp,
}

/// Which jobs somebody wants.
#[derive(Clone, Copy, Debug)]
pub(in crate::jobs) struct Want<'a> {
    pub(in crate::jobs) queue: Queue,
    /// What a newer version has written is left to it.
    pub(in crate::jobs) kinds: &'a [&'static str],
    pub(in crate::jobs) most: i64,
    pub(in crate::jobs) now: Timestamp,
    /// For how many seconds, by the database's clock, which is the same for all replicas.
    pub(in crate::jobs) lease: f64,
}

/// Takes jobs whose time has come. One whose key is being run waits until that has ended.
pub(in crate::jobs) async fn take(db: &PgPool, want: &Want<'_>) -> Result<Vec<Taken>, sqlx::Error> {
    let Want { queue, kinds, most, now, lease } = want;
    sqlx::query_as!(
        Taken,
        "update jobs set state = 'RUNNING', attempts = attempts + 1, started_at = $2, lease_until = now() + make_interval(secs => $5)
         where id = any(array(
             select j.id from jobs j
             where j.state = 'PENDING' and j.queue = $1 and j.run_at <= $2 and j.kind = any($3)
               and (j.key is null or not exists (
                   select from jobs r where r.state = 'RUNNING' and r.key is not null and r.kind = j.kind and r.key = j.key))
             order by j.run_at, j.position limit $4 for update of j skip locked))
         returning id, position, kind, payload, attempts, allowed, greatest(run_at, created_at) as \"due_at!: Time\"",
        queue.as_str(),
        Time::from(*now) as _,
        kinds as &[&str],
        most,
        *lease,
    )
    .fetch_all(db)
    .await
}

/// Takes jobs whose worker has not said for too long that it lives, but none that are in one's own hand.
pub(in crate::jobs) async fn take_lost(
    db: &PgPool,
    want: &Want<'_>,
    in_hand: &[Uuid],
) -> Result<Vec<Taken>, sqlx::Error> {
    let Want { queue, kinds, most, now, lease } = want;
    sqlx::query_as!(
        Taken,
        "update jobs set attempts = attempts + 1, started_at = $2, lease_until = now() + make_interval(secs => $5)
         where id = any(array(
             select id from jobs where state = 'RUNNING' and lease_until <= now() and queue = $1 and kind = any($3) and id <> all($6)
             order by lease_until limit $4 for update skip locked))
         returning id, position, kind, payload, attempts, allowed, greatest(run_at, created_at) as \"due_at!: Time\"",
        queue.as_str(),
        Time::from(*now) as _,
        kinds as &[&str],
        most,
        *lease,
        in_hand,
    )
    .fetch_all(db)
    .await
}

/// Says that jobs are being run; which of them still are the caller's.
pub(in crate::jobs) async fn live(
    db: &PgPool,
    ids: &[Uuid],
    attempts: &[i32],
    lease: f64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    // In one order, so that two who hold some of the same never wait for each other.
    sqlx::query_scalar!(
        "with mine as (
             select j.id from jobs j join unnest($1::uuid[], $2::integer[]) as held (id, attempts) using (id, attempts)
             where j.id = any($1) and j.state = 'RUNNING' order by j.id for update of j)
         update jobs set lease_until = now() + make_interval(secs => $3) where id = any(array(select id from mine)) returning id",
        ids,
        attempts,
        lease,
    )
    .fetch_all(db)
    .await
}

/// Whether a run still has its job; then nobody else takes it until the transaction has ended.
pub(in crate::jobs) async fn hold(db: &mut PgConnection, run: &Run) -> Result<bool, sqlx::Error> {
    let row = sqlx::query_scalar!(
        "select id from jobs where id = $1 and attempts = $2 and state = 'RUNNING' for update",
        run.id,
        run.attempt
    );
    Ok(row.fetch_optional(db).await?.is_some())
}

/// Notes that jobs are done, those that are still the caller's.
pub(in crate::jobs) async fn done(
    db: &PgPool,
    ids: &[Uuid],
    attempts: &[i32],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "with mine as (
             select j.id from jobs j join unnest($1::uuid[], $2::integer[]) as held (id, attempts) using (id, attempts)
             where j.id = any($1) and j.state = 'RUNNING' order by j.id for update of j)
         update jobs set state = 'DONE', ended_at = $3, lease_until = null, last_error = null where id = any(array(select id from mine))",
        ids,
        attempts,
        Time::from(now) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Lets a job that failed be tried again at that time. Where another of its key waits, that one is run in its place.
pub(in crate::jobs) async fn again(
    db: &PgPool,
    job: &Taken,
    error: &str,
    next: Timestamp,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    put_back(db, job, Some(error), next, now, 0).await
}

/// Gives back a job that was not run to its end through no fault of its own: that attempt does not count.
pub(in crate::jobs) async fn give_back(db: &PgPool, job: &Taken, now: Timestamp) -> Result<(), sqlx::Error> {
    put_back(db, job, None, now, now, 1).await
}

async fn put_back(
    db: &PgPool,
    job: &Taken,
    error: Option<&str>,
    next: Timestamp,
    now: Timestamp,
    more: i32,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "with mine as (select id, kind, key from jobs where id = $1 and attempts = $2 and state = 'RUNNING' for update),
              other as (update jobs set run_at = least(jobs.run_at, $4) from mine
                        where jobs.state = 'PENDING' and jobs.key is not null and jobs.kind = mine.kind and jobs.key = mine.key
                        returning jobs.id)
         update jobs set lease_until = null, run_at = $4, allowed = allowed + $6,
                state = case when exists (select from other) then 'DISCARDED' else 'PENDING' end,
                ended_at = case when exists (select from other) then $5::timestamptz end,
                last_error = case when exists (select from other) then left('a newer one of its key took its place; ' || coalesce($3, ''), 1000)
                                  else coalesce($3, last_error) end
         where id in (select id from mine)",
        job.id,
        job.attempts,
        error.map(shortened),
        Time::from(next) as _,
        Time::from(now) as _,
        more,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Gives a job up.
pub(in crate::jobs) async fn dead(
    db: &PgPool,
    job: &Taken,
    error: &str,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update jobs set state = 'DEAD', ended_at = $4, lease_until = null, last_error = $3
         where id = $1 and attempts = $2 and state = 'RUNNING'",
        job.id,
        job.attempts,
        shortened(error),
        Time::from(now) as _,
    )
    .execute(db)
    .await
    .map(drop)
}
