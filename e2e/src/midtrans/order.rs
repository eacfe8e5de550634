//! An order: what the merchant asked for, and the transactions that tried to pay it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::method::{self, Method};
use super::transaction::{Refused, Transaction};

/// Where notifications of an order go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notify {
    /// Where the merchant's settings say.
    #[default]
    Own,
    /// There instead.
    Instead(Vec<String>),
    /// There, too.
    Also(Vec<String>),
}

/// What the merchant asked for. It stays as it is until the order is created anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// The order's id, the merchant's.
    pub order_id: String,
    /// The amount in rupiah.
    pub gross: i64,
    /// The token of the payment page.
    pub token: String,
    /// When it was created.
    pub created: Timestamp,
    /// From when `life` counts; none: from when a method is picked.
    pub start: Option<Timestamp>,
    /// How long a method can be paid; none: as long as is usual for it.
    pub life: Option<SignedDuration>,
    /// Until when the page is open.
    pub page_until: Timestamp,
    /// The methods offered.
    pub enabled: Vec<Method>,
    /// `custom_field1` to `custom_field3`.
    pub custom: [Option<String>; 3],
    /// What the merchant wants back in each notification.
    pub metadata: Option<Value>,
    /// Where notifications go.
    pub notify: Notify,
    /// Where the customer goes after the payment.
    pub finish: Option<String>,
}

impl Terms {
    /// Until when a method that is picked now can be paid.
    pub fn deadline(&self, method: Method, now: Timestamp) -> Timestamp {
        let (from, life) = match self.life {
            Some(life) => (self.start.unwrap_or(now), life),
            None => (now, SignedDuration::from_secs(method.life())),
        };
        from.checked_add(life).unwrap_or(Timestamp::MAX)
    }
}

/// An order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// What the merchant asked for.
    #[serde(with = "shared")]
    pub terms: Arc<Terms>,
    /// When the merchant closed the page.
    pub canceled_at: Option<Timestamp>,
    /// Whether deadlines pass without anything happening.
    pub expiry_held: bool,
    /// The attempts to pay it, in the order they were made.
    pub transactions: Vec<Transaction>,
}

impl Order {
    /// A new one.
    pub fn new(terms: Terms) -> Self {
        Self { terms: Arc::new(terms), canceled_at: None, expiry_held: false, transactions: Vec::new() }
    }

    /// Whether its id may be used for another: nobody picked a method, or all that was picked is over.
    pub fn is_free(&self) -> bool {
        self.transactions.iter().all(Transaction::is_given_up)
    }

    /// The methods that its page shows.
    pub fn methods(&self) -> impl Iterator<Item = Method> {
        let gross = self.terms.gross;
        let offered = self.terms.enabled.iter().copied();
        offered.filter(move |method| {
            let (least, most) = method.range();
            (least..=most).contains(&gross)
        })
    }

    /// Whether the customer may pick a method now.
    pub fn check_page(&self, now: Timestamp) -> Result<(), Refused> {
        if self.canceled_at.is_some() {
            return Err(Refused::Page("the page was closed by the merchant"));
        }
        if self.transactions.iter().any(Transaction::is_paid) {
            return Err(Refused::Page("the order is paid"));
        }
        if now >= self.terms.page_until {
            return Err(Refused::Page("the page is over"));
        }
        Ok(())
    }

    /// What the merchant really holds by it.
    pub fn net(&self) -> i64 {
        self.transactions.iter().map(Transaction::net).sum()
    }
}

/// The methods of an order that names none.
pub fn all_methods() -> Vec<Method> {
    method::ALL.to_vec()
}

/// Terms are shared with the notifications that speak of them.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::Terms;

    pub fn serialize<S: Serializer>(terms: &Arc<Terms>, serializer: S) -> Result<S::Ok, S::Error> {
        terms.as_ref().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Terms>, D::Error> {
        Terms::deserialize(deserializer).map(Arc::new)
    }
}
