//! `POST /subscriptions/{id}/cancel`

use super::SubscriptionView;
use crate::{
    http::{
        App,
        auth::CurrentUser,
        body::Body,
        idempotency::{self, Begun, Key},
        path::Id,
        problem::{self, Result},
    },
    subscriptions::cancel as ending,
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::Deserialize;
use utoipa::ToSchema;

/// When it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(as = CancelSubscriptionWhen, rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum When {
    /// At once.
    Now,
}

impl TryFrom<String> for When {
    type Error = &'static str;

    /// Whoever means to end it later must not lose the app today.
    fn try_from(word: String) -> std::result::Result<Self, &'static str> {
        if word == "NOW" {
            return Ok(Self::Now);
        }
        Err("can be NOW alone: ending it with its period is not possible yet")
    }
}

/// How a subscription is cancelled.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CancelSubscription {
    /// When it ends; left out: at once. Ending it with its period comes later, as a word more.
    #[expect(dead_code, reason = "there is one word so far; that it is no other is what counts")]
    when: Option<When>,
}

/// Cancel a subscription, now: no other end can be asked for yet. Its app is stopped at once and then deleted; its data is kept for a while. What has not been used of the price comes
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
    request_body = Option<CancelSubscription>,
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
    body: Option<Body<CancelSubscription>>,
) -> Result<Response> {
    let (key, route) = (key.require()?, format!("POST /subscriptions/{id}/cancel"));
    let bytes = body.map(|body| body.bytes).unwrap_or_default();
    let mut once = match idempotency::begin(&state, &principal, &route, key, &bytes).await? {
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
