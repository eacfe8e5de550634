//! The books: accounts, entries and transfers. What is written stays; what was wrong is set right by another entry. Each effect has a
//! key and happens once. A balance changes by a transfer alone, which the database itself sees to.

pub mod checkpoint;
mod store;
pub mod verify;
pub mod watch;

use crate::money::{Rupiah, TooMuch};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
pub use store::Balances;
use utoipa::ToSchema;
use uuid::Uuid;

/// What an entry is the effect of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = TransactionType)]
pub enum Kind {
    /// A customer has paid.
    TopUp,
    /// A subscription was bought.
    Purchase,
    /// It goes on.
    Renewal,
    /// Its plan became larger.
    Upgrade,
    /// Money for a subscription comes back to the wallet.
    Refund,
    /// An administrator sets something right.
    Adjustment,
    /// An administrator gives something.
    Promotion,
    /// The gateway took back what it had told was paid.
    Reversal,
    /// The customer's bank took it back.
    Chargeback,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::TopUp,
        Self::Purchase,
        Self::Renewal,
        Self::Upgrade,
        Self::Refund,
        Self::Adjustment,
        Self::Promotion,
        Self::Reversal,
        Self::Chargeback,
    ];

    /// Reads what the database has.
    pub fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }

    /// As the database has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TopUp => "TOP_UP",
            Self::Purchase => "PURCHASE",
            Self::Renewal => "RENEWAL",
            Self::Upgrade => "UPGRADE",
            Self::Refund => "REFUND",
            Self::Adjustment => "ADJUSTMENT",
            Self::Promotion => "PROMOTION",
            Self::Reversal => "REVERSAL",
            Self::Chargeback => "CHARGEBACK",
        }
    }

    /// Whether it takes money that must be there.
    fn needs_money(self) -> bool {
        !matches!(self, Self::Reversal | Self::Chargeback)
    }

    /// Whether it pays for an app. It is refused while the wallet owes money.
    pub fn is_spending(self) -> bool {
        matches!(self, Self::Purchase | Self::Renewal | Self::Upgrade)
    }
}

/// An account of the house, by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum House {
    /// What the payment gateway owes us.
    Clearing = 1,
    /// What was earned.
    Revenue = 2,
    /// What was given back for subscriptions.
    Refunds = 3,
    /// What administrators set right.
    Adjustments = 4,
    /// What was given away.
    Promotions = 5,
}

impl House {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Clearing, Self::Revenue, Self::Refunds, Self::Adjustments, Self::Promotions];

    /// Its id.
    pub const fn id(self) -> i64 {
        self as i64
    }

    /// As the database has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clearing => "CLEARING",
            Self::Revenue => "REVENUE",
            Self::Refunds => "REFUNDS",
            Self::Adjustments => "ADJUSTMENTS",
            Self::Promotions => "PROMOTIONS",
        }
    }
}

/// One of the two accounts of a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purse {
    /// What was paid in.
    Cash,
    /// What was given; spent first.
    Promotion,
}

/// An account of a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: i64,
    /// What is in it; less than nothing after a reversal of what was spent already.
    pub balance: Rupiah,
    /// What it can't fall below: nothing, or what a reversal has left it owing.
    pub floor: Rupiah,
}

/// A customer's accounts, locked until the transaction's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wallet {
    /// What was paid in.
    pub cash: Account,
    /// What was given.
    pub promotion: Account,
}

impl Balances {
    /// What an account of the house comes to.
    pub fn of(&self, house: House) -> Rupiah {
        House::ALL.into_iter().position(|one| one == house).map_or(Rupiah::ZERO, |at| self.house[at])
    }
}

/// Into the wallet or out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = TransactionDirection)]
pub enum Direction {
    /// Into it.
    Credit,
    /// Out of it.
    Debit,
}

impl Direction {
    /// As the database has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credit => "CREDIT",
            Self::Debit => "DEBIT",
        }
    }

    /// Reads what the database has.
    pub fn of(text: &str) -> Option<Self> {
        [Self::Credit, Self::Debit].into_iter().find(|one| one.as_str() == text)
    }
}

/// A part of an entry: between one of the customer's accounts and one of the house's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The customer's.
    pub purse: Purse,
    /// The house's.
    pub house: House,
    /// Which way.
    pub direction: Direction,
    /// How much; more than nothing.
    pub amount: Rupiah,
}

/// An entry to be written.
#[derive(Clone, Debug)]
pub struct Posting<'a> {
    /// Of what.
    pub kind: Kind,
    /// What it is the effect of: `topup:midtrans:<transaction id>`. A key is used once, for ever.
    pub key: &'a str,
    /// The transaction that shows it, whose amount its parts come to.
    pub transaction_id: Uuid,
    /// What it does.
    pub moves: &'a [Move],
}

/// Why an entry is not written. Nothing has been written then.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// It is there already: the effect has happened.
    #[error("an entry with this key is there already")]
    AlreadyThere,
    /// There is less in the wallet.
    #[error("the wallet holds less: {missing} more are needed")]
    Insufficient {
        /// How much is missing.
        missing: Rupiah,
    },
    /// A reversal has left it owing.
    #[error("the wallet owes {owed} after a reversal, and pays for nothing until that is settled")]
    Frozen {
        /// How much.
        owed: Rupiah,
    },
    /// An amount is nothing or less.
    #[error("an amount is not more than nothing")]
    NoAmount,
    /// Beyond what is kept.
    #[error("the balance {0}")]
    TooMuch(#[from] TooMuch),
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Wallet {
    /// What may be spent: nothing while something is owed.
    pub fn spendable(&self) -> Rupiah {
        if self.owes().is_positive() {
            return Rupiah::ZERO;
        }
        self.cash.balance.plus(self.promotion.balance).unwrap_or(Rupiah::MOST)
    }

    /// What is owed after a reversal.
    pub fn owes(&self) -> Rupiah {
        let below = [self.cash.floor, self.promotion.floor].into_iter().min().unwrap_or_default();
        Rupiah::ZERO.minus(below).unwrap_or(Rupiah::MOST)
    }

    /// How an amount is paid from it: what was given first, then what was paid in.
    ///
    /// # Errors
    /// [`PostError::Frozen`], [`PostError::Insufficient`], [`PostError::NoAmount`].
    pub fn spend(&self, amount: Rupiah, house: House) -> Result<Vec<Move>, PostError> {
        if !amount.is_positive() {
            return Err(PostError::NoAmount);
        }
        let owed = self.owes();
        if owed.is_positive() {
            return Err(PostError::Frozen { owed });
        }
        let promotion = self.promotion.balance.min(amount);
        let cash = amount.minus(promotion)?;
        if cash > self.cash.balance {
            return Err(PostError::Insufficient { missing: cash.minus(self.cash.balance)? });
        }
        let part = |purse, amount| Move { purse, house, direction: Direction::Debit, amount };
        let parts = [part(Purse::Promotion, promotion), part(Purse::Cash, cash)];
        Ok(parts.into_iter().filter(|one| one.amount.is_positive()).collect())
    }

    /// The account of a purse.
    pub fn account(&self, purse: Purse) -> Account {
        match purse {
            Purse::Cash => self.cash,
            Purse::Promotion => self.promotion,
        }
    }

    /// The wallet as it is after a posting.
    fn after(mut self, posting: &Posting<'_>) -> Result<Self, PostError> {
        let Posting { kind, moves, .. } = posting;
        if moves.is_empty() || moves.iter().any(|one| !one.amount.is_positive()) {
            return Err(PostError::NoAmount);
        }
        let owed = self.owes();
        if kind.is_spending() && owed.is_positive() {
            return Err(PostError::Frozen { owed });
        }
        for one in *moves {
            let account = match one.purse {
                Purse::Cash => &mut self.cash,
                Purse::Promotion => &mut self.promotion,
            };
            account.balance = match one.direction {
                Direction::Credit => account.balance.plus(one.amount)?,
                Direction::Debit => account.balance.minus(one.amount)?,
            };
            let least = account.balance.min(Rupiah::ZERO);
            if !kind.needs_money() {
                account.floor = account.floor.min(least);
            } else if one.direction == Direction::Credit {
                account.floor = account.floor.max(least);
            } else if account.balance < account.floor {
                return Err(PostError::Insufficient { missing: account.floor.minus(account.balance)? });
            }
        }
        Ok(self)
    }
}

/// Locks a customer's accounts, which are made if they are missing. Whoever locks several wallets does so in the order of the users' ids.
///
/// # Errors
/// As the database's.
pub async fn lock(db: &mut PgConnection, user_id: Uuid, now: Timestamp) -> Result<Wallet, sqlx::Error> {
    store::lock(db, user_id, now).await
}

/// A customer's accounts as they are, unlocked; empty ones where there are none yet.
///
/// # Errors
/// As the database's.
pub async fn read<'a>(db: impl sqlx::PgExecutor<'a>, user_id: Uuid) -> Result<Option<Wallet>, sqlx::Error> {
    store::read(db, user_id).await
}

/// Writes an entry for a wallet that this transaction has locked; the wallet as it is then.
///
/// # Errors
/// [`PostError`]; then nothing is written, and the transaction may go on.
pub async fn post(
    db: &mut PgConnection,
    wallet: &Wallet,
    posting: &Posting<'_>,
    now: Timestamp,
) -> Result<Wallet, PostError> {
    let after = wallet.after(posting)?;
    if !store::insert_entry(db, posting, now).await? {
        return Err(PostError::AlreadyThere);
    }
    for one in posting.moves {
        let customer = wallet.account(one.purse).id;
        let (debit, credit) = match one.direction {
            Direction::Credit => (one.house.id(), customer),
            Direction::Debit => (customer, one.house.id()),
        };
        store::insert_transfer(db, posting.transaction_id, debit, credit, one.amount).await?;
    }
    Ok(after)
}

/// What all accounts come to now: credits less debits, so that all of them together are nothing.
///
/// # Errors
/// As the database's.
pub async fn balances<'a>(db: impl sqlx::PgExecutor<'a>) -> Result<Balances, sqlx::Error> {
    store::balances(db).await
}

/// Whether an effect has happened.
///
/// # Errors
/// As the database's.
pub async fn has_happened(db: &mut PgConnection, key: &str) -> Result<bool, sqlx::Error> {
    store::has_key(db, key).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rupiah(amount: i64) -> Rupiah {
        Rupiah::new(amount).unwrap()
    }

    fn wallet(cash: i64, promotion: i64) -> Wallet {
        let account =
            |id, balance: i64| Account { id, balance: rupiah(balance), floor: rupiah(balance.min(0)) };
        Wallet { cash: account(1000, cash), promotion: account(1001, promotion) }
    }

    fn total(moves: &[Move], purse: Purse) -> i64 {
        moves.iter().filter(|one| one.purse == purse).map(|one| one.amount.get()).sum()
    }

    #[test]
    fn what_was_given_is_spent_before_what_was_paid_in() {
        let moves = wallet(100, 30).spend(rupiah(50), House::Revenue).unwrap();
        assert_eq!((total(&moves, Purse::Promotion), total(&moves, Purse::Cash)), (30, 20));
        let moves = wallet(100, 80).spend(rupiah(50), House::Revenue).unwrap();
        assert_eq!((moves.len(), total(&moves, Purse::Promotion)), (1, 50));
    }

    #[test]
    fn a_rupiah_too_little_is_named() {
        let missing = wallet(40, 9).spend(rupiah(50), House::Revenue).unwrap_err();
        assert!(matches!(missing, PostError::Insufficient { missing } if missing == rupiah(1)));
    }

    #[test]
    fn who_owes_spends_nothing_not_even_what_was_given() {
        let owing = wallet(-5, 100);
        assert_eq!(owing.spendable(), Rupiah::ZERO);
        let refused = owing.spend(rupiah(1), House::Revenue).unwrap_err();
        assert!(matches!(refused, PostError::Frozen { owed } if owed == rupiah(5)));
    }

    #[test]
    fn nothing_and_less_is_no_amount() {
        for amount in [0, -1] {
            let refused = wallet(10, 0).spend(rupiah(amount), House::Revenue).unwrap_err();
            assert!(matches!(refused, PostError::NoAmount));
        }
    }

    proptest! {
        #[test]
        fn what_is_spent_comes_to_the_amount_and_leaves_nobody_owing(
            cash in 0i64..1000, promotion in 0i64..1000, amount in 1i64..2500
        ) {
            let before = wallet(cash, promotion);
            match before.spend(rupiah(amount), House::Revenue) {
                Ok(moves) => {
                    prop_assert_eq!(total(&moves, Purse::Cash) + total(&moves, Purse::Promotion), amount);
                    let posting = Posting { kind: Kind::Purchase, key: "k", transaction_id: Uuid::nil(), moves: &moves };
                    let after = before.after(&posting).unwrap();
                    prop_assert_eq!(after.spendable().get(), cash + promotion - amount);
                    prop_assert_eq!(after.owes(), Rupiah::ZERO);
                }
                Err(_) => prop_assert!(cash + promotion < amount),
            }
        }
    }
}
