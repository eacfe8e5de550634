//! Buying: everything is checked and written in one database transaction, and the cluster is told afterwards.

use super::{
    Crossing, Status, Subscription,
    offer::{self, Offer},
    sales, store,
};
use crate::{
    http::problem::{Code, Problem},
    ledger::{self, Direction, House, Kind, Posting, Wallet},
    mail,
    money::Rupiah,
    random,
    state::State,
    users,
    wallet::{self, New, Number},
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::PgConnection;
use std::collections::BTreeMap;
use uuid::Uuid;

/// What somebody wants to buy.
#[derive(Clone, Debug)]
pub struct Order {
    /// Which plan.
    pub plan: String,
    /// What they call it; none: what it is.
    pub name: Option<String>,
    /// The app's settings.
    pub parameters: BTreeMap<String, String>,
    /// Whether it is to be renewed by itself.
    pub auto_renew: bool,
    /// What they expect to pay; another price is refused.
    pub expected_total: Option<Rupiah>,
}

/// Buys, within a database transaction; nobody else changes this wallet or buys the last of this plan meanwhile.
///
/// # Errors
/// The codes of [`offer::obstacles`]; [`Code::PriceChanged`]; 422 where the order can't be accepted; 503 where the cluster is away.
pub async fn buy(
    state: &State,
    db: &mut PgConnection,
    user_id: Uuid,
    order: Order,
) -> Result<Subscription, Problem> {
    let now = state.clock.now();
    let Order { plan, name, parameters, auto_renew, expected_total } = order;
    let offer = offer::find(state, &plan, parameters)?;
    let total = offer.charge.total;
    if let Some(expected) = expected_total.filter(|expected| *expected != total) {
        let detail =
            format!("It costs {total} now, not {expected}: look at it again, and order at that price.");
        return Err(Problem::with(Code::PriceChanged, detail));
    }
    let wallet = ledger::lock(db, user_id, now).await?;
    sales::join(db, &offer.plan, offer.is_limited()).await?;
    let facts = offer::facts(state, db, user_id, &offer, Some(wallet)).await?;
    if let Some(first) = offer::obstacles(&offer, &facts).into_iter().next() {
        return Err(first.into());
    }
    let bought = new(&offer, user_id, name, auto_renew, now);
    store::insert(db, &bought).await?;
    let number = if total.is_positive() { Some(pay(db, &wallet, &offer, &bought, now).await?) } else { None };
    tell(db, &bought, number, now).await?;
    Ok(bought)
}

fn new(offer: &Offer, user_id: Uuid, name: Option<String>, auto_renew: bool, now: Timestamp) -> Subscription {
    let usual = || format!("{} {}", offer.service_name, offer.plan_name);
    Subscription {
        id: random::id(now),
        user_id,
        name: name.unwrap_or_else(usual).chars().take(80).collect(),
        service: offer.service.clone(),
        plan: offer.plan.clone(),
        parameters: offer.parameters.clone(),
        period: offer.period,
        price: offer.charge.total,
        tax: offer.charge.tax,
        resources: offer.resources,
        auto_renew,
        status: Status::PendingDeployment,
        created_at: now,
        periods: 0,
        anchor_day: None,
        paid: None,
        end: None,
        was_told_slow: false,
        was_alerted: false,
        crossing: Crossing { desired_version: 1, ..Crossing::default() },
    }
}

/// The first period is paid, once, whatever is repeated.
async fn pay(
    db: &mut PgConnection,
    wallet: &Wallet,
    offer: &Offer,
    bought: &Subscription,
    now: Timestamp,
) -> Result<Number, Problem> {
    let description = format!("{} {}", offer.service_name, offer.plan_name);
    let new = New {
        subscription_id: Some(bought.id),
        service: Some(&bought.service),
        ..New::of(bought.user_id, Kind::Purchase, Direction::Debit, bought.price, &description)
    };
    let (id, number) = wallet::open(db, &new, now).await?;
    let moves = wallet.spend(bought.price, House::Revenue).map_err(|error| wallet::refusal(error, wallet))?;
    let key = format!("purchase:{}:1", bought.id);
    let posting = Posting { kind: Kind::Purchase, key: &key, transaction_id: id, moves: &moves };
    ledger::post(db, wallet, &posting, now).await.map_err(|error| wallet::refusal(error, wallet))?;
    wallet::decide(db, id, wallet::Status::Completed, now).await?;
    Ok(number)
}

async fn tell(
    db: &mut PgConnection,
    bought: &Subscription,
    number: Option<Number>,
    now: Timestamp,
) -> Result<(), Problem> {
    let owner = users::store::find(&mut *db, bought.user_id).await?;
    let owner = owner.filter(|user| user.deleted_at.is_none()).ok_or_else(|| Problem::new(Code::BadToken))?;
    let data = json!({
        "name": owner.name, "subscription": bought.name, "subscription_id": bought.id, "amount": bought.price.to_string(),
        "number": number.map(|number| number.to_string()),
    });
    let mail = mail::New { data, ..mail::New::to(&owner, mail::Kind::SubscriptionCreated) };
    mail::queue(db, &mail, now).await?;
    Ok(())
}
