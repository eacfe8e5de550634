//! `POST /subscriptions/quote`

use super::{BillingPeriod, read_parameters};
use crate::{
    http::{
        App,
        auth::CurrentUser,
        body::Body,
        idempotency::{self, Begun, Key},
        problem::{self, Fields, Result},
    },
    ledger,
    money::Rupiah,
    subscriptions::{
        Resources,
        offer::{self, Obstacle},
    },
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What one thinks of buying.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AskForQuote {
    /// The plan.
    #[schema(example = "ghost-small", max_length = 63)]
    plan: String,
    /// The app's settings, by the names that its service lists.
    #[serde(default)]
    parameters: BTreeMap<String, String>,
}

/// What it would cost, and whether one can have it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Quote {
    /// The plan.
    plan: String,
    /// The app.
    service: String,
    /// How long one payment lasts.
    period: BillingPeriod,
    /// What one period costs, in rupiah; a purchase names it as `expected_total`.
    total: Rupiah,
    /// The tax in it, in rupiah.
    tax: Rupiah,
    /// The currency.
    #[schema(example = "IDR")]
    currency: &'static str,
    /// What it may take.
    resources: Resources,
    /// What one's wallet has to spend, in rupiah.
    balance: Rupiah,
    /// How much is missing in it, in rupiah.
    missing: Rupiah,
    /// Whether it can be bought now.
    can_buy: bool,
    /// Everything that stands in the way, each with what to do.
    obstacles: Vec<Obstacle>,
}

/// What something would cost, and what stands in the way of buying it: tax, quota, what is left of the plan, the wallet. Nothing is kept for
/// one: somebody else may buy the last one meanwhile.
#[utoipa::path(
    post,
    path = "/subscriptions/quote",
    tag = "subscriptions",
    security(("access_token" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = AskForQuote,
    responses(
        (status = 200, body = Quote),
        (status = 422, body = problem::Body, content_type = "application/problem+json", description = "There is no such plan, or settings can't be accepted."),
    ),
)]
pub(super) async fn quote(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    key: Key,
    body: Body<AskForQuote>,
) -> Result<Response> {
    let AskForQuote { plan, parameters } = body.value;
    let mut fields = Fields::new();
    let Some(parameters) = read_parameters(&mut fields, parameters)? else { return Err(fields.problem()) };
    let user_id = principal.user_id;
    let route = "POST /subscriptions/quote";
    let mut once = match idempotency::begin(&state, &principal, route, key, &body.bytes).await? {
        Begun::Before(answer) => return Ok(answer),
        Begun::First(once) => once,
    };
    let offer = offer::find(&state, &plan, parameters)?;
    let wallet = ledger::read(&mut *once.db(), user_id).await?;
    let facts = offer::facts(&state, once.db(), user_id, &offer, wallet).await?;
    let obstacles = offer::obstacles(&offer, &facts);
    let (total, balance) = (offer.charge.total, wallet.map(|wallet| wallet.spendable()).unwrap_or_default());
    let missing = total.minus(balance).ok().filter(|missing| missing.is_positive()).unwrap_or_default();
    let quote = Quote {
        plan: offer.plan,
        service: offer.service,
        period: offer.period.into(),
        total,
        tax: offer.charge.tax,
        currency: "IDR",
        resources: offer.resources,
        balance,
        missing,
        can_buy: obstacles.is_empty(),
        obstacles,
    };
    once.finish(StatusCode::OK, &[], &quote).await
}
