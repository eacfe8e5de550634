//! `DELETE /admin/users/{id}`, `POST …/activate`, `POST …/deactivate`, `PUT …/role`

use super::read::answer;
use crate::{
    http::{
        App,
        admin::{Because, Trace, reason},
        auth::Administrator,
        body::Body,
        path::Id,
        problem::{self, Result},
        view::UserView,
    },
    sessions::Principal,
    state,
    users::{
        Role, User, account,
        administration::{self, By, Verb},
    },
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

async fn apply(
    state: &state::State,
    principal: &Principal,
    trace: Trace,
    id: Uuid,
    verb: Verb,
    why: Option<String>,
) -> Result<User> {
    let why = reason(why)?;
    let actor = trace.actor(principal);
    let by = By { actor: &actor, reason: why.as_deref(), now: state.clock.now() };
    let mut tx = state.db.begin().await?;
    let user = administration::apply(state, &mut tx, by, id, verb).await?;
    tx.commit().await?;
    account::settled(state);
    Ok(user)
}

/// Delete everything personal of a user. Records of payments stay, without a name.
#[utoipa::path(
    delete,
    path = "/users/{id}",
    tag = "users",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The user.")),
    request_body = Because,
    responses(
        (status = 204, description = "It is so."),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such user."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "The last administrator must stay."),
    ),
)]
pub(super) async fn delete(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    Id(id): Id,
    body: Body<Because>,
) -> Result<StatusCode> {
    apply(&state, &principal, trace, id, Verb::Delete, body.value.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Let a user log in again.
#[utoipa::path(
    post,
    path = "/users/{id}/activate",
    tag = "users",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The user.")),
    request_body = Because,
    responses(
        (status = 200, body = UserView, headers(("ETag" = String, description = "The version, for `If-Match`."))),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such user."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "The user is deleted."),
    ),
)]
pub(super) async fn activate(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    Id(id): Id,
    body: Body<Because>,
) -> Result<Response> {
    Ok(answer(apply(&state, &principal, trace, id, Verb::Activate, body.value.reason).await?))
}

/// Let a user log in no more. All sessions end; nothing is deleted.
#[utoipa::path(
    post,
    path = "/users/{id}/deactivate",
    tag = "users",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The user.")),
    request_body = Because,
    responses(
        (status = 200, body = UserView, headers(("ETag" = String, description = "The version, for `If-Match`."))),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such user."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "The user is deleted, or is the last administrator."),
    ),
)]
pub(super) async fn deactivate(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    Id(id): Id,
    body: Body<Because>,
) -> Result<Response> {
    Ok(answer(apply(&state, &principal, trace, id, Verb::Deactivate, body.value.reason).await?))
}

/// What a user may from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetRole {
    /// It.
    role: Role,
    /// Why, for the audit log.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// Set what a user may. It counts from their next request on.
#[utoipa::path(
    put,
    path = "/users/{id}/role",
    tag = "users",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The user.")),
    request_body = SetRole,
    responses(
        (status = 200, body = UserView, headers(("ETag" = String, description = "The version, for `If-Match`."))),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such user."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "The user is deleted, or is the last administrator."),
    ),
)]
pub(super) async fn set_role(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    Id(id): Id,
    body: Body<SetRole>,
) -> Result<Response> {
    let SetRole { role, reason } = body.value;
    Ok(answer(apply(&state, &principal, trace, id, Verb::SetRole(role), reason).await?))
}
