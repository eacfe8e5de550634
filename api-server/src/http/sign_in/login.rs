//! `POST /auth/login`

use super::user_agent;
use crate::{
    http::{
        App,
        body::Body,
        problem::{self, Code, Problem, Result},
        rate,
        request::ClientAddress,
        view::{TokensView, UserView},
    },
    users::{email::Email, login, password::Password},
};
use axum::{Json, extract::State, http::HeaderMap};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who logs in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    /// The address.
    #[schema(example = "ayu@example.com")]
    email: String,
    /// The password.
    #[schema(example = "kapal layar putih 7", format = Password)]
    password: String,
}

/// Somebody who is logged in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LoggedIn {
    /// Who.
    user: UserView,
    /// With what.
    tokens: TokensView,
}

/// Log in. After several wrong passwords it takes longer and longer until the next is looked at.
#[utoipa::path(
    post,
    path = "/auth/login",
    tag = "sign-in",
    request_body = Login,
    responses(
        (status = 200, body = LoggedIn),
        (status = 401, body = problem::Body, content_type = "application/problem+json", description = "Address or password is wrong."),
        (status = 403, body = problem::Body, content_type = "application/problem+json", description = "Right, but not verified yet, or deactivated."),
    ),
)]
pub(super) async fn login(
    State(state): App,
    address: ClientAddress,
    headers: HeaderMap,
    body: Body<Login>,
) -> Result<Json<LoggedIn>> {
    // Before anything is counted or read: whoever is turned away because too many wait has cost nothing, and has not guessed wrong.
    let place = state.hasher.place()?;
    rate::network(&state, &address.network()).await?;
    let Login { email, password } = body.value;
    // What is no address is nobody's; it is answered like a wrong one.
    let email = Email::parse(&email).map_err(|_| Problem::new(Code::BadCredentials))?;
    let password = Password::given(&password);
    let from = login::From { address, user_agent: user_agent(&headers) };
    let (user, issued) = login::log_in(&state, place, &email, &password, from).await?;
    Ok(Json(LoggedIn { user: user.into(), tokens: issued.into() }))
}
