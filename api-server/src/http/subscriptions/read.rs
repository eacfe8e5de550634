//! `GET /subscriptions/{id}`

use super::SubscriptionView;
use crate::{
    http::{
        App,
        auth::CurrentUser,
        path::Id,
        problem::{self, Code, Problem, Result},
    },
    subscriptions::store,
};
use axum::{Json, extract::State};

/// One's subscription.
#[utoipa::path(
    get,
    path = "/subscriptions/{id}",
    tag = "subscriptions",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The subscription.")),
    responses(
        (status = 200, body = SubscriptionView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "One has no such subscription."),
    ),
)]
pub(super) async fn read(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    Id(id): Id,
) -> Result<Json<SubscriptionView>> {
    let row = store::find_own(&state.db, principal.user_id, id).await?;
    let row = row.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(Json(super::view(&state, row).await?))
}
