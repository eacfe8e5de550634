//! Refunds by the API, and the many ways in which they are none.

use jiff::{SignedDuration, Timestamp};

use super::book::{Book, Notice};
use super::faults::Fault;
use super::method::Method;
use super::play;
use super::transaction::{Refused, Returned, Status, Transaction};

/// For how long a refused key may be tried again.
const RETRIED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What the merchant asks for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The merchant's name for this refund.
    pub key: String,
    /// Rupiah; none: all that is left.
    pub amount: Option<i64>,
    /// Why.
    pub reason: Option<String>,
    /// Through the endpoint that takes only methods that refund at once.
    pub direct: bool,
}

/// Why nothing is refunded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum No {
    /// There is no such transaction.
    Unknown,
    /// Its state, method or age is against it.
    NotRefundable,
    /// The key was used.
    Duplicate,
    /// The amount, or the merchant's balance, is against it.
    Amount,
    /// The bank said no.
    Denied,
}

impl From<Refused> for No {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unknown => Self::Unknown,
            Refused::Amount(_) => Self::Amount,
            Refused::State(_) | Refused::Method(_) | Refused::Page(_) => Self::NotRefundable,
        }
    }
}

/// Refunds, or says why not.
pub fn refund(
    book: &mut Book,
    id: &str,
    ask: &Ask,
    fault: Option<Fault>,
    now: Timestamp,
) -> Result<Vec<Notice>, No> {
    let (_, transaction) = book.find(id).ok_or(No::Unknown)?;
    check(transaction, ask, now)?;
    let (id, left) = (transaction.id.clone(), transaction.left());
    if fault == Some(Fault::Denied) {
        book.change(&id, |transaction| {
            if !transaction.denied.iter().any(|(key, _)| *key == ask.key) {
                transaction.denied.push((ask.key.clone(), now));
            }
            Ok(())
        })?;
        return Err(No::Denied);
    }
    let amount = ask.amount.unwrap_or(left);
    if fault == Some(Fault::NoFunds) || !(1..=left).contains(&amount) {
        return Err(No::Amount);
    }
    let returned = Returned {
        id: book.next_serial(),
        key: Some(ask.key.clone()),
        amount,
        reason: ask.reason.clone(),
        at: now,
        bank_confirmed_at: None,
    };
    Ok(play::returning(book, &id, returned, now)?)
}

fn check(transaction: &Transaction, ask: &Ask, now: Timestamp) -> Result<(), No> {
    if transaction.returned.iter().any(|returned| returned.key.as_ref() == Some(&ask.key)) {
        return Err(No::Duplicate);
    }
    let first = transaction.denied.iter().find(|(key, _)| *key == ask.key).map(|(_, at)| *at);
    if first.is_some_and(|first| now.duration_since(first) > RETRIED) {
        return Err(No::Duplicate);
    }
    let state = matches!(transaction.status, Status::Settlement | Status::PartialRefund);
    let at_once = transaction.method != Method::Dana;
    if !state || transaction.is_too_old_to_refund(now) || ask.direct && !at_once {
        return Err(No::NotRefundable);
    }
    Ok(())
}
