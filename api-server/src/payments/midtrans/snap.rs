//! Snap: the page on which a customer chooses how to pay, and pays.

use super::{CallError, Client, OVERRIDE, OrderId, Unclear, segment, time};
use crate::money::Rupiah;
use http::{HeaderMap, Method};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;
use url::Url;
use uuid::Uuid;

/// The longest name of an item that Midtrans takes.
const LONGEST_ITEM: usize = 50;
/// The longest name of a customer that is sent.
const LONGEST_NAME: usize = 100;

/// A page to make.
#[derive(Clone, Debug)]
pub struct NewPage<'a> {
    /// The order, which is kept before the page is made.
    pub order_id: OrderId,
    /// What it is for; comes back as `custom_field1`.
    pub top_up: Uuid,
    /// Whether it may have been asked for before: then a refusal can mean that the customer is at it already.
    pub again: bool,
    /// How much.
    pub amount: Rupiah,
    /// The methods on it, by Midtrans' codes; with none all that the account has.
    pub enabled_payments: &'a [String],
    /// Who pays.
    pub customer_name: &'a str,
    /// Their address.
    pub customer_email: &'a str,
    /// When the time to pay begins. Told again with the same value, it does not become longer.
    pub starts: Timestamp,
    /// The time to pay, on the page and with the method: whole minutes, from 5 of them to 7 days. Below 15 it isn't kept reliably.
    pub lasts: SignedDuration,
    /// Where the customer goes afterwards.
    pub finish_url: Option<&'a str>,
    /// What is bought, as the customer reads it.
    pub item_name: &'a str,
}

/// A page that was made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Page {
    /// What it is known by.
    pub token: String,
    /// Where the customer finds it: used as it is, its form has changed more than once.
    pub redirect_url: String,
}

/// What became of a page that was to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageEnded {
    /// It is closed.
    Done,
    /// The customer has chosen a method: cancel the transaction instead.
    InProgress,
    /// It was closed before, or never there.
    Gone,
}

impl Client {
    /// Makes a page. For an order whose page nobody has used it makes a new one, and the one before is void: after an unclear answer the
    /// same call is made again, with [`NewPage::again`].
    ///
    /// # Errors
    /// [`CallError`]: [`CallError::OrderUsed`] where the order may be under way or paid.
    pub async fn create(&self, page: &NewPage<'_>) -> Result<Page, CallError> {
        let url = format!("{}/transactions", self.shared.snap);
        let notify = self.shared.notification_url.iter().map(|to| (OVERRIDE, to.clone()));
        let headers = notify.collect::<HeaderMap>();
        let answer = self.call(Method::POST, &url, Some(page.body()), headers).await?.clear()?;
        match answer.code {
            202 => Err(Unclear::AtWork.into()),
            200..300 => {
                let made: Page = answer.read()?;
                let leads_to_a_page = Url::parse(&made.redirect_url)
                    .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
                if made.token.is_empty() || !leads_to_a_page {
                    return Err(CallError::Unreadable("`token` or `redirect_url` can't be used".to_owned()));
                }
                Ok(made)
            }
            400 if page.again => Err(CallError::OrderUsed { messages: answer.messages }),
            _ => Err(answer.refused()),
        }
    }

    /// Closes a page that nobody has used.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn cancel_page(&self, token: &str) -> Result<PageEnded, CallError> {
        let Some(token) = segment(token) else { return Ok(PageEnded::Gone) };
        let url = format!("{}/transactions/{token}/cancel", self.shared.snap);
        let answer = self.call(Method::POST, &url, None, HeaderMap::new()).await?.clear()?;
        let says = |text: &str| answer.messages.iter().any(|it| it.to_lowercase().contains(text));
        match answer.code {
            202 => Err(Unclear::AtWork.into()),
            200..300 => Ok(PageEnded::Done),
            404 => Ok(PageEnded::Gone),
            // Nothing but the text tells these from each other.
            400..500 if says("on progress") || says("in progress") => Ok(PageEnded::InProgress),
            400..500 if says("already cancel") || says("not found") => Ok(PageEnded::Gone),
            _ => Err(answer.refused()),
        }
    }
}

impl NewPage<'_> {
    /// As Midtrans wants it: amounts are JSON integers, and the one item makes up the whole.
    pub(super) fn body(&self) -> Vec<u8> {
        let (amount, minutes) = (self.amount.get(), time::minutes(self.lasts));
        let mut body = json!({
            "transaction_details": {"order_id": self.order_id.to_string(), "gross_amount": amount},
            "item_details": [{
                "id": "top-up",
                "price": amount,
                "quantity": 1,
                "name": plain(self.item_name, LONGEST_ITEM),
            }],
            "customer_details": {
                "first_name": plain(self.customer_name, LONGEST_NAME),
                "email": self.customer_email,
            },
            "credit_card": {"secure": true},
            // With its beginning, for else it begins when a method is chosen, and a code can be paid long after the page is gone.
            "expiry": {"start_time": time::write(self.starts), "unit": "minute", "duration": minutes},
            "page_expiry": {"unit": "minute", "duration": minutes},
            "custom_field1": self.top_up.to_string(),
        });
        if !self.enabled_payments.is_empty() {
            body["enabled_payments"] = json!(self.enabled_payments);
        }
        if let Some(url) = self.finish_url {
            body["callbacks"] = json!({"finish": url});
        }
        body.to_string().into_bytes()
    }
}

/// A text without what a shop's till can't take (`|`) or nobody sees, and not too long.
fn plain(text: &str, longest: usize) -> String {
    let seen = text.chars().map(|it| if it == '|' || it.is_control() { ' ' } else { it });
    seen.take(longest).collect()
}
