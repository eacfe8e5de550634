//! All that is known of one payment, for administrators who look into it.

use super::{
    TopUp,
    findings::Finding,
    store,
    top_up::{self, TopUpError},
};
use crate::{money::Rupiah, state::State, wallet::Number};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// One try to have a top-up paid.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = PaymentAttempt)]
pub struct Try {
    /// The order that the gateway knows it by.
    #[schema(example = "tu-0192a000000070008000000000000000")]
    pub order_id: String,
    /// How much, in rupiah.
    pub amount: Rupiah,
    /// Whether somebody may still be sent to its page.
    pub is_open: bool,
    /// Whether the gateway has made its page.
    pub has_page: bool,
    /// Whether the gateway is still to be told that nobody pays it any more.
    pub cancel_wanted: bool,
    /// When it was begun.
    pub created_at: Timestamp,
    /// Until when it can be paid.
    pub expires_at: Timestamp,
    /// When the gateway is asked about it next by itself.
    #[schema(required = true)]
    pub next_check_at: Option<Timestamp>,
    /// How often it was asked so.
    pub checks: i32,
    /// Since when that fails.
    #[schema(required = true)]
    pub failing_since: Option<Timestamp>,
}

/// One transaction of the gateway.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = GatewayPayment)]
pub struct Held {
    /// The gateway's id.
    pub gateway_id: String,
    /// The order that it pays, as we gave it.
    pub order_id: String,
    /// What the gateway said of it last.
    #[schema(example = "settlement")]
    pub status: String,
    /// How it was paid, as the gateway calls it.
    #[schema(required = true, example = "bank_transfer")]
    pub payment_type: Option<String>,
    /// How far it has come: `PENDING`, `UNPAID`, `PAID`, `PARTLY_REVERSED`, `REVERSED`.
    #[schema(example = "PAID")]
    pub standing: String,
    /// What the customer paid, in rupiah, the gateway's fee included.
    pub gross_amount: Rupiah,
    /// What was credited for it, in rupiah.
    pub credited: Rupiah,
    /// By which transaction.
    #[schema(required = true)]
    pub credited_by: Option<Uuid>,
    /// What was taken back of that, in rupiah.
    pub taken_back: Rupiah,
    /// When the gateway was asked for what is known.
    #[schema(required = true)]
    pub asked_at: Option<Timestamp>,
    /// When it was first heard of.
    pub first_seen_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// A notification of the gateway.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = PaymentNotification)]
pub struct Told {
    /// Its id, which sorts by time.
    pub id: Uuid,
    /// The order that it names.
    #[schema(required = true)]
    pub order_id: Option<String>,
    /// The gateway's transaction that it names.
    #[schema(required = true)]
    pub gateway_id: Option<String>,
    /// What it says; not to be believed.
    #[schema(required = true, example = "settlement")]
    pub status: Option<String>,
    /// What became of it: `RECEIVED` (to be looked at), `DONE`, `UNKNOWN_ORDER`, `FORGED`.
    #[schema(example = "DONE")]
    pub state: String,
    /// From where it came.
    #[schema(required = true)]
    pub address: Option<String>,
    /// When it came.
    pub received_at: Timestamp,
    /// When it was looked at to the end.
    #[schema(required = true)]
    pub decided_at: Option<Timestamp>,
    /// How often it was tried.
    pub attempts: i32,
    /// Why it could not be settled the last time.
    #[schema(required = true)]
    pub last_error: Option<String>,
}

/// All that is known of a payment.
#[derive(Clone, Debug)]
pub struct Inquiry {
    /// The top-up and whose it is; none where there are only notifications and findings of an order.
    pub top_up: Option<(TopUp, Uuid)>,
    /// Each try to have it paid, the last first.
    pub attempts: Vec<Try>,
    /// What the gateway holds for them, in the order in which it was heard of.
    pub payments: Vec<Held>,
    /// The last notifications, the last first.
    pub notifications: Vec<Told>,
    /// What was found, the last first.
    pub findings: Vec<Finding>,
}

/// What somebody may have at hand of a payment.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    /// As it was said: an order, or the gateway's id of a transaction.
    pub(super) text: &'a str,
    /// The same, where it is one: of a top-up, or of a transaction of ours.
    pub(super) id: Option<Uuid>,
    /// The same, where it is one: of a transaction of ours.
    pub(super) number: Option<i64>,
}

/// Looks up a payment by what somebody has at hand: an order, the gateway's id of a transaction, a top-up's id, or the id or number of the
/// transaction that credited it. None where nothing is known of that.
///
/// # Errors
/// As the database's.
pub async fn find(state: &State, text: &str) -> Result<Option<Inquiry>, TopUpError> {
    let number = Number::parse(text).map(|number| number.0);
    let about = About { text, id: Uuid::try_parse(text).ok(), number };
    let found = store::inquiry::top_up(&state.db, about).await?;
    let (mut top_up, mut attempts, mut payments) = (None, Vec::new(), Vec::new());
    if let Some((id, user_id)) = found {
        // The page is the customer's.
        top_up = Some((TopUp { page: None, ..top_up::read(state, user_id, id).await? }, user_id));
        attempts = store::inquiry::attempts(&state.db, id).await?;
        payments = store::inquiry::payments(&state.db, id).await?;
    }
    let orders = attempts.iter().map(|one| one.order_id.clone());
    let ids = payments.iter().map(|one| one.gateway_id.clone());
    let subjects: Vec<String> = orders.chain(ids).chain([text.to_owned()]).collect();
    let notifications = store::inquiry::notifications(&state.db, &subjects).await?;
    let findings = store::findings_about(&state.db, found.map(|(id, _)| id), &subjects).await?;
    let is_known = top_up.is_some() || !notifications.is_empty() || !findings.is_empty();
    Ok(is_known.then_some(Inquiry { top_up, attempts, payments, notifications, findings }))
}
