//! What a client did, and what it was told.

use serde::Serialize;
use serde_json::json;

use super::caller::Call;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum What {
    /// An administrator puts cash into a wallet.
    Credit,
    /// An administrator takes cash out of it.
    Debit,
    /// An administrator gives something.
    Promotion,
    /// A customer means to top up.
    TopUp,
    /// The customer pays, at the gateway.
    Pay,
    /// The customer calls it off.
    Cancel,
    /// Some of it goes back, at the gateway.
    Refund,
    /// A customer looks into the wallet.
    Read,
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Told {
    /// It is done, by this transaction.
    Done(String),
    /// This is in the wallet: cash and promotion.
    Holds(i64, i64),
    /// It is refused, by this code.
    Refused(String),
    /// Nothing.
    Unknown,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Tells it from all others: the key of its request.
    pub key: String,
    /// What.
    pub what: What,
    /// Whose wallet.
    pub user: String,
    /// How much, in rupiah.
    pub amount: i64,
    /// What came of it.
    pub told: Told,
    /// How often it was asked for, with the same key.
    pub tries: usize,
}

impl What {
    /// What an adjustment does to cash and promotion.
    pub fn moves(self, amount: i64) -> Option<(i64, i64)> {
        match self {
            Self::Credit => Some((amount, 0)),
            Self::Debit => Some((-amount, 0)),
            Self::Promotion => Some((0, amount)),
            Self::TopUp | Self::Pay | Self::Cancel | Self::Refund | Self::Read => None,
        }
    }

    fn adjustment(self) -> Option<&'static str> {
        match self {
            Self::Credit => Some("CREDIT"),
            Self::Debit => Some("DEBIT"),
            Self::Promotion => Some("PROMOTION"),
            Self::TopUp | Self::Pay | Self::Cancel | Self::Refund | Self::Read => None,
        }
    }
}

impl Line {
    /// The request of an adjustment. Its transaction is found again by what people read.
    pub fn adjustment(&self) -> Option<Call> {
        let body = json!({
            "user_id": self.user, "kind": self.what.adjustment()?, "amount": self.amount,
            "reason": "Under fire", "description": self.key,
        });
        Some(Call::post("/admin/billing/adjustments", &self.key, body))
    }
}
