//! What would be bought: a plan of the catalogue at its present price, and everything that stands in the way, each with its reason.

use super::{
    Resources,
    price::{Charge, TaxRate, charge},
    quota::Quota,
    sales,
    store::{self, Held},
};
use crate::{
    catalog::{availability, shop},
    http::problem::{Code, Problem},
    ledger::Wallet,
    money::Rupiah,
    state::State,
};
use crds::{plan::Period, template::values};
use serde::Serialize;
use sqlx::PgConnection;
use std::{collections::BTreeMap, sync::Arc};
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
    /// What is on offer.
    pub shown: shop::Offer,
    /// The app's settings, as they were given.
    pub parameters: BTreeMap<String, String>,
}

/// What decides whether somebody can buy.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What keeps anybody from buying it.
    pub in_the_way: Vec<availability::Obstacle>,
    /// What they may have at once, and have.
    pub quota: Quota,
    /// What they have bought and may run.
    pub held: Vec<Held>,
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

fn no_plan() -> Problem {
    Problem::field(Code::Invalid, "plan", "is not in the catalogue: see /catalog/services")
}

impl Offer {
    /// Whether they are sold to one after the other, since there are only so many.
    pub fn is_limited(&self) -> bool {
        self.shown.plan.spec.capacity.is_some()
    }
}

/// Looks a plan up in the catalogue, and its app's settings.
///
/// # Errors
/// 422 where there is no such plan or a setting can't be accepted; 503 where nobody knows what the catalogue is now.
pub fn find(state: &State, plan: &str, parameters: BTreeMap<String, String>) -> Result<Offer, Problem> {
    let watches = state.cluster.watches();
    let (plans, templates) = (watches.plans.fresh()?, watches.templates.fresh()?);
    let found = plans.named(plan).ok_or_else(no_plan)?;
    let spec = &found.spec;
    let template = templates.named(&spec.template_ref).ok_or_else(no_plan)?;
    values::check(&template.spec.parameters, &parameters, &BTreeMap::new()).map_err(|wrong| {
        Problem::field(Code::Invalid, "parameters", format!("can't be accepted: {wrong}"))
    })?;
    let rate = TaxRate(state.billing.tax_basis_points);
    let charge = charge(&spec.price, rate).map_err(|error| Problem::internal(&error))?;
    Ok(Offer {
        plan: plan.to_owned(),
        plan_name: spec.display_name.clone(),
        service: spec.template_ref.clone(),
        service_name: template.spec.display_name.clone(),
        resources: (&spec.resources).into(),
        period: spec.price.period,
        charge,
        shown: shop::Offer { plan: Arc::clone(found), template: Some(Arc::clone(template)) },
        parameters,
    })
}

/// What decides whether somebody can buy an offer. Whoever has joined its sale is told for sure.
///
/// # Errors
/// As the database's; 422 where the plan is being taken away; 503 where the cluster is away.
pub async fn facts(
    state: &State,
    db: &mut PgConnection,
    user_id: Uuid,
    offer: &Offer,
    wallet: Option<Wallet>,
) -> Result<Facts, Problem> {
    let uid = offer.shown.plan.metadata.uid.as_deref().unwrap_or_default();
    if sales::is_closed(&mut *db, &offer.plan, uid).await? {
        return Err(no_plan());
    }
    let held = store::holdings(&mut *db, user_id).await?;
    let quota = Quota::read(state, user_id, &held)?;
    let sold = availability::sold_of(state, db, &offer.plan).await?;
    let left = availability::left(&offer.shown, &sold);
    let in_the_way = availability::Obstacle::all(&offer.shown, left, false).collect();
    let per_service = state.billing.subscriptions_per_service;
    Ok(Facts { in_the_way, quota, held, wallet, per_service })
}

/// Everything that stands in the way of buying an offer, what nobody can cure first.
pub fn obstacles(offer: &Offer, facts: &Facts) -> Vec<Obstacle> {
    let one = |code, detail: String| Obstacle { code, detail };
    let mut all: Vec<Obstacle> =
        facts.in_the_way.iter().map(|obstacle| of_anybody(offer, *obstacle)).collect();
    // A plan and its app may both be sold no more.
    all.dedup_by_key(|obstacle| obstacle.code);
    all.extend(per_service(offer, facts).map(|detail| one(Code::ServiceTaken, detail)));
    let quota = facts.quota.obstacle(&offer.plan, offer.resources);
    all.extend(quota.map(|detail| one(Code::QuotaExceeded, detail)));
    all.extend(money(offer.charge.total, facts.wallet.as_ref()));
    all
}

/// What the shop window shows, with what to do.
fn of_anybody(offer: &Offer, obstacle: availability::Obstacle) -> Obstacle {
    use availability::Obstacle::{ClusterAway, NotReady, Retired, ServiceDisabled, SoldOut};
    let Offer { plan, service_name, .. } = offer;
    let (code, detail) = match obstacle {
        Retired => (Code::PlanRetired, format!("{plan} is not sold any more: choose another plan.")),
        ServiceDisabled => {
            (Code::PlanRetired, format!("{service_name} is not sold any more: choose another app."))
        }
        NotReady => (
            Code::PlanOutOfOrder,
            format!("{plan} can't be made at the moment; an administrator has to see to it."),
        ),
        SoldOut => {
            let all = offer.shown.plan.spec.capacity.unwrap_or_default();
            (Code::SoldOut, format!("All {all} of {plan} are sold: choose another plan, or come back later."))
        }
        ClusterAway => (Code::Unavailable, obstacle.message().to_owned()),
    };
    Obstacle { code, detail }
}

fn per_service(offer: &Offer, facts: &Facts) -> Option<String> {
    let same = facts.held.iter().filter(|held| held.service == offer.service && !held.has_ended).count();
    let most = usize::try_from(facts.per_service).unwrap_or(usize::MAX);
    (same >= most).then(|| {
        format!("There is a subscription to {} already: upgrade or cancel it first.", offer.service_name)
    })
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
    use availability::Obstacle::{NotReady, Retired, ServiceDisabled, SoldOut};
    use crds::{ServicePlan, ServicePlanSpec};

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
            shown: shop::Offer {
                plan: Arc::new(ServicePlan::new("ghost-small", ServicePlanSpec::default())),
                template: None,
            },
            parameters: BTreeMap::new(),
        }
    }

    fn facts(cash: i64) -> Facts {
        let account = |balance: i64| Account { id: 1000, balance: rp(balance), floor: rp(balance.min(0)) };
        let wallet = Some(Wallet { cash: account(cash), promotion: account(0) });
        let (in_the_way, held, quota) = (Vec::new(), Vec::new(), Quota::default());
        Facts { in_the_way, quota, held, wallet, per_service: 1 }
    }

    fn held(service: &str, has_ended: bool) -> Held {
        let (service, plan) = (service.to_owned(), format!("{service}-small"));
        Held { id: Uuid::nil(), uid: None, service, plan, has_ended, resources: Resources::default() }
    }

    fn codes(offer: &Offer, facts: &Facts) -> Vec<Code> {
        obstacles(offer, facts).into_iter().map(|one| one.code).collect()
    }

    #[test]
    fn to_the_rupiah_and_the_last_place_it_can_be_bought() {
        assert_eq!(codes(&offer(), &facts(89_000)), []);
        assert_eq!(codes(&offer(), &facts(88_999)), [Code::InsufficientBalance]);
        let sold_out = Facts { in_the_way: vec![SoldOut], ..facts(89_000) };
        assert_eq!(codes(&offer(), &sold_out), [Code::SoldOut]);
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
    fn what_nobody_can_cure_is_named_first_and_the_rest_too() {
        let in_the_way = vec![Retired, ServiceDisabled, NotReady, SoldOut];
        let all = codes(&offer(), &Facts { in_the_way, ..facts(0) });
        assert_eq!(all, [Code::PlanRetired, Code::PlanOutOfOrder, Code::SoldOut, Code::InsufficientBalance]);
    }
}
