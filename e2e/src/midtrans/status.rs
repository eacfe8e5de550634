//! The words of a transaction: its states, the fraud detection's, the steps, and why one isn't taken.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::method::Method;

/// The state, named as `transaction_status` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the gateway's word for a state")]
pub enum Status {
    Pending,
    Authorize,
    Capture,
    Settlement,
    Deny,
    Cancel,
    Expire,
    Failure,
    Refund,
    PartialRefund,
    Chargeback,
    PartialChargeback,
}

impl Status {
    /// The gateway's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Authorize => "authorize",
            Self::Capture => "capture",
            Self::Settlement => "settlement",
            Self::Deny => "deny",
            Self::Cancel => "cancel",
            Self::Expire => "expire",
            Self::Failure => "failure",
            Self::Refund => "refund",
            Self::PartialRefund => "partial_refund",
            Self::Chargeback => "chargeback",
            Self::PartialChargeback => "partial_chargeback",
        }
    }
}

/// What the fraud detection says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the gateway's word")]
pub enum Fraud {
    Accept,
    Deny,
    Challenge,
}

/// What happens to a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The money is there.
    Settle,
    /// A card is charged; it settles later.
    Capture,
    /// An amount is reserved on a card.
    Authorize,
    /// A card is charged, and the fraud detection isn't sure.
    Challenge,
    /// The merchant trusts a challenged one.
    Approve,
    /// The provider or the merchant refuses it.
    Deny,
    /// Called off before it settled.
    Cancel,
    /// Not paid in time.
    Expire,
    /// Something broke at the provider.
    Fail,
    /// The money of a settled one goes back to the payer at once.
    Reverse,
    /// Paid, although it had expired.
    LateSettle,
    /// So many rupiah go back by the merchant's will.
    Refund(i64),
    /// So many rupiah go back by the bank's will.
    Chargeback(i64),
}

/// Why a step can't be taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// There is no such order or transaction.
    #[error("there is no such transaction")]
    Unknown,
    /// The state doesn't allow it.
    #[error("a transaction in state {} can't do that", .0.name())]
    State(Status),
    /// The way to pay doesn't allow it.
    #[error("{0} can't do that")]
    Method(Method),
    /// More than is left of it, or nothing.
    #[error("the amount is not between 1 and {0}")]
    Amount(i64),
    /// The order is paid, the page is over, or the method isn't offered.
    #[error("{0}")]
    Page(&'static str),
}
