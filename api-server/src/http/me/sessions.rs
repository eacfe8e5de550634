//! `GET /me/sessions`, `DELETE /me/sessions/{id}`

use crate::{
    clock,
    http::{
        App,
        auth::CurrentUser,
        path::Id,
        problem::{self, Code, Problem, Result},
        view::SessionView,
    },
    sessions::{self, EndReason},
};
use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

/// One's sessions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Sessions {
    /// Newest first, 200 at most.
    items: Vec<SessionView>,
}

/// Where one is logged in.
#[utoipa::path(
    get,
    path = "/me/sessions",
    tag = "me",
    security(("access_token" = [])),
    responses(
        (status = 200, body = Sessions),
    ),
)]
pub(super) async fn list(State(state): App, CurrentUser(principal): CurrentUser) -> Result<Json<Sessions>> {
    let now = state.clock.now();
    let all = sessions::list(&state.db, principal.user_id, now, clock::before(now, sessions::IDLE)).await?;
    let items = all.into_iter().map(|session| SessionView::new(session, principal.session_id)).collect();
    Ok(Json(Sessions { items }))
}

/// End one of one's sessions, wherever it is used.
#[utoipa::path(
    delete,
    path = "/me/sessions/{id}",
    tag = "me",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The session.")),
    responses(
        (status = 204, description = "It has ended."),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such session, or it has ended."),
    ),
)]
pub(super) async fn end(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    Id(id): Id,
) -> Result<StatusCode> {
    let mut db = state.db.acquire().await?;
    let is_ended =
        sessions::end_of_user(&mut db, principal.user_id, id, EndReason::EndedByUser, state.clock.now())
            .await?;
    state.sessions.forget(id);
    if is_ended { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::new(Code::NotFound)) }
}
