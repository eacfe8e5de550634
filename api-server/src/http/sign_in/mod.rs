//! Accounts and sessions: what is called before one is logged in.

mod email;
mod jwks;
mod login;
mod logout;
mod password;
mod refresh;
mod register;

use super::problem::{Fields, Result};
use crate::{state::State, users::email::Email};
use axum::http::{HeaderMap, header};
use std::sync::Arc;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<State>> {
    OpenApiRouter::new()
        .routes(routes!(register::register))
        .routes(routes!(login::login))
        .routes(routes!(refresh::refresh))
        .routes(routes!(logout::logout))
        .routes(routes!(logout::logout_all))
        .routes(routes!(email::verify))
        .routes(routes!(email::resend))
        .routes(routes!(password::forgot))
        .routes(routes!(password::reset))
        .routes(routes!(jwks::jwks))
}

/// An address that must be one.
fn email(text: &str) -> Result<Email> {
    let mut fields = Fields::new();
    let email = fields.parse("email", Email::parse(text));
    email.ok_or_else(|| fields.problem())
}

/// The browser or program that asks, as it calls itself.
fn user_agent(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok())
}
