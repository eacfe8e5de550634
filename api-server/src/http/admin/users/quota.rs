//! `GET /admin/users/{id}/quota`, `PUT /admin/users/{id}/quota`

use crate::{
    cluster::quota::{Change, Quota},
    http::{
        App,
        admin::{Trace, reason},
        auth::Administrator,
        body::Body,
        etag::{self, IfMatch},
        path::Id,
        problem::{self, Code, Problem, Result},
        quota::{AdminQuotaView, LimitsView},
    },
    state,
    users::store,
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Limits, all of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetQuota {
    /// What the user may have at once. What runs already goes on, also where it is more.
    limits: LimitsView,
    /// Take over what another tool manages. A tool that goes on applying it sets it back.
    #[serde(default)]
    #[schema(required = false)]
    take_over: bool,
    /// Why, for the audit log.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// Of a user who is deleted there is something to see and to set as long as their `TenantQuota` is there.
async fn of_somebody(state: &state::State, id: Uuid) -> Result<Quota> {
    let user = store::find(&state.db, id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    let quota = Quota::read(&state.cluster, id).await?;
    if user.deleted_at.is_some() && quota.is_default() {
        return Err(Problem::new(Code::UserDeleted));
    }
    Ok(quota)
}

fn answer(quota: &Quota) -> Response {
    (etag::of(quota.version()), Json(AdminQuotaView::from(quota))).into_response()
}

/// What a user may have at once, and has.
#[utoipa::path(
    get,
    path = "/users/{id}/quota",
    tag = "users",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The user.")),
    responses(
        (status = 200, body = AdminQuotaView, headers(("ETag" = String, description = "The version, for `If-Match`."))),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such user."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "The user is deleted."),
    ),
)]
pub(super) async fn read(State(state): App, _admin: Administrator, Id(id): Id) -> Result<Response> {
    Ok(answer(&of_somebody(&state, id).await?))
}

/// Set what a user may have at once.
///
/// It is written to their `TenantQuota`, which is made where there is none.
#[utoipa::path(
    put,
    path = "/users/{id}/quota",
    tag = "users",
    security(("access_token" = [])),
    params(
        ("id" = uuid::Uuid, Path, description = "The user."),
        ("If-Match" = String, Header, description = "The ETag of what is changed; refused where it is another by now."),
    ),
    request_body = SetQuota,
    responses(
        (status = 200, body = AdminQuotaView, headers(("ETag" = String, description = "The version, for `If-Match`."))),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such user."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "The user is deleted, or another tool manages the limits."),
        (status = 412, body = problem::Body, content_type = "application/problem+json", description = "It was changed in the meantime."),
        (status = 422, body = problem::Body, content_type = "application/problem+json", description = "Values can't be accepted."),
        (status = 428, body = problem::Body, content_type = "application/problem+json", description = "`If-Match` is missing."),
    ),
)]
pub(super) async fn set(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    Id(id): Id,
    if_match: IfMatch,
    body: Body<SetQuota>,
) -> Result<Response> {
    let SetQuota { limits, take_over, reason: why } = body.value;
    let (limits, why) = (limits.read()?, reason(why)?);
    let found = of_somebody(&state, id).await?;
    if_match.require(found.version())?;
    let change = Change { limits, take_over, actor: trace.actor(&principal), reason: why };
    // To its end, also when nobody waits for the answer any more.
    let done = tokio::spawn(async move { found.set(&state, &change).await });
    Ok(answer(&done.await.map_err(|error| Problem::internal(&error))??))
}
