//! `POST /auth/refresh`

use crate::{
    http::{
        App,
        body::Body,
        problem::{self, Result},
        rate,
        request::ClientAddress,
        view::TokensView,
    },
    sessions,
};
use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::ToSchema;

/// The token to be exchanged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Refresh {
    /// The refresh token, which is good once.
    refresh_token: String,
}

/// Exchange a refresh token for a new pair. Asked again within ten seconds it answers with the same refresh token again; asked later
/// with a used one, it ends the session, since two have the token.
#[utoipa::path(
    post,
    path = "/auth/refresh",
    tag = "sign-in",
    request_body = Refresh,
    responses(
        (status = 200, body = TokensView),
        (status = 401, body = problem::Body, content_type = "application/problem+json", description = "The token is not good, or not any more."),
    ),
)]
pub(super) async fn refresh(
    State(state): App,
    address: ClientAddress,
    body: Body<Refresh>,
) -> Result<Json<TokensView>> {
    rate::network(&state, &address.network()).await?;
    Ok(Json(sessions::refresh(&state, &body.value.refresh_token, address).await?.into()))
}
