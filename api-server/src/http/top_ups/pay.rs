//! `POST /wallet/top-ups/{id}/pay`

use super::TopUpView;
use crate::{
    http::{
        App,
        auth::CurrentUser,
        body::Body,
        idempotency::{self, Begun, Key},
        path::Id,
        problem::{self, Code, Problem, Result},
        rate,
    },
    payments::top_up::{self, TopUpError},
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::Deserialize;
use utoipa::ToSchema;

/// How to go on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PayTopUp {
    /// Another method than before: what was begun is called off, and there is a new page.
    #[schema(example = "BANK_TRANSFER", max_length = 60)]
    method: Option<String>,
}

/// Go on paying a pending top-up: the page it has, or a new one where that is over. It can be repeated without harm.
#[utoipa::path(
    post,
    path = "/wallet/top-ups/{id}/pay",
    tag = "wallet",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The top-up."), ("Idempotency-Key" = Option<String>, Header)),
    request_body = PayTopUp,
    responses(
        (status = 200, body = TopUpView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "One has no such top-up."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "It is not pending any more, another request is at it, it was begun ten times already, or the gateway refuses the payment."),
        (status = 422, body = problem::Body, content_type = "application/problem+json", description = "The method can't be used for it."),
    ),
)]
pub(super) async fn pay(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    Id(id): Id,
    key: Key,
    body: Body<PayTopUp>,
) -> Result<Response> {
    let (method, route) = (body.value.method, format!("POST /wallet/top-ups/{id}/pay"));
    let work = Box::pin(async {
        rate::top_ups(&state, principal.user_id).await?;
        let paid = top_up::pay(&state, principal.user_id, id, method.as_deref()).await;
        paid.map_err(|error| match error {
            TopUpError::Method(why) => {
                Problem::field(Code::Invalid, "method", format!("can't be used: the amount {why}"))
            }
            error => error.into(),
        })
    });
    match idempotency::begin_after(&state, &principal, &route, key, &body.bytes, work).await? {
        Begun::Before(answer) => Ok(answer),
        Begun::First((once, top_up)) => once.finish(StatusCode::OK, &[], &TopUpView::from(top_up)).await,
    }
}
