//! What administrators set right in a wallet, and what they give.

use super::{
    New, Status, refusal,
    transactions::{Effect, Owner, Transaction},
};
use crate::{
    audit,
    http::problem::{Code, Problem},
    ledger::{self, Direction, House, Kind, Move, Posting, Purse, Wallet},
    money::Rupiah,
    users::{self, administration::By},
};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

/// The most that one adjustment moves, in rupiah.
pub const MOST: i64 = 1_000_000_000;

/// What is done to a wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = AdjustmentKind)]
pub enum Adjust {
    /// Cash is put into it.
    Credit,
    /// Cash is taken out of it; no more than there is.
    Debit,
    /// Something is given, which is spent before cash.
    Promotion,
}

/// An adjustment to be made.
#[derive(Clone, Debug)]
pub struct Adjustment {
    /// Of whose wallet.
    pub user_id: Uuid,
    /// What is done.
    pub kind: Adjust,
    /// How much.
    pub amount: Rupiah,
    /// What the customer reads.
    pub description: String,
}

/// What the log keeps of a wallet.
#[derive(Debug, Serialize)]
struct Seen {
    cash: Rupiah,
    promotion: Rupiah,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<String>,
}

impl Seen {
    fn of(wallet: &Wallet, transaction: Option<String>) -> Option<serde_json::Value> {
        let (cash, promotion) = (wallet.cash.balance, wallet.promotion.balance);
        audit::value(&Self { cash, promotion, transaction })
    }
}

impl Adjust {
    fn parts(self) -> (Kind, Purse, House, Direction) {
        match self {
            Self::Credit => (Kind::Adjustment, Purse::Cash, House::Adjustments, Direction::Credit),
            Self::Debit => (Kind::Adjustment, Purse::Cash, House::Adjustments, Direction::Debit),
            Self::Promotion => (Kind::Promotion, Purse::Promotion, House::Promotions, Direction::Credit),
        }
    }
}

/// Makes an adjustment, with its line in the audit log; the transaction that shows it.
///
/// # Errors
/// 422 where there is no such user; [`Code::UserDeleted`] but for a debit; [`Code::InsufficientBalance`].
pub async fn adjust(db: &mut PgConnection, by: By<'_>, wanted: &Adjustment) -> Result<Transaction, Problem> {
    let Adjustment { user_id, kind, amount, description } = wanted;
    // Nobody deletes them meanwhile.
    let user = users::store::lock(&mut *db, *user_id).await?;
    let user = user.ok_or_else(|| Problem::field(Code::Invalid, "user_id", "is nobody's"))?;
    // What a deleted user's payment brought too late is paid out; nothing else happens to that wallet.
    if user.deleted_at.is_some() && *kind != Adjust::Debit {
        return Err(Problem::new(Code::UserDeleted));
    }
    let (kind, purse, house, direction) = kind.parts();
    let before = ledger::lock(db, user.id, by.now).await?;
    let new = New::of(user.id, kind, direction, *amount, description);
    let (id, number) = super::open_completed(db, &new, by.now).await?;
    let moves = [Move { purse, house, direction, amount: *amount }];
    let posting = Posting { kind, key: &format!("adjustment:{id}"), transaction_id: id, moves: &moves };
    let after = ledger::post(db, &before, &posting, by.now).await.map_err(|error| refusal(error, &before))?;
    let line = audit::Entry {
        action: "wallet.adjust",
        entity_type: "wallet",
        entity_id: &user.id.to_string(),
        before: Seen::of(&before, None),
        after: Seen::of(&after, Some(number.to_string())),
        reason: by.reason,
    };
    audit::record(db, by.actor, line, by.now).await?;
    let of = |one| if purse == one { *amount } else { Rupiah::ZERO };
    Ok(Transaction {
        id,
        number,
        owner: Owner { id: user.id, email: user.email, name: user.name },
        kind,
        direction,
        amount: *amount,
        status: Status::Completed,
        description: description.clone(),
        method: None,
        subscription_id: None,
        service: None,
        reverses: None,
        reversed_by: Vec::new(),
        reversed_amount: Rupiah::ZERO,
        created_at: by.now,
        decided_at: Some(by.now),
        effect: Some(Effect {
            cash: of(Purse::Cash),
            promotion: of(Purse::Promotion),
            cash_after: after.cash.balance,
            promotion_after: after.promotion.balance,
        }),
    })
}
