//! `POST /auth/logout`, `POST /auth/logout-all`

use crate::{
    http::{App, auth::CurrentUser, body::Body, problem::Result, rate, request::ClientAddress},
    sessions::{self, EndReason},
};
use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

/// The session to be ended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Logout {
    /// Its refresh token.
    refresh_token: String,
}

/// End a session by its refresh token. A token that is not good is fine: then there is nothing to end.
#[utoipa::path(post, path = "/auth/logout", tag = "sign-in", request_body = Logout, responses((status = 204, description = "It has ended.")))]
pub(super) async fn logout(
    State(state): App,
    address: ClientAddress,
    body: Body<Logout>,
) -> Result<StatusCode> {
    rate::network(&state, &address.network()).await?;
    sessions::end_by_token(&state, &body.value.refresh_token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End all of one's sessions, this one too.
#[utoipa::path(
    post,
    path = "/auth/logout-all",
    tag = "sign-in",
    security(("access_token" = [])),
    responses(
        (status = 204, description = "They have ended."),
    ),
)]
pub(super) async fn logout_all(State(state): App, CurrentUser(principal): CurrentUser) -> Result<StatusCode> {
    let mut db = state.db.acquire().await?;
    sessions::end_all(&mut db, principal.user_id, None, EndReason::Logout, state.clock.now()).await?;
    state.sessions.forget_all();
    Ok(StatusCode::NO_CONTENT)
}
