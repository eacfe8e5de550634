//! Midtrans' notifications: read, and believed only when signed. The signature covers the order, the code and the amount, and nothing else;
//! so even a good one says no more than "ask for the status now".

use super::{
    Status,
    amount::{self, Written},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use sha2::{Digest as _, Sha512};
use std::fmt;
use subtle::{Choice, ConstantTimeEq as _};

/// The most bytes of a notification.
pub const LARGEST: usize = 16 * 1024;
/// The most bytes of one value in it.
const LONGEST: usize = 255;

/// A notification, with what is signed exactly as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The order, ours or not.
    pub order_id: String,
    /// The code, three digits: it is signed, and is not how the payment stands.
    pub status_code: String,
    /// The amount, such as `10000.00`, a fee included.
    pub gross_amount: String,
    /// The signature.
    pub signature_key: String,
    /// The transaction, which is not signed. By it the status is asked for, since the order's name is not always the one that we gave.
    pub transaction_id: Option<String>,
    /// How it is said to stand, which is not signed.
    pub transaction_status: Option<Status>,
    /// How it is paid.
    pub payment_type: Option<String>,
    /// What we sent along: the top-up's id.
    pub custom_field1: Option<String>,
}

/// Why a body is no notification. It is safe to log: it holds nothing of the body but names of fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Too large.
    #[error("is larger than {LARGEST} bytes")]
    TooLarge,
    /// Not JSON, or not UTF-8.
    #[error("is not JSON in UTF-8 (line {line}, column {column})")]
    NotJson {
        /// Where.
        line: usize,
        /// Where.
        column: usize,
    },
    /// JSON of another shape: something is missing, twice there, or of another type.
    #[error("is JSON of another shape (line {line}, column {column})")]
    Shape {
        /// Where.
        line: usize,
        /// Where.
        column: usize,
    },
    /// A value that can't be one.
    #[error("`{field}` is empty, too long, or no value of that kind")]
    Value {
        /// Which.
        field: &'static str,
    },
}

#[derive(Deserialize)]
struct Wire {
    order_id: Written,
    status_code: Written,
    gross_amount: Written,
    signature_key: String,
    transaction_id: Option<Written>,
    transaction_status: Option<String>,
    payment_type: Option<String>,
    custom_field1: Option<Written>,
}

/// Reads a notification's body. Fields that are not known are of no concern.
///
/// # Errors
/// [`Malformed`].
pub fn parse(body: &[u8]) -> Result<Notification, Malformed> {
    if body.len() > LARGEST {
        return Err(Malformed::TooLarge);
    }
    let wire: Wire = serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        if error.is_data() { Malformed::Shape { line, column } } else { Malformed::NotJson { line, column } }
    })?;
    let status_code = checked("status_code", wire.status_code.0)?;
    if status_code.len() != 3 || !status_code.bytes().all(|it| it.is_ascii_digit()) {
        return Err(Malformed::Value { field: "status_code" });
    }
    let gross_amount = checked("gross_amount", wire.gross_amount.0)?;
    if amount::parse(&gross_amount).is_none() {
        return Err(Malformed::Value { field: "gross_amount" });
    }
    let maybe = |field, value: Option<String>| value.map(|it| checked(field, it)).transpose();
    Ok(Notification {
        order_id: checked("order_id", wire.order_id.0)?,
        status_code,
        gross_amount,
        signature_key: checked("signature_key", wire.signature_key)?,
        transaction_id: maybe("transaction_id", wire.transaction_id.map(|it| it.0))?,
        transaction_status: maybe("transaction_status", wire.transaction_status)?.map(|it| Status::read(&it)),
        payment_type: maybe("payment_type", wire.payment_type)?,
        // What others put there is theirs, the empty text included.
        custom_field1: wire.custom_field1.and_then(|it| checked("custom_field1", it.0).ok()),
    })
}

/// A value that can be kept: not empty, not too long, nothing unprintable (a NUL can't be stored).
fn checked(field: &'static str, value: String) -> Result<String, Malformed> {
    let is_good = (1..=LONGEST).contains(&value.len()) && !value.chars().any(char::is_control);
    if is_good { Ok(value) } else { Err(Malformed::Value { field }) }
}

/// The keys whose signatures are believed: the one in use, and while it is changed the one before.
#[derive(Clone)]
pub struct Keys {
    current: SecretString,
    previous: Option<SecretString>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("has_previous", &self.previous.is_some()).finish_non_exhaustive()
    }
}

impl Keys {
    /// These.
    pub fn new(current: SecretString, previous: Option<SecretString>) -> Self {
        Self { current, previous }
    }

    /// Whether one of the keys signed it, found out in the same time for every wrong signature of the right length.
    pub fn verify(&self, notification: &Notification) -> bool {
        let Notification { order_id, status_code, gross_amount, signature_key, .. } = notification;
        let is_by = |key: &SecretString| {
            let signed = signature(order_id, status_code, gross_amount, key.expose_secret());
            signed.as_bytes().ct_eq(signature_key.as_bytes())
        };
        let previous = self.previous.as_ref().map_or(Choice::from(0), is_by);
        (is_by(&self.current) | previous).into()
    }
}

/// The signature that Midtrans makes: SHA-512 over the four texts, one after the other, in lower-case hexadecimal digits.
pub fn signature(order_id: &str, status_code: &str, gross_amount: &str, server_key: &str) -> String {
    let mut hash = Sha512::new();
    for part in [order_id, status_code, gross_amount, server_key] {
        hash.update(part.as_bytes());
    }
    let digits =
        |byte: &u8| [byte >> 4, byte & 15].map(|it| char::from(b"0123456789abcdef"[usize::from(it)]));
    hash.finalize().iter().flat_map(digits).collect()
}
