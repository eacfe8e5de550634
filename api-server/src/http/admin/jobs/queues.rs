//! `GET /admin/jobs/queues`

use crate::{
    http::{App, auth::Administrator, problem::Result},
    jobs::{
        Queue,
        store::{self, InQueue, Standing},
    },
};
use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

/// How background work stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobQueues)]
pub(super) struct QueuesView {
    /// How many jobs were not handed over to their queues yet.
    outbox: i64,
    /// How long ago the oldest of them was written.
    outbox_oldest_seconds: i64,
    /// The queues.
    queues: Vec<QueueView>,
}

/// How the jobs of a queue stand.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobQueueStanding)]
struct QueueView {
    /// The queue.
    #[schema(example = "QUICK")]
    queue: String,
    /// How many wait, also for a later time.
    pending: i64,
    /// How many of these could be run now.
    due: i64,
    /// For how long the one of them waits whose time came first.
    oldest_due_seconds: i64,
    /// How many workers have taken.
    running: i64,
    /// How many were given up.
    dead: i64,
}

impl From<InQueue> for QueueView {
    fn from(InQueue { queue, pending, due, oldest_due_seconds, running, dead }: InQueue) -> Self {
        Self { queue, pending, due, oldest_due_seconds, running, dead }
    }
}

/// How many jobs wait, are run, and were given up, by queue.
#[utoipa::path(
    get,
    path = "/jobs/queues",
    tag = "jobs",
    security(("access_token" = [])),
    responses(
        (status = 200, body = QueuesView),
    ),
)]
pub(super) async fn queues(State(state): App, _admin: Administrator) -> Result<Json<QueuesView>> {
    let Standing { outbox, outbox_oldest_seconds, mut queues } =
        store::standing(&state.db, state.clock.now()).await?;
    for queue in Queue::ALL.iter().map(|queue| queue.as_str()) {
        if !queues.iter().any(|one| one.queue == queue) {
            queues.push(InQueue {
                queue: queue.to_owned(),
                pending: 0,
                due: 0,
                oldest_due_seconds: 0,
                running: 0,
                dead: 0,
            });
        }
    }
    queues.sort_by(|one, other| one.queue.cmp(&other.queue));
    let queues = queues.into_iter().map(Into::into).collect();
    Ok(Json(QueuesView { outbox, outbox_oldest_seconds, queues }))
}
