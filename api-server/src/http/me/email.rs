//! `POST /me/email`

use crate::{
    http::{
        App,
        auth::CurrentUser,
        body::Body,
        idempotency::{self, Begun, Key},
        problem::{self, Fields, Result},
        rate::{self, Limit},
    },
    users::{account, email::Email, password::Password},
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::Deserialize;
use utoipa::ToSchema;

const PER_EMAIL: Limit = Limit::per_hour("change-email", 5);

/// The new address.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeEmail {
    /// It.
    #[schema(example = "ayu@example.org", format = Email, max_length = 254)]
    email: String,
    /// One's password.
    #[schema(example = "kapal layar putih 7", format = Password)]
    password: String,
}

/// Ask for another address. A link goes to the new one; with it the address is changed, all sessions end, and the old address is told.
#[utoipa::path(
    post,
    path = "/me/email",
    tag = "me",
    security(("access_token" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = ChangeEmail,
    responses(
        (status = 202, description = "A mail is on its way to the new address, unless somebody else has it."),
        (status = 403, body = problem::Body, content_type = "application/problem+json", description = "The password is wrong."),
    ),
)]
pub(super) async fn change(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    key: Key,
    body: Body<ChangeEmail>,
) -> Result<Response> {
    let ChangeEmail { email, password } = body.value;
    let mut fields = Fields::new();
    let email = fields.parse("email", Email::parse(&email));
    let Some(email) = email else { return Err(fields.problem()) };
    let work = async {
        rate::take(&state, PER_EMAIL, email.as_str()).await?;
        account::confirm(&state, &principal, &Password::given(&password)).await
    };
    let begun = idempotency::begin_after(&state, &principal, "POST /me/email", key, &body.bytes, work);
    let (mut once, confirmed) = match begun.await? {
        Begun::Before(answer) => return Ok(answer),
        Begun::First(first) => first,
    };
    account::change_email(once.db(), &confirmed, &email, state.clock.now()).await?;
    let answer = once.finish_empty(StatusCode::ACCEPTED).await?;
    state.mail_is_due.notify_one();
    Ok(answer)
}
