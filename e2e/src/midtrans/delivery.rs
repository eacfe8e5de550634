//! What was delivered, or was to be.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::book::Notice;

/// One try to deliver a notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The order, as the merchant knows it.
    pub order_id: String,
    /// The transaction.
    pub transaction_id: String,
    /// Its state as the notification has it.
    pub transaction_status: String,
    /// Where it went.
    pub url: String,
    /// Which try it was, from 1 on.
    pub attempt: usize,
    /// The HTTP status of the answer.
    pub answer: Option<u16>,
    /// Why there was none.
    pub error: Option<String>,
    /// When, by the gateway's clock.
    pub at: Timestamp,
    /// Whether it is one that the gateway never meant to send.
    pub forged: bool,
}

/// What a parcel holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// A change, to be written and signed when it leaves.
    Notice(Box<Notice>),
    /// A body as it stands.
    Forged(Box<Value>),
}

/// A notification for one address.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// What is in it.
    pub content: Content,
    /// The order it is about.
    pub order_id: String,
    /// Where it goes.
    pub url: String,
    /// Which try is next, from 1 on.
    pub attempt: usize,
    /// Whether the next of its order waits for it.
    pub leads: bool,
}

impl Parcel {
    /// A first try.
    pub fn new(content: Content, order_id: &str, url: String) -> Self {
        Self { content, order_id: order_id.to_owned(), url, attempt: 1, leads: false }
    }

    /// Its order and address, within which notifications keep their order.
    pub fn lane(&self) -> (String, String) {
        (self.order_id.clone(), self.url.clone())
    }

    /// What is written down of a try.
    pub fn tried(&self, answer: Result<u16, String>, at: Timestamp) -> Delivery {
        let (transaction_id, transaction_status) = match &self.content {
            Content::Notice(notice) => {
                (notice.transaction.id.clone(), notice.transaction.status.name().to_owned())
            }
            Content::Forged(body) => {
                let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
                (text("transaction_id"), text("transaction_status"))
            }
        };
        let forged = matches!(self.content, Content::Forged(_));
        let (answer, error) = match answer {
            Ok(code) => (Some(code), None),
            Err(why) => (None, Some(why)),
        };
        Delivery {
            order_id: self.order_id.clone(),
            transaction_id,
            transaction_status,
            url: self.url.clone(),
            attempt: self.attempt,
            answer,
            error,
            at,
            forged,
        }
    }
}
