//! Transactions as people look for them: one list of everything, from the intent on.

mod store;

use super::{Number, Status};
use crate::{
    http::pagination::{Cursor, SortField},
    ledger::{Direction, Kind},
    money::Rupiah,
};
use jiff::Timestamp;
use sqlx::PgPool;
pub use store::{Query, list};
use uuid::Uuid;

/// A transaction as people see it.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// Its id.
    pub id: Uuid,
    /// Its number.
    pub number: Number,
    /// Whose.
    pub owner: Owner,
    /// Of what.
    pub kind: Kind,
    /// What it does to the wallet.
    pub direction: Direction,
    /// How much.
    pub amount: Rupiah,
    /// How it stands.
    pub status: Status,
    /// What people read.
    pub description: String,
    /// How it was or is to be paid.
    pub method: Option<String>,
    /// For which subscription.
    pub subscription_id: Option<Uuid>,
    /// For which app.
    pub service: Option<String>,
    /// What it takes back.
    pub reverses: Option<Number>,
    /// What took it back.
    pub reversed_by: Vec<Number>,
    /// How much of it was taken back.
    pub reversed_amount: Rupiah,
    /// When it was meant.
    pub created_at: Timestamp,
    /// When it came to its present status.
    pub decided_at: Option<Timestamp>,
    /// What it did, once it is done.
    pub effect: Option<Effect>,
}

/// Whose a transaction is.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Their id.
    pub id: Uuid,
    /// Their address.
    pub email: String,
    /// What they are called.
    pub name: String,
}

/// What a transaction did to a wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// What it moved of what was paid in.
    pub cash: Rupiah,
    /// What it moved of what was given.
    pub promotion: Rupiah,
    /// What was there of the one afterwards.
    pub cash_after: Rupiah,
    /// What was there of the other afterwards.
    pub promotion_after: Rupiah,
}

/// An entry of the books.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is the effect of.
    pub key: String,
    /// When it was written.
    pub at: Timestamp,
    /// Its parts.
    pub transfers: Vec<Transfer>,
}

/// A part of an entry.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// Its number.
    pub id: i64,
    /// From which account.
    pub debit: Account,
    /// To which account.
    pub credit: Account,
    /// How much.
    pub amount: Rupiah,
    /// Which transfer of the customer's account it is.
    pub version: i64,
    /// What was in the customer's account afterwards.
    pub balance: Rupiah,
}

/// An account by its id, with what it is for.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its id.
    pub id: i64,
    /// `CASH`, `PROMOTION`, or one of the house's.
    pub kind: String,
}

/// What transactions are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// When they were meant.
    #[default]
    CreatedAt,
    /// How much.
    Amount,
}

impl SortField for Sort {
    const ALL: &'static [(&'static str, Self)] = &[("created_at", Self::CreatedAt), ("amount", Self::Amount)];
    const DESCENDING: bool = true;
}

impl Sort {
    /// What a row of a list is sorted by, as its cursor has it.
    pub fn value(self, row: &Transaction) -> String {
        match self {
            Self::CreatedAt => row.created_at.to_string(),
            Self::Amount => row.amount.get().to_string(),
        }
    }
}

/// How a transaction is named: by its id, or by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// By its id.
    Id(Uuid),
    /// By its number.
    Number(Number),
}

impl Name {
    /// Reads it.
    pub fn parse(text: &str) -> Option<Self> {
        Number::parse(text).map(Self::Number).or_else(|| text.parse().ok().map(Self::Id))
    }
}

/// A transaction of anybody, or of somebody.
///
/// # Errors
/// As the database's.
pub async fn find(db: &PgPool, name: Name, of: Option<Uuid>) -> Result<Option<Transaction>, sqlx::Error> {
    let (id, number) = match name {
        Name::Id(id) => (Some(id), None),
        Name::Number(Number(number)) => (None, Some(number)),
    };
    let query = Query { id, number, user_id: of, limit: 1, ..Query::default() };
    Ok(list(db, &query).await?.pop())
}

/// How many are read at a time.
const CHUNK: i64 = 500;

/// All transactions of somebody, the last first, but no more than `most`; and whether that is all of them.
///
/// # Errors
/// As the database's.
pub async fn all_of(
    db: &PgPool,
    user_id: Uuid,
    most: usize,
) -> Result<(Vec<Transaction>, bool), sqlx::Error> {
    let mut all: Vec<Transaction> = Vec::new();
    while all.len() <= most {
        let beyond = all.last().map(|last| Cursor::of(Sort::CreatedAt.value(last), last.id));
        let query =
            Query { user_id: Some(user_id), descending: true, beyond, limit: CHUNK, ..Query::default() };
        let chunk = list(db, &query).await?;
        if chunk.is_empty() {
            return Ok((all, true));
        }
        all.extend(chunk);
    }
    all.truncate(most);
    Ok((all, false))
}

/// What a transaction wrote into the books, if it did.
///
/// # Errors
/// As the database's.
pub async fn entry(db: &PgPool, id: Uuid) -> Result<Option<Entry>, sqlx::Error> {
    store::entry(db, id).await
}
