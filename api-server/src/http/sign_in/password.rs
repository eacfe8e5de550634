//! `POST /auth/password/forgot`, `POST /auth/password/reset`

use crate::{
    http::{
        App,
        body::Body,
        problem::{self, Result},
        rate::{self, Limit},
        request::ClientAddress,
    },
    users::{Language, account, registration},
};
use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

const PER_EMAIL: Limit = Limit::per_hour("forgot-email", 5);

/// Whose password is forgotten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Forgot {
    /// The address.
    #[schema(example = "ayu@example.com")]
    email: String,
}

/// Ask for a mail to set a new password. The answer never tells whether the address is known.
#[utoipa::path(
    post,
    path = "/auth/password/forgot",
    tag = "sign-in",
    request_body = Forgot,
    responses((status = 202, description = "If the address has an account, a mail is on its way.")),
)]
pub(super) async fn forgot(
    State(state): App,
    address: ClientAddress,
    body: Body<Forgot>,
) -> Result<StatusCode> {
    rate::network(&state, &address.network()).await?;
    let email = super::email(&body.value.email)?;
    // Beyond the limit nothing more is sent, and nothing is said of it: the owner must not be told off for what others ask.
    if rate::has(rate::take(&state, PER_EMAIL, email.as_str()).await)? {
        registration::forgot(&state, &email, Language::default()).await?;
    }
    Ok(StatusCode::ACCEPTED)
}

/// The new password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reset {
    /// As it stands in the link.
    token: String,
    /// At least 10 characters, none of the common ones.
    #[schema(example = "kapal layar putih 7", min_length = 10, max_length = 200, format = Password)]
    password: String,
}

/// Set a new password by the token that was mailed. Whoever is logged in is logged out.
#[utoipa::path(
    post,
    path = "/auth/password/reset",
    tag = "sign-in",
    request_body = Reset,
    responses(
        (status = 204, description = "It is set."),
        (status = 400, body = problem::Body, content_type = "application/problem+json", description = "The token is not good, or not any more."),
        (status = 422, body = problem::Body, content_type = "application/problem+json", description = "The password can't be accepted."),
    ),
)]
pub(super) async fn reset(
    State(state): App,
    address: ClientAddress,
    body: Body<Reset>,
) -> Result<StatusCode> {
    rate::network(&state, &address.network()).await?;
    account::reset_password(&state, &body.value.token, &body.value.password, address).await?;
    Ok(StatusCode::NO_CONTENT)
}
