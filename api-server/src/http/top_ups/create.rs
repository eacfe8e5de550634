//! `POST /wallet/top-ups`

use super::TopUpView;
use crate::{
    http::{
        App,
        amount::Amount,
        auth::CurrentUser,
        body::Body,
        idempotency::{self, Key, REPLAYED, Resumed},
        problem::{self, Fields, Result},
        rate,
    },
    payments::top_up::{self, TopUpError},
    wallet::Status,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use utoipa::ToSchema;

/// What one means to pay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateTopUp {
    /// How much, in whole rupiah: from 10,000 to 10,000,000, and within what the method allows.
    #[schema(value_type = i64, minimum = 10_000, maximum = 10_000_000, example = 500_000)]
    amount: Amount,
    /// The code of a method; without one the page offers all that allow the amount.
    #[schema(example = "QRIS", max_length = 60)]
    method: Option<String>,
}

/// Begin a top-up. The answer says where to pay; the wallet is credited once the gateway says that it was paid. The order is kept before the gateway
/// is called: after a 503, or no answer at all, the same request with the same key goes on with it.
#[utoipa::path(
    post,
    path = "/wallet/top-ups",
    tag = "wallet",
    security(("access_token" = [])),
    params(("Idempotency-Key" = String, Header, description = "Required. The same key and body answers with the same top-up, as it stands then, for a day.")),
    request_body = CreateTopUp,
    responses(
        (status = 201, body = TopUpView, headers(("Location" = String, description = "Where the top-up is read."))),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "Too many are pending, the gateway refuses the payment, or the first request with this key is still under way."),
        (status = 422, body = problem::Body, content_type = "application/problem+json", description = "Values can't be accepted, or the key was used with another body."),
    ),
)]
pub(super) async fn create(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    key: Key,
    body: Body<CreateTopUp>,
) -> Result<Response> {
    let key = key.require()?;
    let CreateTopUp { amount, method } = body.value;
    let (mut fields, methods) = (Fields::new(), &state.payments.methods);
    let amount = amount.within(&mut fields, "amount", methods.minimum().get(), methods.maximum().get());
    let Some(amount) = amount else { return Err(fields.problem()) };
    rate::top_ups(&state, principal.user_id).await?;
    let route = "POST /wallet/top-ups";
    let begun = idempotency::begin_resumable(&state, &principal, route, key, &body.bytes).await?;
    let (id, is_repeat) = match begun {
        Resumed::Before(id) => (id, true),
        Resumed::First(mut once) => {
            let id = top_up::open(&state, once.db(), principal.user_id, amount, method.as_deref()).await?;
            once.commit_resumable(id).await?;
            (id, false)
        }
    };
    let made = match top_up::pay(&state, principal.user_id, id, None).await {
        // A repeat that comes late is told how it stands.
        Err(TopUpError::Decided(status)) if is_repeat || status != Status::Pending => {
            top_up::read(&state, principal.user_id, id).await
        }
        made => made,
    }?;
    let mut headers = HeaderMap::new();
    if is_repeat {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    let location = format!("/api/v1/wallet/top-ups/{id}");
    if let Ok(location) = HeaderValue::from_str(&location) {
        headers.insert(header::LOCATION, location);
    }
    Ok((StatusCode::CREATED, headers, Json(TopUpView::from(made))).into_response())
}
