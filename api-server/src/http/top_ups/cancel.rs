//! `POST /wallet/top-ups/{id}/cancel`

use super::TopUpView;
use crate::{
    http::{
        App,
        auth::CurrentUser,
        idempotency::{self, Begun, Key},
        path::Id,
        problem::{self, Result},
        rate,
    },
    payments::top_up,
};
use axum::{extract::State, http::StatusCode, response::Response};

/// Call a pending top-up off. What somebody has paid at the same moment is credited all the same. It can be repeated without harm.
#[utoipa::path(
    post,
    path = "/wallet/top-ups/{id}/cancel",
    tag = "wallet",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The top-up."), ("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 200, body = TopUpView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "One has no such top-up."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "It is paid or over."),
    ),
)]
pub(super) async fn cancel(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    Id(id): Id,
    key: Key,
) -> Result<Response> {
    let route = format!("POST /wallet/top-ups/{id}/cancel");
    let work = Box::pin(async {
        rate::top_ups(&state, principal.user_id).await?;
        Ok(top_up::cancel(&state, principal.user_id, id).await?)
    });
    match idempotency::begin_after(&state, &principal, &route, key, b"", work).await? {
        Begun::Before(answer) => Ok(answer),
        Begun::First((once, top_up)) => once.finish(StatusCode::OK, &[], &TopUpView::from(top_up)).await,
    }
}
