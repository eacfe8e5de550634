//! `POST /auth/email/verify`, `POST /auth/email/resend`

use crate::{
    http::{
        App,
        body::Body,
        problem::{self, Result},
        rate::{self, Limit},
        request::ClientAddress,
    },
    users::{Language, registration},
};
use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const PER_EMAIL: Limit = Limit::per_hour("resend-email", 5);

/// The token of a mail.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Verify {
    /// As it stands in the link.
    token: String,
}

/// The address that is proven.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VerifiedEmail {
    /// It.
    #[schema(example = "ayu@example.com")]
    email: String,
    /// Where the account has no password: a token for `POST /auth/password/reset`. That happens when two have registered with the
    /// address, and takes the password of whoever could not prove it off the account.
    #[schema(required = true)]
    password_token: Option<String>,
}

/// Prove an address by the token that was mailed to it: the first one, or the one it is changed to.
#[utoipa::path(
    post,
    path = "/auth/email/verify",
    tag = "sign-in",
    request_body = Verify,
    responses(
        (status = 200, body = VerifiedEmail),
        (status = 400, body = problem::Body, content_type = "application/problem+json", description = "The token is not good, or not any more."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "Somebody else has the new address meanwhile."),
    ),
)]
pub(super) async fn verify(
    State(state): App,
    address: ClientAddress,
    body: Body<Verify>,
) -> Result<Json<VerifiedEmail>> {
    rate::network(&state, &address.network()).await?;
    let verified = registration::verify(&state, &body.value.token).await?;
    Ok(Json(VerifiedEmail { email: verified.email, password_token: verified.password_token }))
}

/// Whose mail is to be sent again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Resend {
    /// The address.
    #[schema(example = "ayu@example.com")]
    email: String,
}

/// Send the mail that proves an address again. The answer never tells whether the address is known.
#[utoipa::path(
    post,
    path = "/auth/email/resend",
    tag = "sign-in",
    request_body = Resend,
    responses((status = 202, description = "If somebody waits for it there, a mail is on its way.")),
)]
pub(super) async fn resend(
    State(state): App,
    address: ClientAddress,
    body: Body<Resend>,
) -> Result<StatusCode> {
    rate::network(&state, &address.network()).await?;
    let email = super::email(&body.value.email)?;
    if rate::has(rate::take(&state, PER_EMAIL, email.as_str()).await)? {
        registration::resend(&state, &email, Language::default()).await?;
    }
    Ok(StatusCode::ACCEPTED)
}
