//! All SQL about jobs.

use super::{New, Queue, Run, State};
use crate::db::planned_anew;
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor, PgPool};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The most characters of an error that are kept.
const ERROR: usize = 1000;

fn shortened(error: &str) -> String {
    // PostgreSQL keeps no NUL.
    error.chars().filter(|it| *it != '\0').take(ERROR).collect()
}

pub(super) async fn insert(
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
pub(super) struct Look {
    /// The outbox has something.
    pub(super) outbox: bool,
    /// The time of some job has come.
    pub(super) due: bool,
    /// Some worker has not said for long that it lives.
    pub(super) lost: bool,
}

pub(super) async fn look(db: &PgPool, now: Timestamp) -> Result<Look, sqlx::Error> {
    sqlx::query_as!(
        Look,
        "select exists (select from job_outbox) as \"outbox!\",
                exists (select from jobs where state = 'PENDING' and queue = any($2) and run_at <= $1) as \"due!\",
                exists (select from jobs where state = 'RUNNING' and lease_until <= $1) as \"lost!\"",
        Time::from(now) as _,
        &Queue::ALL.iter().map(|queue| queue.as_str()).collect::<Vec<_>>() as &[&str],
    )
    .fetch_one(db)
    .await
}

/// Makes jobs of what is in the outbox, the oldest first; how many rows it was. Those of one kind and key become one, and one with what waits
/// already: the newest payload, the earliest time, and all attempts anew.
pub(super) async fn relay(db: &PgPool, most: i64) -> Result<i64, sqlx::Error> {
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
pub(super) struct Want<'a> {
    pub(super) queue: Queue,
    /// What a newer version has written is left to it.
    pub(super) kinds: &'a [&'static str],
    pub(super) most: i64,
    pub(super) now: Timestamp,
    pub(super) lease: Timestamp,
}

/// Takes jobs whose time has come. One whose key is being run waits until that has ended.
pub(super) async fn take(db: &PgPool, want: &Want<'_>) -> Result<Vec<Taken>, sqlx::Error> {
    let Want { queue, kinds, most, now, lease } = want;
    sqlx::query_as!(
        Taken,
        "update jobs set state = 'RUNNING', attempts = attempts + 1, started_at = $2, lease_until = $5
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
        Time::from(*lease) as _,
    )
    .fetch_all(db)
    .await
}

/// Takes jobs whose worker has not said for too long that it lives, but none that are in one's own hand.
pub(super) async fn take_lost(
    db: &PgPool,
    want: &Want<'_>,
    in_hand: &[Uuid],
) -> Result<Vec<Taken>, sqlx::Error> {
    let Want { queue, kinds, most, now, lease } = want;
    sqlx::query_as!(
        Taken,
        "update jobs set attempts = attempts + 1, started_at = $2, lease_until = $5
         where id = any(array(
             select id from jobs where state = 'RUNNING' and lease_until <= $2 and queue = $1 and kind = any($3) and id <> all($6)
             order by lease_until limit $4 for update skip locked))
         returning id, position, kind, payload, attempts, allowed, greatest(run_at, created_at) as \"due_at!: Time\"",
        queue.as_str(),
        Time::from(*now) as _,
        kinds as &[&str],
        most,
        Time::from(*lease) as _,
        in_hand,
    )
    .fetch_all(db)
    .await
}

/// Says that jobs are being run; which of them still are the caller's.
pub(super) async fn live(
    db: &PgPool,
    ids: &[Uuid],
    attempts: &[i32],
    lease: Timestamp,
) -> Result<Vec<Uuid>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    // In one order, so that two who hold some of the same never wait for each other.
    sqlx::query_scalar!(
        "with mine as (
             select j.id from jobs j join unnest($1::uuid[], $2::integer[]) as held (id, attempts) using (id, attempts)
             where j.id = any($1) and j.state = 'RUNNING' order by j.id for update of j)
         update jobs set lease_until = $3 where id = any(array(select id from mine)) returning id",
        ids,
        attempts,
        Time::from(lease) as _,
    )
    .fetch_all(db)
    .await
}

/// Whether a run still has its job; then nobody else takes it until the transaction has ended.
pub(super) async fn hold(db: &mut PgConnection, run: &Run) -> Result<bool, sqlx::Error> {
    let row = sqlx::query_scalar!(
        "select id from jobs where id = $1 and attempts = $2 and state = 'RUNNING' for update",
        run.id,
        run.attempt
    );
    Ok(row.fetch_optional(db).await?.is_some())
}

/// Notes that jobs are done, those that are still the caller's.
pub(super) async fn done(
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
pub(super) async fn again(
    db: &PgPool,
    job: &Taken,
    error: &str,
    next: Timestamp,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    put_back(db, job, Some(error), next, now, 0).await
}

/// Gives back a job that was not run to its end through no fault of its own: that attempt does not count.
pub(super) async fn give_back(db: &PgPool, job: &Taken, now: Timestamp) -> Result<(), sqlx::Error> {
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
pub(super) async fn dead(db: &PgPool, job: &Taken, error: &str, now: Timestamp) -> Result<(), sqlx::Error> {
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

/// When what is scheduled is done next.
pub(super) async fn schedules(db: &PgPool) -> Result<BTreeMap<String, Timestamp>, sqlx::Error> {
    let rows = sqlx::query!("select name, next_at from job_schedules").fetch_all(db).await?;
    Ok(rows.into_iter().map(|row| (row.name, row.next_at.into())).collect())
}

/// Moves a schedule on, where nobody has since it was read; whether it is the caller who has.
pub(super) async fn move_on(
    db: &mut PgConnection,
    name: &str,
    due: Option<Timestamp>,
    next: Timestamp,
) -> Result<bool, sqlx::Error> {
    let done = match due {
        None => {
            sqlx::query!(
                "insert into job_schedules (name, next_at) values ($1, $2) on conflict do nothing",
                name,
                Time::from(next) as _,
            )
            .execute(db)
            .await?
        }
        Some(due) => {
            sqlx::query!(
                "update job_schedules set next_at = $3 where name = $1 and next_at = $2",
                name,
                Time::from(due) as _,
                Time::from(next) as _,
            )
            .execute(db)
            .await?
        }
    };
    Ok(done.rows_affected() == 1)
}

/// How the jobs of a queue stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InQueue {
    /// The queue.
    pub queue: String,
    /// How many wait, also for a later time.
    pub pending: i64,
    /// How many of these could be run now.
    pub due: i64,
    /// For how long the one of them waits whose time came first, in seconds.
    pub oldest_due_seconds: i64,
    /// How many workers have taken.
    pub running: i64,
    /// How many were given up.
    pub dead: i64,
}

/// How all jobs stand.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// How many rows the outbox has.
    pub outbox: i64,
    /// How long ago the oldest of them was written, in seconds.
    pub outbox_oldest_seconds: i64,
    /// The queues that have anything.
    pub queues: Vec<InQueue>,
}

/// Counts jobs.
///
/// # Errors
/// As the database's.
pub async fn standing(db: &PgPool, now: Timestamp) -> Result<Standing, sqlx::Error> {
    let outbox = sqlx::query!(
        "select count(*) as \"count!\", coalesce(extract(epoch from $1 - min(created_at)), 0)::bigint as \"oldest!\" from job_outbox",
        Time::from(now) as _,
    )
    .fetch_one(db)
    .await?;
    // Each state by itself, since each has its index, and those that are done have none.
    let queues = sqlx::query_as!(
        InQueue,
        "with found as (
             select queue, count(*) as pending, count(*) filter (where run_at <= $1) as due, min(greatest(run_at, created_at)) as first,
                    0 as running, 0 as dead
             from jobs where state = 'PENDING' group by queue
             union all select queue, 0, 0, null, count(*), 0 from jobs where state = 'RUNNING' group by queue
             union all select queue, 0, 0, null, 0, count(*) from jobs where state = 'DEAD' group by queue)
         select queue as \"queue!\", sum(pending)::bigint as \"pending!\", sum(due)::bigint as \"due!\",
                greatest(coalesce(extract(epoch from $1 - min(first)), 0), 0)::bigint as \"oldest_due_seconds!\",
                sum(running)::bigint as \"running!\", sum(dead)::bigint as \"dead!\"
         from found group by queue order by queue",
        Time::from(now) as _,
    )
    .fetch_all(db)
    .await?;
    Ok(Standing { outbox: outbox.count, outbox_oldest_seconds: outbox.oldest.max(0), queues })
}

/// A job as administrators see it.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its id.
    pub id: Uuid,
    /// What it does.
    pub kind: String,
    /// Where it waits.
    pub queue: String,
    /// Of those with the same one waits at most.
    pub key: Option<String>,
    /// What it needs to know.
    pub payload: Value,
    /// What became of it.
    pub state: State,
    /// How often it was begun.
    pub attempts: i32,
    /// Up to which attempt it is tried.
    pub allowed: i32,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it was or is to be run.
    pub run_at: Timestamp,
    /// When it was begun last.
    pub started_at: Option<Timestamp>,
    /// When it came to its end.
    pub ended_at: Option<Timestamp>,
    /// What went wrong last.
    pub last_error: Option<String>,
}

struct Row {
    id: Uuid,
    kind: String,
    queue: String,
    key: Option<String>,
    payload: Value,
    state: String,
    attempts: i32,
    allowed: i32,
    created_at: Time,
    run_at: Time,
    started_at: Option<Time>,
    ended_at: Option<Time>,
    last_error: Option<String>,
}

impl From<Row> for Job {
    fn from(row: Row) -> Self {
        let Row {
            id,
            kind,
            queue,
            key,
            payload,
            state,
            attempts,
            allowed,
            created_at,
            run_at,
            started_at,
            ended_at,
            last_error,
        } = row;
        Self {
            id,
            kind,
            queue,
            key,
            payload,
            state: State::of(&state),
            attempts,
            allowed,
            created_at: created_at.into(),
            run_at: run_at.into(),
            started_at: started_at.map(Into::into),
            ended_at: ended_at.map(Into::into),
            last_error,
        }
    }
}

/// Which jobs.
#[derive(Clone, Debug)]
pub struct Query {
    /// What they do.
    pub kind: Option<String>,
    /// Where they wait.
    pub queue: Option<String>,
    /// What became of them.
    pub state: Option<State>,
    /// Written then or later.
    pub created_after: Option<Timestamp>,
    /// Written before.
    pub created_before: Option<Timestamp>,
    /// Those beyond this one.
    pub beyond: Option<Uuid>,
    /// The newest first.
    pub descending: bool,
    /// So many.
    pub limit: i64,
}

/// Jobs by filters.
///
/// # Errors
/// As the database's.
pub async fn list(db: &PgPool, query: &Query) -> Result<Vec<Job>, sqlx::Error> {
    let mut db = planned_anew(db).await?;
    let rows = sqlx::query_as!(
        Row,
        "select id, kind, queue, key, payload, state, attempts, allowed, created_at, run_at, started_at, ended_at, last_error
         from jobs
         where ($1::text is null or kind = $1) and ($2::text is null or queue = $2) and ($3::text is null or state = $3)
           and ($4::timestamptz is null or created_at >= $4) and ($5::timestamptz is null or created_at < $5)
           and ($6::uuid is null or case when $7 then id < $6 else id > $6 end)
         order by case when not $7 then id end, case when $7 then id end desc limit $8",
        query.kind,
        query.queue,
        query.state.map(State::as_str),
        query.created_after.map(Time::from) as _,
        query.created_before.map(Time::from) as _,
        query.beyond,
        query.descending,
        query.limit,
    )
    .fetch_all(&mut *db)
    .await?;
    db.rollback().await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// One job.
///
/// # Errors
/// As the database's.
pub async fn find(db: impl PgExecutor<'_>, id: Uuid) -> Result<Option<Job>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "select id, kind, queue, key, payload, state, attempts, allowed, created_at, run_at, started_at, ended_at, last_error
         from jobs where id = $1",
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Into::into))
}

/// Locks one job.
pub(super) async fn lock(db: &mut PgConnection, id: Uuid) -> Result<Option<Job>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "select id, kind, queue, key, payload, state, attempts, allowed, created_at, run_at, started_at, ended_at, last_error
         from jobs where id = $1 for update",
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Into::into))
}

/// Whether another of a job's kind and key waits.
pub(super) async fn is_another_pending(db: &mut PgConnection, job: &Job) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        "select exists (select from jobs where state = 'PENDING' and key is not null and kind = $1 and key = $2 and id <> $3) as \"there!\"",
        job.kind,
        job.key,
        job.id,
    )
    .fetch_one(db)
    .await
}

/// Lets a job be run now, with so many more attempts.
pub(super) async fn anew(
    db: &mut PgConnection,
    id: Uuid,
    attempts: i32,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update jobs set state = 'PENDING', run_at = $2, allowed = attempts + $3, ended_at = null where id = $1",
        id,
        Time::from(now) as _,
        attempts,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Lets a job not be run after all.
pub(super) async fn discard(db: &mut PgConnection, id: Uuid, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query!("update jobs set state = 'DISCARDED', ended_at = $2 where id = $1", id, Time::from(now) as _)
        .execute(db)
        .await
        .map(drop)
}

/// Takes away jobs that ended before, those that were given up by another time; so many at a time.
pub(super) async fn forget(
    db: &PgPool,
    before: Timestamp,
    dead_before: Timestamp,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "delete from jobs where id = any(array(
             (select id from jobs where state = 'DONE' and ended_at < $1 order by ended_at limit 5000)
             union all (select id from jobs where state = 'DISCARDED' and ended_at < $1 order by ended_at limit 5000)
             union all (select id from jobs where state = 'DEAD' and ended_at < $2 order by ended_at limit 5000)))",
        Time::from(before) as _,
        Time::from(dead_before) as _,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}
