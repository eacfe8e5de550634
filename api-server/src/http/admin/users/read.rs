//! `GET /admin/users/{id}`

use crate::{
    http::{
        App,
        auth::Administrator,
        etag,
        path::Id,
        problem::{self, Code, Problem, Result},
        view::UserView,
    },
    users::{User, store},
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};

/// A user, deleted ones too.
#[utoipa::path(
    get,
    path = "/users/{id}",
    tag = "users",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The user.")),
    responses(
        (status = 200, body = UserView, headers(("ETag" = String, description = "The version, for `If-Match`."))),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such user."),
    ),
)]
pub(super) async fn read(State(state): App, _admin: Administrator, Id(id): Id) -> Result<Response> {
    let user = store::find(&state.db, id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(answer(user))
}

/// A user with the version.
pub(super) fn answer(user: User) -> Response {
    let tag = etag::of(user.version);
    (tag, Json(UserView::from(user))).into_response()
}
