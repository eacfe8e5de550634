//! What a test, or a customer at the page, makes happen.

use serde::{Deserialize, Serialize};

use super::method::Method;
use super::transaction::Fraud;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// The method is picked if none was, and the order is paid.
    Pay,
    /// A method is picked: pending.
    Pick,
    /// What is pending or captured settles.
    Settle,
    /// A card is charged, and settles later.
    Capture,
    /// A card is charged, and the fraud detection isn't sure.
    Challenge,
    /// An amount is reserved on a card.
    Authorize,
    /// A challenged charge is trusted.
    Approve,
    /// Refused.
    Deny,
    /// Not paid in time.
    Expire,
    /// Called off.
    Cancel,
    /// A captured charge is called off.
    Void,
    /// Something broke at the provider.
    Fail,
    /// The money of a settled payment goes back to the payer.
    Reverse,
    /// Money goes back by the merchant's will, outside the API.
    Refund,
    /// Money goes back by the bank's will.
    Chargeback,
    /// An expired payment settles all the same.
    LateSettle,
    /// The same order is paid by another transaction.
    SecondPayment,
    /// From now on the deadlines of the order pass without its expiry.
    HoldExpiry,
}

/// A verb and what it is done with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// What happens.
    pub verb: Verb,
    /// The order.
    pub order_id: String,
    /// The transaction; none: the latest of the order that can do it.
    #[serde(default)]
    pub transaction_id: Option<String>,
    /// How it is paid; none: as it was picked, else by BCA's virtual account.
    #[serde(default)]
    pub method: Option<Method>,
    /// The fraud detection's word on a payment.
    #[serde(default)]
    pub fraud_status: Option<Fraud>,
    /// What the gateway adds at the customer's cost, in rupiah.
    #[serde(default)]
    pub fee: Option<i64>,
    /// A card payment stays captured.
    #[serde(default)]
    pub capture: bool,
    /// Rupiah to go back; none: all that is left.
    #[serde(default)]
    pub amount: Option<i64>,
    /// Whatever the method and the page allow.
    #[serde(default)]
    pub forced: bool,
    /// A payment isn't preceded by the notification that it is pending.
    #[serde(default)]
    pub quiet: bool,
}

impl Act {
    /// A verb on an order.
    pub fn new(verb: Verb, order_id: impl Into<String>) -> Self {
        Self {
            verb,
            order_id: order_id.into(),
            transaction_id: None,
            method: None,
            fraud_status: None,
            fee: None,
            capture: false,
            amount: None,
            forced: false,
            quiet: false,
        }
    }

    /// The order is paid by a method.
    pub fn pay(order_id: impl Into<String>, method: Method) -> Self {
        Self::new(Verb::Pay, order_id).by(method)
    }

    /// The method.
    #[must_use]
    pub fn by(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// The transaction.
    #[must_use]
    pub fn transaction(mut self, id: impl Into<String>) -> Self {
        self.transaction_id = Some(id.into());
        self
    }

    /// The amount to go back.
    #[must_use]
    pub fn amount(mut self, rupiah: i64) -> Self {
        self.amount = Some(rupiah);
        self
    }

    /// The fee at the customer's cost.
    #[must_use]
    pub fn fee(mut self, rupiah: i64) -> Self {
        self.fee = Some(rupiah);
        self
    }

    /// The fraud detection's word.
    #[must_use]
    pub fn fraud(mut self, word: Fraud) -> Self {
        self.fraud_status = Some(word);
        self
    }

    /// A card payment that stays captured.
    #[must_use]
    pub fn captured(mut self) -> Self {
        self.capture = true;
        self
    }

    /// Whatever the method and the page allow.
    #[must_use]
    pub fn forced(mut self) -> Self {
        self.forced = true;
        self
    }

    /// Without the notification that it is pending.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }
}
