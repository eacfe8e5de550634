//! `POST /subscriptions`

use super::{SubscriptionView, read_name, read_parameters};
use crate::{
    http::{
        App,
        amount::Amount,
        auth::CurrentUser,
        body::Body,
        idempotency::{self, Begun, Key},
        problem::{self, Fields, Result},
        rate,
    },
    money::Rupiah,
    subscriptions::buy::{self, Order},
};
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::Response,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What one buys.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateSubscription {
    /// The plan.
    #[schema(example = "ghost-small", max_length = 63)]
    plan: String,
    /// What one calls it; without, it is called after app and plan.
    #[schema(example = "My publication", min_length = 1, max_length = 80)]
    name: Option<String>,
    /// The app's settings, by the names that its service lists.
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    /// Whether it is to be renewed by itself, from the wallet.
    #[serde(default = "yes")]
    auto_renew: bool,
    /// What one expects to pay, as a quote said: where it costs something else by now, nothing is bought.
    #[schema(value_type = Option<i64>, minimum = 0, example = 89_000)]
    expected_total: Option<Amount>,
}

fn yes() -> bool {
    true
}

impl CreateSubscription {
    fn read(self) -> Result<Order> {
        let Self { plan, name, parameters, auto_renew, expected_total } = self;
        let mut fields = Fields::new();
        let name = match name {
            Some(name) => fields.take(read_name(&name))?.map(Some),
            None => Some(None),
        };
        let parameters = read_parameters(&mut fields, parameters)?;
        let expected = match expected_total {
            Some(amount) => amount.within(&mut fields, "expected_total", 0, Rupiah::MOST.get()).map(Some),
            None => Some(None),
        };
        let (Some(name), Some(parameters), Some(expected_total)) = (name, parameters, expected) else {
            return Err(fields.problem());
        };
        Ok(Order { plan, name, parameters, auto_renew, expected_total })
    }
}

/// Buy: the first period is paid from the wallet at once, and the app is made. Its period begins when it is there for the first time; what is
/// not there after an hour is given up, and all of the money comes back. One customer may ask for 20 purchases an hour, repeats included, unless the
/// installation says otherwise: what is beyond is answered 429, and nothing is bought.
#[utoipa::path(
    post,
    path = "/subscriptions",
    tag = "subscriptions",
    security(("access_token" = [])),
    params(("Idempotency-Key" = String, Header, description = "A new random one for each purchase. The same key and body answer with the first result again, for a day.")),
    request_body = CreateSubscription,
    responses(
        (status = 201, body = SubscriptionView, headers(("Location" = String, description = "Where the subscription is read."))),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "Something stands in the way, as a quote would say, or the first request with this key is still under way. Nothing is bought and nothing paid."),
        (status = 422, body = problem::Body, content_type = "application/problem+json", description = "There is no such plan, values can't be accepted, or the key was used with another body."),
    ),
)]
pub(super) async fn create(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    key: Key,
    body: Body<CreateSubscription>,
) -> Result<Response> {
    let key = key.require()?;
    let order = body.value.read()?;
    rate::purchases(&state, principal.user_id).await?;
    // Before the connection: whoever waits for this wallet holds none.
    let place = state.wallets.place(principal.user_id).await?;
    let mut once =
        match idempotency::begin(&state, &principal, "POST /subscriptions", key, &body.bytes).await? {
            Begun::Before(answer) => return Ok(answer),
            Begun::First(once) => once,
        };
    let bought = buy::buy(&state, once.db(), principal.user_id, order).await?;
    let location = [(header::LOCATION, format!("/api/v1/subscriptions/{}", bought.id))];
    let answer = once.finish(StatusCode::CREATED, &location, &SubscriptionView::of(bought, None)).await?;
    drop(place);
    state.metrics.subscriptions.moved("bought");
    state.subscriptions_are_due.notify_one();
    state.mail_is_due.notify_one();
    Ok(answer)
}
