//! The checker: what was said to clients, what is written, and what the gateway has, held against each other. It goes over each of them once,
//! so that it takes time in proportion to their length, and trusts nothing that the API says of itself.

mod books;
mod history;
mod payments;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use thiserror::Error;

pub use books::balances;
pub use history::history;
pub use payments::{held, payments};

/// Whose each order of the gateway is.
#[derive(Clone, Debug, Default)]
pub struct Owners(pub HashMap<String, String>);

/// What the gateway holds for each customer, in rupiah.
#[derive(Clone, Debug, Default)]
pub struct Held(pub HashMap<String, i64>);

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum Wrong {
    /// A client was told that it is done.
    #[error("{0} was acknowledged, and is not there")]
    Lost(String),
    /// The effect happened more than once.
    #[error("{0} was done {1} times")]
    Twice(String, usize),
    /// It is there, and other than it was meant.
    #[error("{what} comes to {found}, where {expected} was meant")]
    Differs {
        /// What.
        what: String,
        /// What was meant, in rupiah.
        expected: i64,
        /// What is there.
        found: i64,
    },
    /// It is there, and it was refused, or nobody asked for it.
    #[error("{0} is there, and was refused or never asked for")]
    Unmeant(String),
    /// Transaction and entry don't agree.
    #[error("{0} is there in part")]
    Half(String),
    /// An account's transfers are no unbroken chain.
    #[error("the chain of account {account} breaks at version {version}")]
    Chain {
        /// The account.
        account: i64,
        /// Where.
        version: i64,
    },
    /// An account is not the sum of its transfers.
    #[error("account {account} holds {found}, and its transfers come to {expected}")]
    Balance {
        /// The account.
        account: i64,
        /// What its transfers come to.
        expected: i64,
        /// What it holds.
        found: i64,
    },
    /// There is less in an account than may be.
    #[error("account {account} is below its floor at version {version}")]
    Floor {
        /// The account.
        account: i64,
        /// Where.
        version: i64,
    },
    /// A wallet is not what was done to it.
    #[error("the wallet of {user} holds {found}, and what was done to it comes to {expected}")]
    Wallet {
        /// Whose.
        user: String,
        /// By what clients were told, and by the gateway's book.
        expected: i64,
        /// By our books.
        found: i64,
    },
    /// Our books and the gateway's don't agree.
    #[error("the gateway holds {expected} for us, and our books say {found}")]
    Clearing {
        /// By the gateway's book.
        expected: i64,
        /// By ours.
        found: i64,
    },
    /// Somebody was shown what never was.
    #[error("{user} was shown {shown}, which was never in the wallet")]
    Shown {
        /// Who.
        user: String,
        /// What.
        shown: i64,
    },
}

/// What is wrong, a line each; at most the first thirty.
pub fn told(wrong: &[Wrong]) -> String {
    let lines: Vec<String> = wrong.iter().take(30).map(ToString::to_string).collect();
    format!("{} things are wrong:\n{}", wrong.len(), lines.join("\n"))
}
