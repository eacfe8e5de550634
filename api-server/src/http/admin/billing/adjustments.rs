//! `POST /admin/billing/adjustments`

use super::transactions::OwnedView;
use crate::{
    http::{
        App,
        admin::Trace,
        amount::Amount,
        auth::Administrator,
        body::Body,
        idempotency::{self, Begun, Key},
        problem::{self, Code, Fields, Problem, Result},
    },
    users::administration::By,
    wallet::adjustments::{self, Adjust, Adjustment, MOST},
};
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::Response,
};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// The fewest characters of a reason.
const SHORTEST: usize = 3;
/// The most characters of a reason or a description.
const LONGEST: usize = 500;

/// An adjustment to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MakeAdjustment {
    /// Of whose wallet.
    user_id: Uuid,
    /// What is done.
    kind: Adjust,
    /// How much, in rupiah: digits alone.
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000_000, example = 50_000)]
    amount: Amount,
    /// Why, for the audit log.
    #[schema(example = "Paid by bank transfer to the old account", min_length = 3, max_length = 500)]
    reason: String,
    /// What the customer reads.
    #[schema(example = "Correction of a top-up", max_length = 500)]
    description: Option<String>,
}

/// A text of a bearable length, which is counted as it came; trimmed.
fn text(field: &str, text: &str, least: usize) -> Result<String> {
    let wrong = |message: String| Err(Problem::field(Code::Invalid, field, message));
    let trimmed = text.trim();
    if text.chars().count() > LONGEST {
        return wrong(format!("has more than {LONGEST} characters"));
    }
    if trimmed.chars().count() < least {
        return wrong(format!("has fewer than {least} characters"));
    }
    Ok(trimmed.to_owned())
}

impl MakeAdjustment {
    fn read(self) -> Result<(Adjustment, String)> {
        let Self { user_id, kind, amount, reason, description } = self;
        let mut fields = Fields::new();
        let amount = amount.within(&mut fields, "amount", 1, MOST);
        let reason = fields.take(text("reason", &reason, SHORTEST))?;
        let description = fields.take(text("description", &description.unwrap_or_default(), 0))?;
        let (Some(amount), Some(reason), Some(description)) = (amount, reason, description) else {
            return Err(fields.problem());
        };
        Ok((Adjustment { user_id, kind, amount, description }, reason))
    }
}

/// Set something right in a wallet, or give something.
///
/// `CREDIT` and `DEBIT` change the cash, `PROMOTION` what was given. What was a mistake is set right by another adjustment.
#[utoipa::path(
    post,
    path = "/billing/adjustments",
    tag = "billing",
    security(("access_token" = [])),
    params(("Idempotency-Key" = String, Header, description = "A new random one for each adjustment. The same key and body answer with the first result again, for a day.")),
    request_body = MakeAdjustment,
    responses(
        (status = 201, body = OwnedView, headers(("Location" = String, description = "Where the transaction is read."))),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "There is less in the wallet, or the user is deleted, or the first request with this key is still under way."),
        (status = 422, body = problem::Body, content_type = "application/problem+json", description = "Values can't be accepted, or the key was used with another body."),
    ),
)]
pub(super) async fn adjust(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    key: Key,
    body: Body<MakeAdjustment>,
) -> Result<Response> {
    let key = key.require()?;
    let (adjustment, why) = body.value.read()?;
    // Before the connection: whoever waits for this wallet holds none.
    let place = state.wallets.place(adjustment.user_id).await?;
    let route = "POST /admin/billing/adjustments";
    let mut once = match idempotency::begin(&state, &principal, route, key, &body.bytes).await? {
        Begun::Before(answer) => return Ok(answer),
        Begun::First(once) => once,
    };
    let actor = trace.actor(&principal);
    let by = By { actor: &actor, reason: Some(&why), now: state.clock.now() };
    let made = adjustments::adjust(once.db(), by, &adjustment).await?;
    let location = [(header::LOCATION, format!("/api/v1/admin/billing/transactions/{}", made.id))];
    let answer = once.finish(StatusCode::CREATED, &location, &OwnedView::from(made)).await?;
    drop(place);
    Ok(answer)
}
