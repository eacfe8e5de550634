//! `GET /admin/billing/payments`

use super::findings::FindingView;
use crate::{
    http::{
        App,
        auth::Administrator,
        problem::{self, Code, Problem, Result},
        query::Query,
        top_ups::TopUpView,
    },
    payments::inquiry::{self, Held, Inquiry, Told, Try},
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// The most characters of what is asked for.
const LONGEST: usize = 200;

/// Which payment.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// What one has at hand: an order (`tu-…`), the gateway's id of a transaction, a top-up's id, or the id or number (`TXMP-101`) of a
    /// transaction of ours.
    #[param(min_length = 1, max_length = 200, pattern = r"^[^\u0000]*$", example = "TXMP-101")]
    of: String,
}

/// All that is known of one payment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaymentInquiry)]
pub(super) struct InquiryView {
    /// Whose it is.
    #[schema(required = true)]
    user_id: Option<Uuid>,
    /// The top-up, without its page; none where only notifications or findings name the order.
    #[schema(required = true)]
    top_up: Option<TopUpView>,
    /// Each try to have it paid, the last first.
    attempts: Vec<Try>,
    /// What the gateway holds for them, in the order in which it was heard of.
    payments: Vec<Held>,
    /// The last hundred notifications, the last first.
    notifications: Vec<Told>,
    /// What was found, the last first.
    findings: Vec<FindingView>,
}

impl From<Inquiry> for InquiryView {
    fn from(inquiry: Inquiry) -> Self {
        let Inquiry { top_up, attempts, payments, notifications, findings } = inquiry;
        let (top_up, user_id) = top_up.unzip();
        let findings = findings.into_iter().map(FindingView::from).collect();
        Self { user_id, top_up: top_up.map(TopUpView::from), attempts, payments, notifications, findings }
    }
}

/// Look into one payment: the top-up, each try to have it paid, what the gateway holds and told, and what was found.
#[utoipa::path(
    get,
    path = "/billing/payments",
    tag = "billing",
    security(("access_token" = [])),
    params(Which),
    responses(
        (status = 200, body = InquiryView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "Nothing is known of that."),
        (status = 422, body = problem::Body, content_type = "application/problem+json", description = "It has no or too many characters."),
    ),
)]
pub(super) async fn read(
    State(state): App,
    _admin: Administrator,
    Query(Which { of }): Query<Which>,
) -> Result<Json<InquiryView>> {
    if !(1..=LONGEST).contains(&of.chars().count()) {
        return Err(Problem::field(Code::Invalid, "of", format!("must have 1 to {LONGEST} characters")));
    }
    let found = inquiry::find(&state, &of).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(Json(found.into()))
}
