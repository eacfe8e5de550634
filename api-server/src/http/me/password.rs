//! `POST /me/password`

use crate::{
    http::{
        App,
        auth::CurrentUser,
        body::Body,
        idempotency::{self, Begun, Key},
        problem::{self, Result},
    },
    users::{account, password::Password},
};
use axum::{extract::State, http::StatusCode, response::Response};
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
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = ChangePassword,
    responses(
        (status = 204, description = "It is changed."),
        (status = 403, body = problem::Body, content_type = "application/problem+json", description = "The current password is wrong."),
        (status = 422, body = problem::Body, content_type = "application/problem+json", description = "The new password can't be accepted, or the key was used with another body."),
    ),
)]
pub(super) async fn change(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    key: Key,
    body: Body<ChangePassword>,
) -> Result<Response> {
    let ChangePassword { current_password, new_password } = body.value;
    let work = async {
        let user = account::of(&state, &principal).await?;
        let new = state.hasher.accept("new_password", &new_password, &[&user.email, &user.name]).await?;
        let confirmed = account::confirm(&state, &principal, &Password::given(&current_password)).await?;
        Ok((confirmed, state.hasher.hash(&new).await?))
    };
    let begun = idempotency::begin_after(&state, &principal, "POST /me/password", key, &body.bytes, work);
    let (mut once, (confirmed, hash)) = match begun.await? {
        Begun::Before(answer) => return Ok(answer),
        Begun::First(first) => first,
    };
    account::change_password(&state, once.db(), &confirmed, &hash).await?;
    let answer = once.finish_empty(StatusCode::NO_CONTENT).await?;
    account::settled(&state);
    Ok(answer)
}
