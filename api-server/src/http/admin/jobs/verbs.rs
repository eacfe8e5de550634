//! `POST /admin/jobs/{id}/retry`, `POST /admin/jobs/{id}/discard`

use super::JobView;
use crate::{
    http::{
        App,
        admin::{Because, Trace, reason},
        auth::Administrator,
        body::Body,
        idempotency::{self, Begun, Key},
        path::Id,
        problem::{self, Result},
    },
    jobs::administration,
    users::administration::By,
};
use axum::{extract::State, http::StatusCode, response::Response};

/// Run a job now, whatever became of it, with all its attempts anew.
#[utoipa::path(
    post,
    path = "/jobs/{id}/retry",
    tag = "jobs",
    security(("access_token" = [])),
    params(
        ("id" = uuid::Uuid, Path, description = "The job."),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = Because,
    responses(
        (status = 200, body = JobView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such job."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "It is being run, or another of its key waits; or the first request with this key is still under way."),
        (status = 422, body = problem::Body, content_type = "application/problem+json", description = "Values can't be accepted, or the key was used with another body."),
    ),
)]
pub(super) async fn retry(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    Id(id): Id,
    key: Key,
    body: Body<Because>,
) -> Result<Response> {
    let why = reason(body.value.reason)?;
    let route = format!("POST /admin/jobs/{id}/retry");
    let mut once = match idempotency::begin(&state, &principal, &route, key, &body.bytes).await? {
        Begun::Before(answer) => return Ok(answer),
        Begun::First(once) => once,
    };
    let actor = trace.actor(&principal);
    let by = By { actor: &actor, reason: why.as_deref(), now: state.clock.now() };
    let job = administration::retry(once.db(), by, id).await?;
    let answer = once.finish(StatusCode::OK, &[], &JobView::from(job)).await?;
    state.jobs_are_due.notify_one();
    Ok(answer)
}

/// Let a job not be run any more.
///
/// What it was to do is not done, unless somebody retries it. One that is done stays so.
#[utoipa::path(
    post,
    path = "/jobs/{id}/discard",
    tag = "jobs",
    security(("access_token" = [])),
    params(
        ("id" = uuid::Uuid, Path, description = "The job."),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = Because,
    responses(
        (status = 200, body = JobView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such job."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "It is being run; or the first request with this key is still under way."),
        (status = 422, body = problem::Body, content_type = "application/problem+json", description = "Values can't be accepted, or the key was used with another body."),
    ),
)]
pub(super) async fn discard(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    Id(id): Id,
    key: Key,
    body: Body<Because>,
) -> Result<Response> {
    let why = reason(body.value.reason)?;
    let route = format!("POST /admin/jobs/{id}/discard");
    let mut once = match idempotency::begin(&state, &principal, &route, key, &body.bytes).await? {
        Begun::Before(answer) => return Ok(answer),
        Begun::First(once) => once,
    };
    let actor = trace.actor(&principal);
    let by = By { actor: &actor, reason: why.as_deref(), now: state.clock.now() };
    let job = administration::discard(once.db(), by, id).await?;
    once.finish(StatusCode::OK, &[], &JobView::from(job)).await
}
