//! `GET /me/quota`

use crate::{
    cluster::quota::Quota,
    http::{App, auth::CurrentUser, problem::Result, quota::QuotaView},
};
use axum::{Json, extract::State};

/// What I may have at once, and have.
#[utoipa::path(
    get,
    path = "/me/quota",
    tag = "me",
    security(("access_token" = [])),
    responses(
        (status = 200, body = QuotaView),
    ),
)]
pub(super) async fn read(State(state): App, CurrentUser(principal): CurrentUser) -> Result<Json<QuotaView>> {
    Ok(Json((&Quota::read(&state.cluster, principal.user_id).await?).into()))
}
