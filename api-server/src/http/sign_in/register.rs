//! `POST /auth/register`

use crate::{
    http::{
        App,
        body::Body,
        problem::{Fields, Result},
        rate::{self, Limit},
        request::ClientAddress,
    },
    users::{Language, email::Email, parse_name, registration},
};
use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

/// Accounts that one network may make in an hour, and mails that one address may be sent by anybody.
const PER_NETWORK: Limit = Limit::per_hour("register", 30);
const PER_EMAIL: Limit = Limit::per_hour("register-email", 5);

/// What somebody registers with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Register {
    /// The address, which is proven by mail.
    #[schema(example = "ayu@example.com", format = Email, max_length = 254)]
    email: String,
    /// At least 10 characters, none of the common ones.
    #[schema(example = "kapal layar putih 7", min_length = 10, max_length = 200, format = Password)]
    password: String,
    /// What they are called.
    #[schema(example = "Ayu Lestari", min_length = 1, max_length = 100)]
    name: String,
    /// The language of mails; Indonesian where it is not said.
    #[serde(default)]
    language: Language,
}

/// Register. The answer is the same whether the address is known or not; what comes next stands in the mail.
#[utoipa::path(
    post,
    path = "/auth/register",
    tag = "sign-in",
    request_body = Register,
    responses((status = 202, description = "A mail is on its way to the address.")),
)]
pub(super) async fn register(
    State(state): App,
    address: ClientAddress,
    body: Body<Register>,
) -> Result<StatusCode> {
    rate::network(&state, &address.network()).await?;
    rate::take(&state, PER_NETWORK, &address.network()).await?;
    let Register { email, password, name, language } = body.value;
    let accepted = state.hasher.accept("password", &password, &[&email, &name]).await;
    let mut fields = Fields::new();
    let password = fields.take(accepted)?;
    let email = fields.parse("email", Email::parse(&email));
    let name = fields.parse("name", parse_name(&name));
    let (Some(email), Some(password), Some(name)) = (email, password, name) else {
        return Err(fields.problem());
    };
    rate::take(&state, PER_EMAIL, email.as_str()).await?;
    registration::register(&state, &registration::Registration { email, password, name, language }).await?;
    Ok(StatusCode::ACCEPTED)
}
