//! `GET /admin/jobs`, `GET /admin/jobs/{id}`

use super::JobView;
use crate::{
    http::{
        App,
        auth::Administrator,
        pagination::{ByCreation, List, Page},
        path::Id,
        problem::{self, Code, Problem, Result},
    },
    jobs::{
        Kind, Queue, State as JobState,
        store::{self, Query},
    },
};
use axum::{Json, extract::State};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

/// Which jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// What they do.
    #[param(inline)]
    kind: Option<Kind>,
    /// Where they wait.
    #[param(inline)]
    queue: Option<Queue>,
    /// What became of them.
    state: Option<JobState>,
    /// Written then or later.
    created_after: Option<Timestamp>,
    /// Written before.
    created_before: Option<Timestamp>,
}

/// Background work: what waits, what is run, what was done in the last week, what was given up in the last ninety days.
#[utoipa::path(
    get,
    path = "/jobs",
    tag = "jobs",
    security(("access_token" = [])),
    params(List<Filter, ByCreation>),
    responses(
        (status = 200, body = Page<JobView>),
    ),
)]
pub(super) async fn list(
    State(state): App,
    _admin: Administrator,
    list: List<Filter, ByCreation>,
) -> Result<Json<Page<JobView>>> {
    let Filter { kind, queue, state: became, created_after, created_before } = &list.filter;
    let query = Query {
        kind: kind.map(|kind| kind.as_str().to_owned()),
        queue: queue.map(|queue| queue.as_str().to_owned()),
        state: *became,
        created_after: *created_after,
        created_before: *created_before,
        beyond: list.beyond().map(|cursor| cursor.id),
        descending: list.reads_descending(),
        limit: list.limit(),
    };
    let jobs = store::list(&state.db, &query).await?;
    Ok(Json(list.page(jobs, |job| (String::new(), job.id), None)))
}

/// A job.
#[utoipa::path(
    get,
    path = "/jobs/{id}",
    tag = "jobs",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The job.")),
    responses(
        (status = 200, body = JobView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such job."),
    ),
)]
pub(super) async fn read(State(state): App, _admin: Administrator, Id(id): Id) -> Result<Json<JobView>> {
    let job = store::find(&state.db, id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(Json(job.into()))
}
