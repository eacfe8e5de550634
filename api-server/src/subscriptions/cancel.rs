//! Ending a subscription, and bringing money back once nothing of it runs any more.

use super::{
    End, EndedBy, Status, Subscription, price,
    store::{self, Refund},
};
use crate::{
    http::problem::{Code, Problem},
    ledger::{self, Direction, Kind, PostError, Posting},
    mail,
    money::Rupiah,
    state::State,
    users,
    wallet::{self, New},
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

/// What would come back if it ended now: all of what was never there, of the rest what has not been used.
pub fn refundable(row: &Subscription, now: Timestamp) -> Rupiah {
    match (row.status, row.paid) {
        (Status::PendingDeployment, _) => row.price,
        (Status::Active | Status::Suspended, Some(paid)) => {
            price::unused(row.price, paid.start, paid.until, now)
        }
        _ => Rupiah::ZERO,
    }
}

/// Cancels somebody's subscription, within a database transaction. The refund has its number at once, and comes when nothing of the
/// subscription runs any more.
///
/// # Errors
/// [`Code::NotFound`], [`Code::SubscriptionEnded`].
pub async fn cancel(
    state: &State,
    db: &mut PgConnection,
    user_id: Uuid,
    id: Uuid,
) -> Result<Subscription, Problem> {
    let row = store::lock(db, id).await?.filter(|row| row.user_id == user_id);
    let row = row.ok_or_else(|| Problem::new(Code::NotFound))?;
    if row.end.is_some() {
        return Err(Problem::new(Code::SubscriptionEnded));
    }
    end(db, &row, EndedBy::Customer, mail::Kind::SubscriptionCancelled, state.clock.now()).await?;
    store::find(db, id).await?.ok_or_else(|| Problem::new(Code::NotFound))
}

/// Ends one that is locked and has not ended, with what comes back, and tells its owner.
///
/// # Errors
/// As the database's.
pub async fn end(
    db: &mut PgConnection,
    row: &Subscription,
    by: EndedBy,
    kind: mail::Kind,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let amount = refundable(row, now);
    let refund_id = if amount.is_positive() { Some(open_refund(db, row, amount, now).await?) } else { None };
    store::end(db, row.id, &End { at: now, by, refund_id, fenced_at: None }).await?;
    let refund = amount.is_positive().then(|| amount.to_string());
    tell(db, row, kind, json!({"refund": refund}), now).await
}

async fn open_refund(
    db: &mut PgConnection,
    row: &Subscription,
    amount: Rupiah,
    now: Timestamp,
) -> Result<Uuid, sqlx::Error> {
    let (purchase, ..) = store::paid_with(db, row.id).await?;
    let description = format!("Refund: {}", row.name);
    let new = New {
        subscription_id: Some(row.id),
        service: Some(&row.service),
        reverses: Some(purchase),
        ..New::of(row.user_id, Kind::Refund, Direction::Credit, amount, &description)
    };
    Ok(wallet::open(db, &new, now).await?.0)
}

/// Nothing of one that has ended runs any more: its money goes back to where it came from, once.
///
/// # Errors
/// As the books' and the database's; then nothing is written.
pub async fn fence(state: &State, row: &Subscription) -> Result<(), PostError> {
    let place = state.wallets.place(row.user_id).await.ok();
    let (mut tx, now) = (state.db.begin().await?, state.clock.now());
    // In the order in which buying locks.
    let wallet = ledger::lock(&mut tx, row.user_id, now).await?;
    let locked = store::lock(&mut tx, row.id).await?;
    let end = locked.as_ref().and_then(|row| row.end).filter(|end| end.fenced_at.is_none());
    let (Some(row), Some(end)) = (locked, end) else {
        tx.rollback().await?;
        return Ok(());
    };
    store::fence(&mut tx, row.id, now).await?;
    if let Some(refund_id) = end.refund_id {
        let refund = store::refund(&mut *tx, refund_id).await?;
        let (_, cash, promotion) = store::paid_with(&mut tx, row.id).await?;
        let moves = price::back(refund.amount, cash, promotion);
        let key = format!("refund:{refund_id}");
        let posting = Posting { kind: Kind::Refund, key: &key, transaction_id: refund_id, moves: &moves };
        let after = ledger::post(&mut tx, &wallet, &posting, now).await?;
        wallet::decide(&mut tx, refund_id, wallet::Status::Completed, now).await?;
        let (amount, number) = (refund.amount.to_string(), wallet::Number(refund.number).to_string());
        let data = json!({"amount": amount, "number": number, "balance": after.spendable().to_string()});
        tell(&mut tx, &row, mail::Kind::RefundReceived, data, now).await?;
    }
    tx.commit().await?;
    state.mail_is_due.notify_one();
    drop(place);
    Ok(())
}

/// What comes back of one that has ended.
///
/// # Errors
/// As the database's.
pub async fn refund_of(db: impl PgExecutor<'_>, row: &Subscription) -> Result<Option<Refund>, sqlx::Error> {
    match row.end.and_then(|end| end.refund_id) {
        Some(id) => store::refund(db, id).await.map(Some),
        None => Ok(None),
    }
}

/// Subscriptions, each with what comes back of it.
///
/// # Errors
/// As the database's.
pub async fn with_refunds(
    db: &PgPool,
    rows: Vec<Subscription>,
) -> Result<Vec<(Subscription, Option<Refund>)>, sqlx::Error> {
    let ids: Vec<Uuid> = rows.iter().filter_map(|row| row.end?.refund_id).collect();
    let refunds = store::refunds(db, &ids).await?;
    let of = |row: &Subscription| {
        let id = row.end?.refund_id?;
        refunds.iter().find(|one| one.transaction_id == id).copied()
    };
    Ok(rows.into_iter().map(|row| (of(&row), row)).map(|(refund, row)| (row, refund)).collect())
}

/// Writes a mail about a subscription to its owner, who may be gone.
pub(super) async fn tell(
    db: &mut PgConnection,
    row: &Subscription,
    kind: mail::Kind,
    mut data: serde_json::Value,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let owner = users::store::find(&mut *db, row.user_id).await?;
    let Some(owner) = owner.filter(|user| user.deleted_at.is_none()) else { return Ok(()) };
    (data["name"], data["subscription"]) = (json!(owner.name), json!(row.name));
    data["subscription_id"] = json!(row.id);
    mail::queue(db, &mail::New { data, ..mail::New::to(&owner, kind) }, now).await.map(drop)
}
