//! Our books against the gateway's.

use std::collections::HashMap;

use super::{Held, Owners, Wrong};
use crate::midtrans::entry::Entry;
use crate::money::books::{Books, Transaction};

/// The key of the entry that credits a transaction of the gateway begins so.
const CREDIT: &str = "topup:midtrans:";
/// That of one that takes back.
const BACK: &str = "reversal:midtrans:";

/// What our books have of a transaction of the gateway.
#[derive(Clone, Copy, Debug, Default)]
struct Booked {
    credits: usize,
    rupiah: i64,
}

/// The transaction of the gateway that one of ours is about, and whether it credits it.
fn about(one: &Transaction) -> Option<(&str, bool)> {
    if let Some(id) = one.key.strip_prefix(CREDIT) {
        return Some((id, true));
    }
    let id = one.key.strip_prefix(BACK)?;
    Some((id.split_once(':').map_or(id, |(id, _)| id), false))
}

/// Whether everything that was paid is credited once, everything that went back is taken back, and nothing else is credited. `owners` has
/// for each order whose it is.
pub fn payments(books: &Books, gateway: &[Entry], owners: &Owners) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let mut booked = HashMap::<(&str, &str), Booked>::new();
    for one in &books.transactions {
        if let Some((id, is_credit)) = about(one) {
            let sum = booked.entry((id, &one.user)).or_default();
            sum.credits += usize::from(is_credit);
            sum.rupiah += one.cash + one.promotion;
        }
    }
    for entry in gateway {
        let owner = owners.0.get(&entry.order_id).map_or("", String::as_str);
        for attempt in &entry.transactions {
            let id = attempt.transaction_id.as_str();
            let found = booked.remove(&(id, owner)).unwrap_or_default();
            if found.credits > 1 {
                wrong.push(Wrong::Twice(format!("payment {id}"), found.credits));
            }
            if attempt.net > 0 && found.credits == 0 {
                wrong.push(Wrong::Lost(format!("payment {id}")));
            } else if attempt.net != found.rupiah {
                let what = format!("payment {id}");
                wrong.push(Wrong::Differs { what, expected: attempt.net, found: found.rupiah });
            }
        }
    }
    wrong.extend(booked.into_keys().map(|(id, user)| Wrong::Unmeant(format!("payment {id} of {user}"))));
    let expected = gateway.iter().map(|entry| entry.net).sum();
    if expected != books.clearing {
        wrong.push(Wrong::Clearing { expected, found: books.clearing });
    }
    wrong
}

/// What the gateway holds for each customer.
pub fn held(gateway: &[Entry], owners: &Owners) -> Held {
    let mut held = Held::default();
    for entry in gateway {
        if let Some(owner) = owners.0.get(&entry.order_id) {
            *held.0.entry(owner.clone()).or_default() += entry.net;
        }
    }
    held
}
