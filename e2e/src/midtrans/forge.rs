//! Notifications that aren't true: what somebody could send who doesn't have the key, and what the dashboard's test button sends.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::body;
use super::book::{Book, Notice};
use super::method::Method;
use super::order::{Notify, Order, Terms};
use super::signature::sign;
use super::transaction::{Fraud, Refused, Status, Transaction};

/// What is untrue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forgery {
    /// The signature is another.
    Signature,
    /// The signature is that of an earlier genuine notification, and good; the state, which isn't signed, is `settlement`.
    Status,
    /// The same, with the id of another transaction.
    Transaction,
    /// The amount was changed after signing.
    Amount,
    /// Signed with another key.
    Key,
}

/// The body of a forged notification of an order.
pub fn forged(book: &Book, order_id: &str, kind: Forgery, key: &str) -> Result<Value, Refused> {
    let order = book.order(order_id).ok_or(Refused::Unknown)?;
    let replayed = matches!(kind, Forgery::Status | Forgery::Transaction);
    let mut notice = Notice { terms: Arc::clone(&order.terms), transaction: replayable(order, replayed)? };
    let code = if notice.transaction.signed_200 { "200" } else { "201" };
    notice.transaction.status = Status::Settlement;
    let key = if kind == Forgery::Key { "SB-Mid-client-another" } else { key };
    let mut made = body::notification(&notice, key);
    let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
    let (order_id, gross, signed) = (text("order_id"), text("gross_amount"), text("signature_key"));
    match kind {
        Forgery::Signature => made["signature_key"] = json!(signed.chars().rev().collect::<String>()),
        Forgery::Amount => made["gross_amount"] = json!(body::money(notice.transaction.gross() * 10)),
        Forgery::Key => {}
        Forgery::Status | Forgery::Transaction => {
            made["status_code"] = json!(code);
            made["signature_key"] = json!(sign(&order_id, code, &gross, key));
        }
    }
    if kind == Forgery::Transaction {
        made["transaction_id"] = json!(Uuid::new_v4().to_string());
    }
    Ok(made)
}

/// A transaction of which something signed was sent; where the signature is to be bad, one that doesn't exist will do.
fn replayable(order: &Order, must_exist: bool) -> Result<Transaction, Refused> {
    let sent = |transaction: &&Transaction| transaction.signed_200 || transaction.notified_code() == "201";
    let known = order.transactions.iter().rev();
    let best = known.clone().find(|transaction| transaction.signed_200).or_else(|| known.clone().find(sent));
    match best.or(order.transactions.last()) {
        Some(transaction) if !must_exist || sent(&transaction) => Ok(transaction.clone()),
        None if !must_exist => Ok(made_up(order.terms.gross, order.terms.created)),
        _ => Err(Refused::Page("nothing of this order was signed with 200 or 201")),
    }
}

fn made_up(amount: i64, now: Timestamp) -> Transaction {
    Transaction {
        id: Uuid::new_v4().to_string(),
        serial: 0,
        method: Method::BcaVa,
        amount,
        fee: 0,
        status: Status::Settlement,
        fraud: Some(Fraud::Accept),
        at: now,
        settled_at: Some(now),
        expires_at: now,
        returned: Vec::new(),
        denied: Vec::new(),
        uppercase: false,
        signed_200: true,
    }
}

/// What the test button sends: well signed, of an order that nobody made.
pub fn unknown_order(now: Timestamp) -> Notice {
    let order_id = format!("payment_notif_test_{}_{}", body::MERCHANT, Uuid::new_v4());
    let terms = Terms {
        order_id,
        gross: 105_000,
        token: String::new(),
        created: now,
        start: None,
        life: None,
        page_until: now,
        enabled: Vec::new(),
        custom: [None, None, None],
        metadata: None,
        notify: Notify::Own,
        finish: None,
    };
    Notice { terms: Arc::new(terms), transaction: made_up(105_000, now) }
}
