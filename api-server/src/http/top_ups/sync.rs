//! `POST /wallet/top-ups/{id}/sync`

use super::TopUpView;
use crate::{
    http::{
        App,
        auth::CurrentUser,
        idempotency::{self, Begun, Key},
        path::Id,
        problem::{self, Result},
        rate::{self, Limit},
    },
    payments::top_up,
};
use axum::{extract::State, http::StatusCode, response::Response};

/// Each is a call to the gateway, which has limits of its own.
const PER_USER: Limit = Limit::per_minute("sync-top-up", 20);

/// Ask the gateway now, and say how the top-up stands then. For whoever has paid and sees nothing of it yet.
#[utoipa::path(
    post,
    path = "/wallet/top-ups/{id}/sync",
    tag = "wallet",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The top-up."), ("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 200, body = TopUpView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "One has no such top-up."),
    ),
)]
pub(super) async fn sync(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    Id(id): Id,
    key: Key,
) -> Result<Response> {
    let route = format!("POST /wallet/top-ups/{id}/sync");
    let work = Box::pin(async {
        top_up::read(&state, principal.user_id, id).await?;
        rate::take(&state, PER_USER, &principal.user_id.to_string()).await?;
        Ok(top_up::sync(&state, principal.user_id, id).await?)
    });
    match idempotency::begin_after(&state, &principal, &route, key, b"", work).await? {
        Begun::Before(answer) => Ok(answer),
        Begun::First((once, top_up)) => once.finish(StatusCode::OK, &[], &TopUpView::from(top_up)).await,
    }
}
