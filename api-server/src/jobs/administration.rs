//! What administrators do with jobs.

use super::{
    Kind, State,
    store::{self, Job},
};
use crate::{
    audit::{self, Entry},
    db,
    http::problem::{Code, Problem},
    users::administration::By,
};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

/// How often a job is tried anew whose kind this version does not know.
const ATTEMPTS: u16 = 5;

/// What the log keeps of a job.
#[derive(Debug, Serialize)]
struct Seen<'a> {
    kind: &'a str,
    key: Option<&'a str>,
    state: State,
    attempts: i32,
    last_error: Option<&'a str>,
}

impl Seen<'_> {
    fn of(job: &Job) -> Option<serde_json::Value> {
        audit::value(&Seen {
            kind: &job.kind,
            key: job.key.as_deref(),
            state: job.state,
            attempts: job.attempts,
            last_error: job.last_error.as_deref(),
        })
    }
}

/// Lets a job be run now, whatever became of it, with all its attempts anew.
///
/// # Errors
/// [`Code::NotFound`]; [`Code::JobRunning`]; [`Code::JobReplaced`] where another of its key waits.
pub async fn retry(db: &mut PgConnection, by: By<'_>, id: Uuid) -> Result<Job, Problem> {
    let job = lock(db, id).await?;
    if job.state == State::Running {
        return Err(Problem::new(Code::JobRunning));
    }
    if store::is_another_pending(db, &job).await? {
        return Err(Problem::new(Code::JobReplaced));
    }
    let attempts = Kind::of(&job.kind).map_or(ATTEMPTS, |kind| kind.conduct().attempts);
    store::anew(db, id, attempts.into(), by.now).await.map_err(|error| {
        if db::is_taken(&error, "jobs_pending_key") { Problem::new(Code::JobReplaced) } else { error.into() }
    })?;
    record(db, by, "job.retry", &job).await
}

/// Lets a job not be run any more. One that would not be anyhow stays as it is.
///
/// # Errors
/// [`Code::NotFound`]; [`Code::JobRunning`].
pub async fn discard(db: &mut PgConnection, by: By<'_>, id: Uuid) -> Result<Job, Problem> {
    let job = lock(db, id).await?;
    match job.state {
        State::Running => return Err(Problem::new(Code::JobRunning)),
        State::Done | State::Discarded => return Ok(job),
        State::Pending | State::Dead => {}
    }
    store::discard(db, id, by.now).await?;
    record(db, by, "job.discard", &job).await
}

async fn lock(db: &mut PgConnection, id: Uuid) -> Result<Job, Problem> {
    store::lock(db, id).await?.ok_or_else(|| Problem::new(Code::NotFound))
}

async fn record(
    db: &mut PgConnection,
    by: By<'_>,
    action: &'static str,
    before: &Job,
) -> Result<Job, Problem> {
    let after = lock(db, before.id).await?;
    let entry = Entry {
        action,
        entity_type: "job",
        entity_id: &before.id.to_string(),
        before: Seen::of(before),
        after: Seen::of(&after),
        reason: by.reason,
    };
    audit::record(db, by.actor, entry, by.now).await?;
    Ok(after)
}
