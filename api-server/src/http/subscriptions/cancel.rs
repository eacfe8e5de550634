//! `POST /subscriptions/{id}/cancel`

use super::SubscriptionView;
use crate::{
    http::{
        App,
        auth::CurrentUser,
        idempotency::{self, Begun, Key},
        path::Id,
        problem::{self, Result},
    },
    subscriptions::cancel as ending,
};
use axum::{extract::State, http::StatusCode, response::Response};

/// Cancel a subscription, now. Its app is stopped at once and then deleted; its data is kept for a while. What has not been used of the price comes
/// back, to the second: all of it where the app was never there. It comes as soon as nothing of the app runs any more.
#[utoipa::path(
    post,
    path = "/subscriptions/{id}/cancel",
    tag = "subscriptions",
    security(("access_token" = [])),
    params(
        ("id" = uuid::Uuid, Path, description = "The subscription."),
        ("Idempotency-Key" = String, Header, description = "A new random one. The same key answers with the first result again, for a day."),
    ),
    responses(
        (status = 200, body = SubscriptionView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "One has no such subscription."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "It has ended, or the first request with this key is still under way."),
    ),
)]
pub(super) async fn cancel(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    Id(id): Id,
    key: Key,
) -> Result<Response> {
    let (key, route) = (key.require()?, format!("POST /subscriptions/{id}/cancel"));
    let mut once = match idempotency::begin(&state, &principal, &route, key, b"").await? {
        Begun::Before(answer) => return Ok(answer),
        Begun::First(once) => once,
    };
    let row = ending::cancel(&state, once.db(), principal.user_id, id).await?;
    let refund = ending::refund_of(&mut *once.db(), &row).await?;
    let answer = once.finish(StatusCode::OK, &[], &SubscriptionView::of(row, refund)).await?;
    state.metrics.subscriptions.moved("cancelled");
    state.subscriptions_are_due.notify_one();
    state.mail_is_due.notify_one();
    Ok(answer)
}
