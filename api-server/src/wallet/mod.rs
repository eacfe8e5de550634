//! What customers see of their money: the wallet, and one list of every transaction from its intent on.

pub mod adjustments;
pub mod analytics;
pub mod months;
pub mod queue;
pub mod store;
pub mod summary;
pub mod transactions;

use crate::{
    http::problem::{Code, Problem},
    ledger::{self, Direction, Kind, PostError, Wallet},
    money::Rupiah,
    random,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};
use std::fmt;
pub use store::Pending;
use utoipa::ToSchema;
use uuid::Uuid;

/// How a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = TransactionStatus)]
pub enum Status {
    /// Meant, and not decided.
    Pending,
    /// Done: it is in the books.
    Completed,
    /// It came to nothing.
    Failed,
    /// Its time is over.
    Expired,
    /// Somebody called it off.
    Cancelled,
    /// It was done, and then wholly taken back by another.
    Reversed,
}

impl Status {
    /// As the database has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Expired => "EXPIRED",
            Self::Cancelled => "CANCELLED",
            Self::Reversed => "REVERSED",
        }
    }

    /// Reads what the database has.
    pub fn of(text: &str) -> Option<Self> {
        [Self::Pending, Self::Completed, Self::Failed, Self::Expired, Self::Cancelled, Self::Reversed]
            .into_iter()
            .find(|one| one.as_str() == text)
    }
}

/// The number of a transaction, by which people name it: `TXMP-101`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(into = "String")]
#[schema(as = TransactionNumber, value_type = String, pattern = "^TXMP-[0-9]+$", example = "TXMP-101")]
pub struct Number(pub i64);

impl Number {
    /// Reads it, in capitals or not; also the digits alone.
    pub fn parse_short(text: &str) -> Option<Self> {
        Self::parse(text).or_else(|| Self::parse(&format!("TXMP-{text}")))
    }

    /// Reads it, in capitals or not.
    pub fn parse(text: &str) -> Option<Self> {
        let (prefix, digits) = text.split_once('-')?;
        let is_number =
            prefix.eq_ignore_ascii_case("TXMP") && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| is_number).map(Self)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TXMP-{}", self.0)
    }
}

impl From<Number> for String {
    fn from(number: Number) -> Self {
        number.to_string()
    }
}

/// A transaction to be opened.
#[derive(Clone, Debug)]
pub struct New<'a> {
    /// Whose.
    pub user_id: Uuid,
    /// Of what.
    pub kind: Kind,
    /// What it does to the wallet.
    pub direction: Direction,
    /// How much; more than nothing.
    pub amount: Rupiah,
    /// What people read.
    pub description: &'a str,
    /// How it is to be paid, where it is a payment.
    pub method: Option<&'a str>,
    /// For which subscription.
    pub subscription_id: Option<Uuid>,
    /// For which app.
    pub service: Option<&'a str>,
    /// What it takes back.
    pub reverses: Option<Uuid>,
}

impl<'a> New<'a> {
    /// One of that kind, about nothing in particular.
    pub fn of(user_id: Uuid, kind: Kind, direction: Direction, amount: Rupiah, description: &'a str) -> Self {
        Self {
            user_id,
            kind,
            direction,
            amount,
            description,
            method: None,
            subscription_id: None,
            service: None,
            reverses: None,
        }
    }
}

/// Opens a transaction as [`Status::Pending`]; its id and number. It is decided in this database transaction or later.
///
/// # Errors
/// As the database's.
pub async fn open(
    db: &mut PgConnection,
    new: &New<'_>,
    now: Timestamp,
) -> Result<(Uuid, Number), sqlx::Error> {
    let id = random::id(now);
    Ok((id, store::insert(db, id, new, Status::Pending, now).await?))
}

/// Opens a transaction that is [`Status::Completed`] already, whose entry is written in this database transaction; its id and number.
///
/// # Errors
/// As the database's.
pub async fn open_completed(
    db: &mut PgConnection,
    new: &New<'_>,
    now: Timestamp,
) -> Result<(Uuid, Number), sqlx::Error> {
    let id = random::id(now);
    Ok((id, store::insert(db, id, new, Status::Completed, now).await?))
}

/// Notes what became of a transaction; whether that was news. Of what came to nothing it can still become that it is done.
///
/// # Errors
/// As the database's, also where it can't become so: what is done is never undone, only reversed.
pub async fn decide(
    db: &mut PgConnection,
    id: Uuid,
    status: Status,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    store::decide(db, id, status, now).await
}

/// What somebody's wallet is now, and what they mean to pay into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The wallet; none where there was never anything in it.
    pub wallet: Option<Wallet>,
    /// Top-ups that are not decided.
    pub pending: Pending,
}

/// How somebody's wallet stands.
///
/// # Errors
/// As the database's.
pub async fn standing(db: &PgPool, user_id: Uuid) -> Result<Standing, sqlx::Error> {
    let wallet = ledger::read(db, user_id).await?;
    Ok(Standing { wallet, pending: store::pending_top_ups(db, user_id).await? })
}

/// What is answered where an entry is not written for a wallet that is like this.
pub fn refusal(error: PostError, wallet: &Wallet) -> Problem {
    match error {
        PostError::Insufficient { missing } => {
            let (cash, promotion) = (wallet.cash.balance, wallet.promotion.balance);
            let there = format!("There is {cash} of cash and {promotion} of promotion in the wallet");
            Problem::with(Code::InsufficientBalance, format!("{there}; {missing} is missing."))
        }
        PostError::Frozen { owed } => Problem::with(
            Code::WalletFrozen,
            format!("The wallet owes {owed} after a reversal, and pays for nothing until that is settled."),
        ),
        PostError::TooMuch(error) => Problem::field(Code::Invalid, "amount", format!("the balance {error}")),
        PostError::Database(error) => error.into(),
        error @ (PostError::AlreadyThere | PostError::NoAmount) => Problem::internal(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_it_is_written() {
        assert_eq!(Number::parse(&Number(101).to_string()), Some(Number(101)));
        assert_eq!(Number::parse("txmp-7"), Some(Number(7)));
        for text in
            ["", "TXMP-", "TXMP--1", "TXMP-+1", "TXMP-1a", "101", "TX-101", "TXMP-99999999999999999999"]
        {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }
}
