//! `POST /me/password`

use crate::{
    http::{
        App,
        auth::CurrentUser,
        body::Body,
        problem::{self, Result},
    },
    users::{account, password::Password},
};
use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

/// The old password and the new one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangePassword {
    /// The password so far.
    #[schema(example = "kapal layar putih 7", format = Password)]
    current_password: String,
    /// At least 10 characters, none of the common ones.
    #[schema(example = "kapal layar putih 7", min_length = 10, max_length = 200, format = Password)]
    new_password: String,
}

/// Change one's password. The other sessions end, and a mail tells of it.
#[utoipa::path(
    post,
    path = "/me/password",
    tag = "me",
    security(("access_token" = [])),
    request_body = ChangePassword,
    responses(
        (status = 204, description = "It is changed."),
        (status = 403, body = problem::Body, content_type = "application/problem+json", description = "The current password is wrong."),
        (status = 422, body = problem::Body, content_type = "application/problem+json", description = "The new password can't be accepted."),
    ),
)]
pub(super) async fn change(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    body: Body<ChangePassword>,
) -> Result<StatusCode> {
    let ChangePassword { current_password, new_password } = body.value;
    let user = account::of(&state, &principal).await?;
    let new = state.hasher.accept("new_password", &new_password, &[&user.email, &user.name]).await?;
    account::change_password(&state, &principal, &Password::given(&current_password), &new).await?;
    Ok(StatusCode::NO_CONTENT)
}
