//! Money into the wallet: `/wallet/top-ups` and `/wallet/payment-methods`.

mod cancel;
mod create;
mod list;
mod methods;
mod pay;
mod read;
mod sync;

use super::problem::{Code, Problem};
use crate::{
    money::Rupiah,
    payments::{TopUp, methods::MethodError, settle::SettleError, top_up::TopUpError},
    state::State,
    wallet::{Number, Status},
};
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<State>> {
    OpenApiRouter::new()
        .routes(routes!(methods::methods))
        .routes(routes!(create::create, list::list))
        .routes(routes!(read::read))
        .routes(routes!(pay::pay))
        .routes(routes!(cancel::cancel))
        .routes(routes!(sync::sync))
}

/// What one means to pay into the wallet, and how it stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TopUp)]
pub struct TopUpView {
    /// The id.
    id: Uuid,
    /// The number of its transaction, by which one names it to support.
    number: Number,
    /// Its transaction.
    transaction_id: Uuid,
    /// How much, in rupiah.
    amount: Rupiah,
    /// The currency.
    #[schema(example = "IDR")]
    currency: &'static str,
    /// How it stands. What was not paid in time or cancelled may still be paid by whoever had begun: then it is `COMPLETED`.
    status: Status,
    /// The method that was chosen here; none: the page asks.
    #[schema(required = true, example = "QRIS")]
    method: Option<String>,
    /// What it was paid with, as the gateway calls it, once it is decided.
    #[schema(required = true, example = "qris")]
    paid_with: Option<String>,
    /// Where to pay, while that is possible.
    #[schema(required = true)]
    payment: Option<PaymentPage>,
    /// When it was begun.
    created_at: Timestamp,
    /// Until when it can be paid.
    expires_at: Timestamp,
    /// When it came to its status; none while it is pending.
    #[schema(required = true)]
    decided_at: Option<Timestamp>,
}

/// Where to pay.
#[derive(Debug, Serialize, ToSchema)]
pub struct PaymentPage {
    /// For the gateway's script in one's own page.
    token: String,
    /// The gateway's page.
    redirect_url: String,
    /// What the gateway says of a method that was chosen there: `pending`; none where none was.
    #[schema(required = true)]
    gateway_status: Option<String>,
}

impl From<TopUp> for TopUpView {
    fn from(top_up: TopUp) -> Self {
        let TopUp {
            id,
            number,
            transaction_id,
            amount,
            status,
            method,
            paid_with,
            awaits_payment_by,
            page,
            created_at,
            expires_at,
            decided_at,
        } = top_up;
        let payment = page.map(|(token, redirect_url)| PaymentPage {
            token,
            redirect_url,
            gateway_status: awaits_payment_by,
        });
        Self {
            id,
            number,
            transaction_id,
            amount,
            currency: "IDR",
            status,
            method,
            paid_with,
            payment,
            created_at,
            expires_at,
            decided_at,
        }
    }
}

impl From<TopUpError> for Problem {
    fn from(error: TopUpError) -> Self {
        match error {
            TopUpError::Missing => Self::new(Code::NotFound),
            TopUpError::Method(error @ MethodError::Unknown) => {
                Self::field(Code::Invalid, "method", error.to_string())
            }
            TopUpError::Method(error) => Self::field(Code::Invalid, "amount", error.to_string()),
            TopUpError::TooManyPending => Self::with(Code::TooManyTopUps, format!("{error}.")),
            TopUpError::TooManyAttempts => Self::with(Code::TopUpTooManyAttempts, format!("{error}.")),
            TopUpError::Decided(status) => {
                Self::with(Code::TopUpDecided, format!("The top-up is {}.", status.as_str()))
            }
            TopUpError::InFlight => Self::new(Code::TopUpInFlight),
            TopUpError::Refused => Self::with(
                Code::PaymentRefused,
                "The payment gateway refuses this payment. It has come to nothing; try another method.",
            ),
            TopUpError::Settle(error) => error.into(),
            TopUpError::Database(error) => error.into(),
        }
    }
}

impl From<SettleError> for Problem {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::Off => Self::unavailable("No payment gateway is set up here."),
            error @ (SettleError::Gateway(_) | SettleError::Overtaken) => {
                tracing::warn!(%error, "the payment gateway gave no good answer");
                Self::unavailable(
                    "The payment gateway gives no answer. Nothing is lost: repeat the same request a little later.",
                )
            }
            SettleError::Post(error) => Self::internal(&error),
            SettleError::Database(error) => error.into(),
        }
    }
}
