//! What would be bought: a plan of the catalogue at its present price, and everything that stands in the way, each with its reason.

use super::{
    Resources,
    price::{Charge, TaxRate, charge},
    store::{self, Held},
};
use crate::{
    http::problem::{Code, Problem},
    ledger::Wallet,
    money::Rupiah,
    state::State,
};
use crds::{conditions, names, plan::Period, quota::Limits, template::values};
use serde::Serialize;
use sqlx::PgConnection;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use uuid::Uuid;

/// A plan that could be bought.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The plan.
    pub plan: String,
    /// What it is called.
    pub plan_name: String,
    /// The app.
    pub service: String,
    /// What it is called.
    pub service_name: String,
    /// What it may take.
    pub resources: Resources,
    /// How long one payment lasts.
    pub period: Period,
    /// What one period costs.
    pub charge: Charge,
    /// How many may be sold at once; none: as many as fit.
    pub capacity: Option<i64>,
    /// Whether it is not sold any more.
    pub is_retired: bool,
    /// Whether nobody can have it now.
    pub is_out_of_order: bool,
    /// The app's settings, as they were given.
    pub parameters: BTreeMap<String, String>,
}

/// What decides whether somebody can buy.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What they may have at once.
    pub limits: Limits,
    /// What they have.
    pub held: Vec<Held>,
    /// How many of the plan are sold.
    pub sold: i64,
    /// Their wallet; none where there was never anything in it.
    pub wallet: Option<Wallet>,
    /// How many they may have of one app.
    pub per_service: u32,
}

/// Something that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PurchaseObstacle)]
pub struct Obstacle {
    /// Of the registry of codes; a purchase is refused by the same.
    #[schema(value_type = Code)]
    pub code: Code,
    /// What it is here, and what to do.
    pub detail: String,
}

impl From<Obstacle> for Problem {
    fn from(obstacle: Obstacle) -> Self {
        Self::with(obstacle.code, obstacle.detail)
    }
}

/// Looks a plan up in the catalogue, and its app's settings.
///
/// # Errors
/// 422 where there is no such plan or a setting can't be accepted; 503 where the catalogue can't be read.
pub fn find(state: &State, plan: &str, parameters: BTreeMap<String, String>) -> Result<Offer, Problem> {
    let no_plan = || Problem::field(Code::Invalid, "plan", "is not in the catalogue: see /catalog/services");
    let watches = state.cluster.watches();
    let (plans, templates) = (watches.plans.last_known()?, watches.templates.last_known()?);
    let found = plans.named(plan).ok_or_else(no_plan)?;
    let spec = &found.spec;
    let template = templates.named(&spec.template_ref).ok_or_else(no_plan)?;
    values::check(&template.spec.parameters, &parameters, &BTreeMap::new()).map_err(|wrong| {
        Problem::field(Code::Invalid, "parameters", format!("can't be accepted: {wrong}"))
    })?;
    let rate = TaxRate(state.billing.tax_basis_points);
    let charge = charge(&spec.price, rate).map_err(|error| Problem::internal(&error))?;
    let status = found.status.as_ref();
    let ready = status.and_then(|status| conditions::find(&status.conditions, conditions::READY));
    Ok(Offer {
        plan: plan.to_owned(),
        plan_name: spec.display_name.clone(),
        service: spec.template_ref.clone(),
        service_name: template.spec.display_name.clone(),
        resources: Resources {
            cpu_millicores: spec.resources.cpu.millis(),
            memory_bytes: spec.resources.memory.units(),
            storage_bytes: spec.resources.storage.units(),
        },
        period: spec.price.period,
        charge,
        capacity: spec.capacity.map(i64::from),
        is_retired: spec.retired || template.spec.disabled,
        is_out_of_order: ready.is_some_and(|ready| ready.status == "False"),
        parameters,
    })
}

/// What somebody may have at once, as the cluster has it.
///
/// # Errors
/// 503 where the cluster's tenants can't be read.
pub fn limits(state: &State, user_id: Uuid) -> Result<Limits, Problem> {
    let tenants = state.cluster.watches().tenants.last_known()?;
    let tenant = tenants.named(&names::tenant_of_user(&user_id.to_string()));
    Ok(tenant.map(|tenant| tenant.spec.limits.clone()).unwrap_or_default())
}

/// What decides whether somebody can buy an offer.
///
/// # Errors
/// As the database's; 503 where the cluster's tenants can't be read.
pub async fn facts(
    state: &State,
    db: &mut PgConnection,
    user_id: Uuid,
    offer: &Offer,
    wallet: Option<Wallet>,
) -> Result<Facts, Problem> {
    let held = store::holdings(&mut *db, user_id).await?;
    let sold = if offer.capacity.is_some() { store::sold(&mut *db, &offer.plan).await? } else { 0 };
    let per_service = state.billing.subscriptions_per_service;
    Ok(Facts { limits: limits(state, user_id)?, held, sold, wallet, per_service })
}

/// Everything that stands in the way of buying an offer, what nobody can cure first.
pub fn obstacles(offer: &Offer, facts: &Facts) -> Vec<Obstacle> {
    let one = |code, detail: String| Some(Obstacle { code, detail });
    let retired =
        offer.is_retired.then(|| format!("{} is not sold any more: choose another plan.", offer.plan));
    let broken = offer
        .is_out_of_order
        .then(|| format!("{} can't be made at the moment; an administrator has to see to it.", offer.plan));
    let sold_out = offer.capacity.filter(|capacity| facts.sold >= *capacity).map(|capacity| {
        format!("All {capacity} of {} are sold: choose another plan, or come back later.", offer.plan)
    });
    let all = [
        retired.and_then(|detail| one(Code::PlanRetired, detail)),
        broken.and_then(|detail| one(Code::PlanOutOfOrder, detail)),
        sold_out.and_then(|detail| one(Code::SoldOut, detail)),
        per_service(offer, facts).and_then(|detail| one(Code::ServiceTaken, detail)),
        quota(offer, facts).and_then(|detail| one(Code::QuotaExceeded, detail)),
        money(offer.charge.total, facts.wallet.as_ref()),
    ];
    all.into_iter().flatten().collect()
}

fn per_service(offer: &Offer, facts: &Facts) -> Option<String> {
    let same = facts.held.iter().filter(|held| held.service == offer.service && !held.has_ended).count();
    let most = usize::try_from(facts.per_service).unwrap_or(usize::MAX);
    (same >= most).then(|| {
        format!("There is a subscription to {} already: upgrade or cancel it first.", offer.service_name)
    })
}

fn quota(offer: &Offer, facts: &Facts) -> Option<String> {
    let (limits, held) = (&facts.limits, &facts.held);
    let sum = |of: fn(&Held) -> i64| held.iter().map(of).sum::<i64>();
    let of_plan = held.iter().filter(|one| one.plan == offer.plan).count();
    let counted = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let per_plan = limits.per_plan.get(&offer.plan).map(|most| i64::from(*most));
    let Resources { cpu_millicores, memory_bytes, storage_bytes } = offer.resources;
    let rows = [
        ("instances", counted(held.len()), 1, Some(i64::from(limits.instances))),
        ("instances of this plan", counted(of_plan), 1, per_plan),
        ("millicores of CPU", sum(|one| one.cpu_millicores), cpu_millicores, Some(limits.cpu.millis())),
        ("bytes of memory", sum(|one| one.memory_bytes), memory_bytes, Some(limits.memory.units())),
        ("bytes of storage", sum(|one| one.storage_bytes), storage_bytes, Some(limits.storage.units())),
    ];
    let over = rows.into_iter().filter_map(|(what, used, more, most)| {
        let most = most?;
        (used + more > most)
            .then(|| format!("{used} of {most} {what} are in use, and {more} more are needed"))
    });
    let over: Vec<String> = over.collect();
    (!over.is_empty()).then(|| format!("{}. Cancel something, or ask for a larger quota.", over.join("; ")))
}

fn money(total: Rupiah, wallet: Option<&Wallet>) -> Option<Obstacle> {
    let there = wallet.map(Wallet::spendable).unwrap_or_default();
    let owed = wallet.map(Wallet::owes).unwrap_or_default();
    if owed.is_positive() {
        let detail = format!("The wallet owes {owed} after a reversal: top up first.");
        return Some(Obstacle { code: Code::WalletFrozen, detail });
    }
    let missing = total.minus(there).ok().filter(|missing| missing.is_positive())?;
    let detail = format!("It costs {total} and the wallet has {there}: top up {missing} or more.");
    Some(Obstacle { code: Code::InsufficientBalance, detail })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Account;

    fn rp(amount: i64) -> Rupiah {
        Rupiah::new(amount).unwrap()
    }

    fn offer() -> Offer {
        Offer {
            plan: "ghost-small".into(),
            plan_name: "Small".into(),
            service: "ghost".into(),
            service_name: "Ghost".into(),
            resources: Resources { cpu_millicores: 1000, memory_bytes: 1 << 30, storage_bytes: 10 << 30 },
            period: Period::Monthly,
            charge: Charge { total: rp(89_000), tax: rp(8_820) },
            capacity: Some(20),
            is_retired: false,
            is_out_of_order: false,
            parameters: BTreeMap::new(),
        }
    }

    fn facts(cash: i64) -> Facts {
        let account = |balance: i64| Account { id: 1000, balance: rp(balance), floor: rp(balance.min(0)) };
        let wallet = Some(Wallet { cash: account(cash), promotion: account(0) });
        Facts { limits: Limits::default(), held: Vec::new(), sold: 19, wallet, per_service: 1 }
    }

    fn held(service: &str, has_ended: bool) -> Held {
        let (service, plan) = (service.to_owned(), format!("{service}-small"));
        Held {
            service,
            plan,
            has_ended,
            cpu_millicores: 1000,
            memory_bytes: 1 << 30,
            storage_bytes: 10 << 30,
        }
    }

    fn codes(offer: &Offer, facts: &Facts) -> Vec<Code> {
        obstacles(offer, facts).into_iter().map(|one| one.code).collect()
    }

    #[test]
    fn to_the_rupiah_and_the_last_place_it_can_be_bought() {
        assert_eq!(codes(&offer(), &facts(89_000)), []);
        assert_eq!(codes(&offer(), &facts(88_999)), [Code::InsufficientBalance]);
        assert_eq!(codes(&offer(), &Facts { sold: 20, ..facts(89_000) }), [Code::SoldOut]);
        assert_eq!(codes(&offer(), &facts(-1)), [Code::WalletFrozen]);
        assert_eq!(codes(&offer(), &Facts { wallet: None, ..facts(0) }), [Code::InsufficientBalance]);
    }

    #[test]
    fn one_of_an_app_at_a_time_until_it_is_cancelled() {
        let with = |held| Facts { held, ..facts(100_000) };
        assert_eq!(codes(&offer(), &with(vec![held("ghost", false)])), [Code::ServiceTaken]);
        assert_eq!(codes(&offer(), &with(vec![held("ghost", true), held("n8n", false)])), []);
    }

    #[test]
    fn what_is_about_to_go_has_its_place_until_it_is_gone() {
        let ending = Facts { held: vec![held("n8n", true); 5], ..facts(100_000) };
        assert_eq!(codes(&offer(), &ending), [Code::QuotaExceeded]);
        let detail = obstacles(&offer(), &ending).remove(0).detail;
        assert!(detail.starts_with("5 of 5 instances are in use, and 1 more are needed"), "{detail}");
    }

    #[test]
    fn what_nobody_can_cure_is_named_first_and_the_rest_too() {
        let offer = Offer { is_retired: true, is_out_of_order: true, ..offer() };
        let all = codes(&offer, &Facts { sold: 30, ..facts(0) });
        assert_eq!(all, [Code::PlanRetired, Code::PlanOutOfOrder, Code::SoldOut, Code::InsufficientBalance]);
    }
}
