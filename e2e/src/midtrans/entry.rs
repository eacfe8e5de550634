//! The book as it is shown.

use serde::{Deserialize, Serialize};

use super::method::Method;
use super::order::Order;
use super::transaction::{Fraud, Status, Transaction};

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its id.
    pub order_id: String,
    /// What the merchant asked for, in rupiah.
    pub expected: i64,
    /// The token of its page.
    pub token: String,
    /// What the merchant really holds by it, in rupiah, without fees.
    pub net: i64,
    /// The attempts to pay it.
    pub transactions: Vec<Attempt>,
}

/// A transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its id.
    pub transaction_id: String,
    /// How it is paid.
    pub method: Method,
    /// Its state.
    pub status: Status,
    /// The fraud detection's word.
    pub fraud: Option<Fraud>,
    /// What was asked for.
    pub amount: i64,
    /// What the customer pays on top of it.
    pub fee: i64,
    /// What went back, by refund or chargeback.
    pub returned: i64,
    /// What the merchant really holds by it.
    pub net: i64,
}

impl Entry {
    /// Of an order.
    pub fn of(order: &Order) -> Self {
        Self {
            order_id: order.terms.order_id.clone(),
            expected: order.terms.gross,
            token: order.terms.token.clone(),
            net: order.net(),
            transactions: order.transactions.iter().map(Attempt::of).collect(),
        }
    }
}

impl Attempt {
    fn of(transaction: &Transaction) -> Self {
        Self {
            transaction_id: transaction.id.clone(),
            method: transaction.method,
            status: transaction.status,
            fraud: transaction.fraud,
            amount: transaction.amount,
            fee: transaction.fee,
            returned: transaction.returned_total(),
            net: transaction.net(),
        }
    }
}
