//! `GET /wallet/top-ups/{id}`

use super::TopUpView;
use crate::{
    http::{
        App,
        auth::CurrentUser,
        path::Id,
        problem::{self, Result},
    },
    payments::top_up,
};
use axum::{Json, extract::State};

/// A top-up of one's own.
#[utoipa::path(
    get,
    path = "/wallet/top-ups/{id}",
    tag = "wallet",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The top-up.")),
    responses(
        (status = 200, body = TopUpView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "One has no such top-up."),
    ),
)]
pub(super) async fn read(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    Id(id): Id,
) -> Result<Json<TopUpView>> {
    Ok(Json(top_up::read(&state, principal.user_id, id).await?.into()))
}
