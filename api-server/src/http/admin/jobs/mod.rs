//! Background work, for administrators.

mod list;
mod queues;
mod verbs;

use crate::{
    jobs::{State as JobState, store::Job},
    state::State,
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Arc<State>> {
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(queues::queues))
        .routes(routes!(list::read))
        .routes(routes!(verbs::retry))
        .routes(routes!(verbs::discard))
}

/// A job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub(super) struct JobView {
    /// Its id.
    id: Uuid,
    /// What it does.
    #[schema(example = "FORGET")]
    kind: String,
    /// Where it waits.
    #[schema(example = "UPKEEP")]
    queue: String,
    /// Of those of one kind and key one waits at most, and one is run at most.
    #[schema(required = true)]
    key: Option<String>,
    /// What it needs to know: ids and names.
    #[schema(value_type = Object)]
    payload: Value,
    /// What became of it.
    state: JobState,
    /// How often it was begun.
    attempts: i32,
    /// Up to which attempt it is tried.
    attempts_allowed: i32,
    /// When it was written.
    created_at: Timestamp,
    /// When it was or is to be run.
    run_at: Timestamp,
    /// When it was begun last.
    #[schema(required = true)]
    started_at: Option<Timestamp>,
    /// When it came to its end.
    #[schema(required = true)]
    ended_at: Option<Timestamp>,
    /// What went wrong last.
    #[schema(required = true)]
    last_error: Option<String>,
}

impl From<Job> for JobView {
    fn from(job: Job) -> Self {
        let Job {
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
        } = job;
        Self {
            id,
            kind,
            queue,
            key,
            payload,
            state,
            attempts,
            attempts_allowed: allowed,
            created_at,
            run_at,
            started_at,
            ended_at,
            last_error,
        }
    }
}
