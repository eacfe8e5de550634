//! How money looks in answers, and how it is asked for; to its owner and to administrators.

use crate::{
    http::problem::{Code, Problem, Result},
    ledger::{Direction, Kind},
    money::Rupiah,
    wallet::{
        Number, Status,
        months::Months,
        transactions::{Effect, Name, Transaction},
    },
};
use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// The currency of all amounts.
pub const IDR: &str = "IDR";
/// Where months begin.
pub const ZONE: &str = "Asia/Jakarta";

/// A transaction.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Transaction)]
pub struct TransactionView {
    /// The id.
    id: Uuid,
    /// The number, by which people name it.
    number: Number,
    /// Of what.
    #[serde(rename = "type")]
    kind: Kind,
    /// Into the wallet or out of it.
    direction: Direction,
    /// How much, in rupiah.
    amount: Rupiah,
    /// Always `IDR`.
    #[schema(example = "IDR")]
    currency: &'static str,
    /// How much of it was cash; null while it is not done.
    #[schema(required = true)]
    cash_amount: Option<Rupiah>,
    /// How much of it was promotion; null while it is not done.
    #[schema(required = true)]
    promotion_amount: Option<Rupiah>,
    /// What was in the wallet afterwards; null while it is not done.
    #[schema(required = true)]
    balance_after: Option<BalanceView>,
    /// How it stands.
    status: Status,
    /// What it is about, in words.
    description: String,
    /// How it was or is to be paid, where it is a payment.
    #[schema(required = true, example = "qris")]
    method: Option<String>,
    /// For which subscription.
    #[schema(required = true)]
    subscription_id: Option<Uuid>,
    /// For which app.
    #[schema(required = true, example = "ghost")]
    service: Option<String>,
    /// The transaction that it takes back.
    #[schema(required = true)]
    reverses: Option<Number>,
    /// The transactions that took it back, wholly or in part.
    reversed_by: Vec<Number>,
    /// How much of it was taken back.
    reversed_amount: Rupiah,
    /// When it was meant.
    created_at: Timestamp,
    /// When it came to its present status; null while it is pending.
    #[schema(required = true)]
    decided_at: Option<Timestamp>,
}

/// What is in a wallet.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Balance)]
pub struct BalanceView {
    /// Cash.
    cash: Rupiah,
    /// Promotion.
    promotion: Rupiah,
    /// Both together.
    total: Rupiah,
}

impl From<Effect> for BalanceView {
    fn from(Effect { cash_after: cash, promotion_after: promotion, .. }: Effect) -> Self {
        Self { cash, promotion, total: cash.plus(promotion).unwrap_or(Rupiah::MOST) }
    }
}

impl From<Transaction> for TransactionView {
    fn from(transaction: Transaction) -> Self {
        let Transaction {
            id,
            number,
            owner: _,
            kind,
            direction,
            amount,
            status,
            description,
            method,
            subscription_id,
            service,
            reverses,
            reversed_by,
            reversed_amount,
            created_at,
            decided_at,
            effect,
        } = transaction;
        Self {
            id,
            number,
            kind,
            direction,
            amount,
            currency: IDR,
            cash_amount: effect.map(|effect| effect.cash),
            promotion_amount: effect.map(|effect| effect.promotion),
            balance_after: effect.map(Into::into),
            status,
            description,
            method,
            subscription_id,
            service,
            reverses,
            reversed_by,
            reversed_amount,
            created_at,
            decided_at,
        }
    }
}

/// The one transaction in a path, by its id or number. What is neither names nothing.
#[derive(Clone, Copy, Debug)]
pub struct Named(pub Name);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::new(Code::NotFound))?;
        Name::parse(&text).map(Self).ok_or_else(|| Problem::new(Code::NotFound))
    }
}

/// The number that a filter names, with its letters or without.
///
/// # Errors
/// 400 where it is none.
pub fn number(text: Option<&str>) -> Result<Option<i64>> {
    let read = |text: &str| {
        let number = Number::parse_short(text).ok_or_else(|| {
            Problem::field(
                Code::Malformed,
                "number",
                "is no number of a transaction; one is written TXMP-101",
            )
        });
        number.map(|number| number.0)
    };
    text.map(read).transpose()
}

/// Months that are asked for: at most 60, and the last twelve where nothing is said.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MonthsQuery {
    /// The first month, in Asia/Jakarta.
    #[param(pattern = "^2[0-9]{3}-(0[1-9]|1[0-2])$", example = "2026-01")]
    from: Option<String>,
    /// The last month; this one where it is not said.
    #[param(pattern = "^2[0-9]{3}-(0[1-9]|1[0-2])$", example = "2026-12")]
    to: Option<String>,
}

impl MonthsQuery {
    /// The months.
    ///
    /// # Errors
    /// 422 where these are none, or too many.
    pub fn read(&self, now: Timestamp) -> Result<Months> {
        Months::read(self.from.as_deref(), self.to.as_deref(), now)
    }
}
