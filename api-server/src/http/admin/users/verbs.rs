//! `DELETE /admin/users/{id}`, `POST …/activate`, `POST …/deactivate`, `PUT …/role`

use super::read::answer;
use crate::{
    http::{
        App,
        admin::{Because, Trace, reason},
        auth::Administrator,
        body::Body,
        etag,
        idempotency::{self, Begun, Key},
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
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

/// What is done to whom, by whom, and why.
struct Order {
    principal: Principal,
    trace: Trace,
    id: Uuid,
    verb: Verb,
    why: Option<String>,
}

impl Order {
    async fn apply(self, state: &state::State, db: &mut PgConnection) -> Result<User> {
        let (why, actor) = (reason(self.why)?, self.trace.actor(&self.principal));
        let by = By { actor: &actor, reason: why.as_deref(), now: state.clock.now() };
        administration::apply(state, db, by, self.id, self.verb).await
    }

    async fn done(self, state: &state::State) -> Result<User> {
        let mut tx = state.db.begin().await?;
        let user = self.apply(state, &mut tx).await?;
        tx.commit().await?;
        account::settled(state);
        Ok(user)
    }

    /// Of a `POST` on a route, which may be sent twice.
    async fn done_once(self, state: &state::State, route: &str, key: Key, body: &[u8]) -> Result<Response> {
        let route = format!("POST /admin/users/{}/{route}", self.id);
        let mut once = match idempotency::begin(state, &self.principal, &route, key, body).await? {
            Begun::Before(answer) => return Ok(answer),
            Begun::First(once) => once,
        };
        let user = self.apply(state, once.db()).await?;
        let tag = etag::of(user.version);
        let answer = once.finish(StatusCode::OK, &tag, &UserView::from(user)).await?;
        account::settled(state);
        Ok(answer)
    }
}

/// Delete everything personal of a user. Records of payments stay, without a name. Whoever has money in the wallet, owes some or has a top-up
/// pending is not deleted: an adjustment settles that first.
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
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "The last administrator must stay; or the user's wallet has or owes money, or top-ups are pending."),
    ),
)]
pub(super) async fn delete(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    Id(id): Id,
    body: Body<Because>,
) -> Result<StatusCode> {
    let order = Order { principal, trace, id, verb: Verb::Delete, why: body.value.reason };
    order.done(&state).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Let a user log in again.
#[utoipa::path(
    post,
    path = "/users/{id}/activate",
    tag = "users",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The user."), ("Idempotency-Key" = Option<String>, Header)),
    request_body = Because,
    responses(
        (status = 200, body = UserView, headers(("ETag" = String, description = "The version, for `If-Match`."))),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such user."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "The user is deleted; or the first request with this key is still under way."),
    ),
)]
pub(super) async fn activate(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    Id(id): Id,
    key: Key,
    body: Body<Because>,
) -> Result<Response> {
    let order = Order { principal, trace, id, verb: Verb::Activate, why: body.value.reason };
    order.done_once(&state, "activate", key, &body.bytes).await
}

/// Let a user log in no more. All sessions end; nothing is deleted.
#[utoipa::path(
    post,
    path = "/users/{id}/deactivate",
    tag = "users",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The user."), ("Idempotency-Key" = Option<String>, Header)),
    request_body = Because,
    responses(
        (status = 200, body = UserView, headers(("ETag" = String, description = "The version, for `If-Match`."))),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such user."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "The user is deleted, or is the last administrator; or the first request with this key is still under way."),
    ),
)]
pub(super) async fn deactivate(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    Id(id): Id,
    key: Key,
    body: Body<Because>,
) -> Result<Response> {
    let order = Order { principal, trace, id, verb: Verb::Deactivate, why: body.value.reason };
    order.done_once(&state, "deactivate", key, &body.bytes).await
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
    let order = Order { principal, trace, id, verb: Verb::SetRole(role), why: reason };
    Ok(answer(order.done(&state).await?))
}
