//! Ending a subscription, and bringing money back once nothing of it runs any more.

use super::{
    End, EndedBy, Status, Subscription, price,
    store::{self, Refund},
};
use crate::{
    audit::{self, Actor, Entry},
    cluster::{Cluster, watch::Key},
    http::problem::{Code, Problem},
    ledger::{self, Direction, Kind, PostError, Posting},
    mail,
    money::Rupiah,
    state::State,
    users,
    wallet::{self, New},
};
use crds::{names, span};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
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
    let now = state.clock.now();
    let told = told_of_data(&row, keep_for(&state.cluster, &row));
    let kind = mail::Kind::SubscriptionCancelled;
    let ending = Ending { by: EndedBy::Customer, refund: refundable(&row, now), kind, told };
    end(db, &row, ending, now).await?;
    store::find(db, id).await?.ok_or_else(|| Problem::new(Code::NotFound))
}

/// What comes back of one that an administrator cancels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Back {
    /// What has not been used of its price, as where its owner cancels
    Prorated,
    /// All of its price
    Full,
    /// Nothing
    None,
}

/// What an administrator's cancellation has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It has ended now, and so much comes back.
    Now(Rupiah),
    /// An administrator had cancelled it before, and so much comes back; nothing was changed.
    Before(Rupiah),
}

/// Why an administrator can't cancel one.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// There is none of that id.
    #[error("there is no such subscription")]
    Missing,
    /// It had ended, and what comes back is decided.
    #[error("it ended at {at} ({by:?}), and what comes back of it was decided then; nothing was changed")]
    Ended {
        /// When.
        at: Timestamp,
        /// By whom.
        by: EndedBy,
    },
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Cancels anybody's subscription, with its line in the audit log. From there on it goes as where its owner has cancelled it. A repeat
/// changes nothing.
///
/// # Errors
/// [`CancelError`].
pub async fn cancel_of(
    db: &PgPool,
    id: Uuid,
    back: Back,
    actor: &Actor,
    reason: &str,
    now: Timestamp,
) -> Result<Cancelled, CancelError> {
    let mut tx = db.begin().await?;
    let row = store::lock(&mut tx, id).await?.ok_or(CancelError::Missing)?;
    if let Some(end) = row.end {
        if end.by != EndedBy::Administrator {
            return Err(CancelError::Ended { at: end.at, by: end.by });
        }
        let refund = refund_of(&mut *tx, &row).await?;
        return Ok(Cancelled::Before(refund.map_or(Rupiah::ZERO, |refund| refund.amount)));
    }
    let refund = match back {
        Back::Prorated => refundable(&row, now),
        Back::Full => row.price,
        Back::None => Rupiah::ZERO,
    };
    let mut told = told_of_data(&row, None);
    told["by_us"] = json!(true);
    let ending = Ending { by: EndedBy::Administrator, refund, kind: mail::Kind::SubscriptionCancelled, told };
    end(&mut tx, &row, ending, now).await?;
    let id = id.to_string();
    let entry = Entry {
        action: "subscription.cancel",
        entity_type: "subscription",
        entity_id: &id,
        before: Some(json!({"status": row.status})),
        after: Some(json!({"status": Status::Cancelled, "refund": refund})),
        reason: Some(reason),
    };
    audit::record(&mut tx, actor, entry, now).await?;
    tx.commit().await?;
    Ok(Cancelled::Now(refund))
}

/// For how long the data of an app is kept once it is gone, as its owner may have set it; none where nobody knows at the moment.
fn keep_for(cluster: &Cluster, row: &Subscription) -> Option<SignedDuration> {
    let key = Key::within(&names::tenant_namespace(&row.tenant()), &row.resource_name());
    let all = cluster.watches().instances.fresh().ok()?;
    let uid = row.crossing.uid?.to_string();
    let own = all.get(&key).filter(|one| one.metadata.uid.as_ref() == Some(&uid))?;
    span::parse_span(&own.spec.retention.keep_for).ok()
}

/// What a mail says of the data of one that ends. What was never made has none.
fn told_of_data(row: &Subscription, keep_for: Option<SignedDuration>) -> Value {
    let hours = keep_for.map(|span| span.as_hours());
    let days = hours.filter(|hours| hours % 24 == 0).map(|hours| hours / 24);
    json!({"has_data": row.crossing.uid.is_some(), "kept_days": days, "kept_hours": hours})
}

/// How one ends.
#[derive(Clone, Debug)]
pub struct Ending {
    /// By whom.
    pub by: EndedBy,
    /// What comes back.
    pub refund: Rupiah,
    /// The mail that tells its owner.
    pub kind: mail::Kind,
    /// What that mail says beside all this.
    pub told: Value,
}

/// Ends one that is locked and has not ended, with what comes back, and tells its owner.
///
/// # Errors
/// As the database's.
pub async fn end(
    db: &mut PgConnection,
    row: &Subscription,
    ending: Ending,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let Ending { by, refund: amount, kind, mut told } = ending;
    let refund_id = if amount.is_positive() { Some(open_refund(db, row, amount, now).await?) } else { None };
    store::end(db, row.id, &End { at: now, by, refund_id, fenced_at: None }).await?;
    told["refund"] = json!(amount.is_positive().then(|| amount.to_string()));
    tell(db, row, kind, told, now).await
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
    mut data: Value,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let owner = users::store::find(&mut *db, row.user_id).await?;
    let Some(owner) = owner.filter(|user| user.deleted_at.is_none()) else { return Ok(()) };
    (data["name"], data["subscription"]) = (json!(owner.name), json!(row.name));
    data["subscription_id"] = json!(row.id);
    mail::queue(db, &mail::New { data, ..mail::New::to(&owner, kind) }, now).await.map(drop)
}
