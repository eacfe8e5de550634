//! What Midtrans says of a transaction.

use super::{
    amount::{self, Written},
    time,
};
use crate::money::Rupiah;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Where a transaction stands at Midtrans. Upper and lower case are the same, for both have been seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Waits for the customer.
    Pending,
    /// A card's amount is set aside, and nothing is paid.
    Authorize,
    /// A card is charged: paid, if nobody thinks of fraud.
    Capture,
    /// Paid.
    Settlement,
    /// Refused by the provider; after a settlement it is taken back.
    Deny,
    /// Cancelled; after a capture it is taken back.
    Cancel,
    /// Not paid in time.
    Expire,
    /// Failed, for no reason that is told.
    Failure,
    /// All of it was given back.
    Refund,
    /// Some of it was given back.
    PartialRefund,
    /// A bank took all of it back.
    Chargeback,
    /// A bank took some of it back.
    PartialChargeback,
    /// One that is not known here.
    Unknown(String),
}

impl Status {
    /// All that are known, by their names.
    const NAMED: [(&str, Self); 12] = [
        ("pending", Self::Pending),
        ("authorize", Self::Authorize),
        ("capture", Self::Capture),
        ("settlement", Self::Settlement),
        ("deny", Self::Deny),
        ("cancel", Self::Cancel),
        ("expire", Self::Expire),
        ("failure", Self::Failure),
        ("refund", Self::Refund),
        ("partial_refund", Self::PartialRefund),
        ("chargeback", Self::Chargeback),
        ("partial_chargeback", Self::PartialChargeback),
    ];

    /// The one that a text names.
    pub fn read(text: &str) -> Self {
        let named = Self::NAMED.into_iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
        named.map_or_else(|| Self::Unknown(text.to_owned()), |(_, status)| status)
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        if let Self::Unknown(text) = self {
            return text;
        }
        Self::NAMED.iter().find(|(_, status)| status == self).map_or("unknown", |(name, _)| name)
    }
}

/// What was thought of fraud.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fraud {
    /// Nothing.
    Accept,
    /// It is one.
    Deny,
    /// Somebody has to look.
    Challenge,
    /// What is not known here.
    Unknown(String),
}

impl Fraud {
    /// The one that a text names.
    pub fn read(text: &str) -> Self {
        match text.to_ascii_lowercase().as_str() {
            "accept" => Self::Accept,
            "deny" => Self::Deny,
            "challenge" => Self::Challenge,
            _ => Self::Unknown(text.to_owned()),
        }
    }
}

/// One time that money went back. Midtrans lists all of them each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// What tells it from the others: `id:` and the id of refund or chargeback, else `key:` and the refund's key, else `no:` and its place.
    pub key: String,
    /// How much, whole rupiah.
    pub amount: Rupiah,
    /// Whether a bank took it: nobody gave it a key, and the transaction is charged back.
    pub is_chargeback: bool,
}

/// A transaction as Get Status tells it: the truth, unlike what a notification says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The order that it pays, as Midtrans has it: with DANA not always as we gave it.
    pub order_id: String,
    /// What it is known by, one of possibly several for an order.
    pub transaction_id: String,
    /// Where it stands.
    pub status: Status,
    /// What was thought of fraud, if that was asked.
    pub fraud: Option<Fraud>,
    /// What the customer pays, a fee included that Midtrans added.
    pub gross: Rupiah,
    /// What we asked for, where Midtrans added a fee.
    pub original: Option<Rupiah>,
    /// The currency; `IDR` where nothing is said.
    pub currency: String,
    /// How it is paid; not the name that a method has in a request.
    pub payment_type: String,
    /// What the answer says of itself: `200` with what is settled.
    pub status_code: String,
    /// When it began.
    pub transaction_time: Option<Timestamp>,
    /// When it was settled.
    pub settled_at: Option<Timestamp>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// Each time that money went back, all of them.
    pub refunds: Vec<Refund>,
    /// How much went back in all.
    pub refund_amount: Option<Rupiah>,
    /// Who issued the customer's account, with QRIS.
    pub issuer: Option<String>,
    /// The bank.
    pub bank: Option<String>,
    /// The chain of shops.
    pub store: Option<String>,
    /// What we sent along: the top-up's id.
    pub custom_field1: Option<String>,
}

/// Why an answer can't be understood.
#[derive(Debug, thiserror::Error)]
pub enum ObservedError {
    /// It is of another shape.
    #[error("is of another shape: {0}")]
    Shape(#[from] serde_json::Error),
    /// An amount is none of rupiah.
    #[error("`{field}` is no amount of whole rupiah")]
    Amount {
        /// Which.
        field: &'static str,
    },
}

#[derive(Deserialize)]
struct Wire<'a> {
    order_id: Written,
    transaction_id: Written,
    transaction_status: String,
    status_code: Written,
    gross_amount: Written,
    payment_type: String,
    currency: Option<String>,
    fraud_status: Option<String>,
    refund_amount: Option<Written>,
    #[serde(default)]
    refunds: Option<Vec<WireRefund>>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    transaction_time: Option<&'a RawValue>,
    #[serde(borrow)]
    settlement_time: Option<&'a RawValue>,
    #[serde(borrow)]
    expiry_time: Option<&'a RawValue>,
    #[serde(borrow)]
    issuer: Option<&'a RawValue>,
    #[serde(borrow)]
    bank: Option<&'a RawValue>,
    #[serde(borrow)]
    store: Option<&'a RawValue>,
    #[serde(borrow)]
    custom_field1: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireRefund {
    #[serde(rename = "refund_chargeback_id")]
    id: Option<Written>,
    #[serde(rename = "refund_key")]
    key: Option<Written>,
    #[serde(rename = "refund_amount")]
    amount: Written,
}

/// Where the fee's split is told.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    extra_info: ExtraInfo,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ExtraInfo {
    gross_amount_info: Option<GrossAmountInfo>,
}

#[derive(Deserialize)]
struct GrossAmountInfo {
    original_amount: Written,
}

impl Observed {
    /// Reads what Get Status answers. What nothing depends on, such as a time, is left out where it can't be read; money and standing
    /// must be readable.
    ///
    /// # Errors
    /// [`ObservedError`].
    pub fn parse(json: &[u8]) -> Result<Self, ObservedError> {
        let wire: Wire<'_> = serde_json::from_slice(json)?;
        let status = Status::read(&wire.transaction_status);
        let read = |field, text: &Written| amount::parse(&text.0).ok_or(ObservedError::Amount { field });
        let is_charged_back = matches!(status, Status::Chargeback | Status::PartialChargeback);
        let mut refunds = Vec::new();
        for (place, refund) in wire.refunds.unwrap_or_default().into_iter().enumerate() {
            refunds.push(Refund {
                is_chargeback: is_charged_back && refund.key.is_none(),
                amount: read("refunds[].refund_amount", &refund.amount)?,
                key: key(refund.id, refund.key, place),
            });
        }
        Ok(Self {
            gross: read("gross_amount", &wire.gross_amount)?,
            original: original(wire.metadata)?,
            refund_amount: wire.refund_amount.map(|it| read("refund_amount", &it)).transpose()?,
            order_id: wire.order_id.0,
            transaction_id: wire.transaction_id.0,
            status,
            fraud: wire.fraud_status.as_deref().map(Fraud::read),
            currency: wire.currency.unwrap_or_else(|| "IDR".to_owned()),
            payment_type: wire.payment_type,
            status_code: wire.status_code.0,
            transaction_time: text(wire.transaction_time).as_deref().and_then(time::parse),
            settled_at: text(wire.settlement_time).as_deref().and_then(time::parse),
            expires_at: text(wire.expiry_time).as_deref().and_then(time::parse),
            refunds,
            issuer: text(wire.issuer),
            bank: text(wire.bank),
            store: text(wire.store),
            custom_field1: text(wire.custom_field1),
        })
    }
}

/// A string, where it is one.
fn text(raw: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(raw?.get()).ok()
}

fn key(id: Option<Written>, key: Option<Written>, place: usize) -> String {
    match (id, key) {
        (Some(id), _) => format!("id:{}", id.0),
        (None, Some(key)) => format!("key:{}", key.0),
        (None, None) => format!("no:{place}"),
    }
}

/// What we asked for, from where Midtrans tells of a fee that it added. Metadata of another shape is somebody else's; a split that is
/// there and can't be read is an error, since money depends on it.
fn original(metadata: Option<&RawValue>) -> Result<Option<Rupiah>, ObservedError> {
    const FIELD: &str = "metadata.extra_info.gross_amount_info.original_amount";
    let Some(Ok(metadata)) = metadata.map(|raw| serde_json::from_str::<Metadata>(raw.get())) else {
        return Ok(None);
    };
    let info = metadata.extra_info.gross_amount_info;
    info.map(|it| amount::parse(&it.original_amount.0).ok_or(ObservedError::Amount { field: FIELD }))
        .transpose()
}
