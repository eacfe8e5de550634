//! `GET /wallet`

use crate::{
    http::{App, auth::CurrentUser, problem::Result, wallet::view::IDR},
    money::Rupiah,
    wallet::{self, Pending, Standing},
};
use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

/// A wallet.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Wallet)]
pub(super) struct WalletView {
    /// Always `IDR`: all amounts are whole rupiah.
    #[schema(example = "IDR")]
    currency: &'static str,
    /// What was paid in; less than nothing after a payment was taken back that was spent already.
    cash: Rupiah,
    /// What was given. It is spent first.
    promotion: Rupiah,
    /// What can be spent: cash and promotion; nothing while something is owed.
    spendable: Rupiah,
    /// What is owed after a payment was taken back.
    owed: Rupiah,
    /// Whether nothing can be bought until what is owed is settled.
    is_frozen: bool,
    /// Top-ups that are not decided yet.
    pending_top_ups: PendingTopUps,
}

/// Top-ups that are not decided yet.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PendingTopUps {
    /// How many.
    count: i64,
    /// How much, together.
    amount: Rupiah,
}

impl From<Standing> for WalletView {
    fn from(Standing { wallet, pending: Pending { count, amount } }: Standing) -> Self {
        let of = |read: fn(&crate::ledger::Wallet) -> Rupiah| wallet.as_ref().map_or(Rupiah::ZERO, read);
        let owed = of(crate::ledger::Wallet::owes);
        Self {
            currency: IDR,
            cash: of(|wallet| wallet.cash.balance),
            promotion: of(|wallet| wallet.promotion.balance),
            spendable: of(crate::ledger::Wallet::spendable),
            owed,
            is_frozen: owed.is_positive(),
            pending_top_ups: PendingTopUps { count, amount },
        }
    }
}

/// What one has.
#[utoipa::path(
    get,
    path = "/wallet",
    tag = "wallet",
    security(("access_token" = [])),
    responses(
        (status = 200, body = WalletView),
    ),
)]
pub(super) async fn read(State(state): App, CurrentUser(principal): CurrentUser) -> Result<Json<WalletView>> {
    Ok(Json(wallet::standing(&state.db, principal.user_id).await?.into()))
}
