//! All SQL about jobs as administrators see them, and taking them away.

use crate::{db::planned_anew, jobs::State};
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

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
pub(in crate::jobs) async fn lock(db: &mut PgConnection, id: Uuid) -> Result<Option<Job>, sqlx::Error> {
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
pub(in crate::jobs) async fn is_another_pending(
    db: &mut PgConnection,
    job: &Job,
) -> Result<bool, sqlx::Error> {
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
pub(in crate::jobs) async fn anew(
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
pub(in crate::jobs) async fn discard(
    db: &mut PgConnection,
    id: Uuid,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query!("update jobs set state = 'DISCARDED', ended_at = $2 where id = $1", id, Time::from(now) as _)
        .execute(db)
        .await
        .map(drop)
}

/// Takes away jobs that ended before, those that were given up by another time; so many at a time.
pub(in crate::jobs) async fn forget(
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
