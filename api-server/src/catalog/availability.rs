//! What is left of a plan, and whether it can be bought.

use super::shop::Offer;
use crate::{
    cluster::watch::Contents, http::problem::Problem, instances::crossing, state::State, subscriptions,
};
use crds::{ServiceInstance, conditions};
use sqlx::{PgConnection, PgPool};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;
use utoipa::ToSchema;

/// For how long a count of what is sold answers everybody who looks into the shop window.
const KEPT: Duration = Duration::from_secs(1);

/// How many of each plan are taken, by the plan's name.
pub type Sold = BTreeMap<String, i64>;

/// Why a plan can't be bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Obstacle {
    /// It is not sold any more.
    Retired,
    /// Its app is not sold any more.
    ServiceDisabled,
    /// The operator has not found yet that it can be made, or has found that it can't.
    NotReady,
    /// As many are sold as there are.
    SoldOut,
    /// Nobody knows how things stand now.
    ClusterAway,
}

impl Obstacle {
    /// For people.
    pub fn message(self) -> &'static str {
        match self {
            Self::Retired => "This plan is not sold any more.",
            Self::ServiceDisabled => "This app is not sold any more.",
            Self::NotReady => "This plan can't be made right now.",
            Self::SoldOut => "This plan is sold out.",
            Self::ClusterAway => "Nothing can be bought right now. Try again soon.",
        }
    }
}

/// Whether a plan can be bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Availability {
    /// How many are left; none: as many as fit.
    pub left: Option<i64>,
    /// Why it can't be bought; none: it can.
    pub obstacle: Option<Obstacle>,
}

/// What was counted of what is sold, and when. It is for looking alone: whoever quotes or sells counts anew ([`sold_of`]).
#[derive(Debug, Default)]
pub struct Counted(Mutex<Option<(Instant, Arc<Sold>)>>);

impl Counted {
    /// What is sold of each plan, as it was a moment ago. Of many who ask at once one counts, and the others wait for that: they take one
    /// connection between them.
    async fn sold(&self, db: &PgPool) -> Result<Arc<Sold>, sqlx::Error> {
        let mut counted = self.0.lock().await;
        if let Some((at, sold)) = &*counted
            && at.elapsed() < KEPT
        {
            return Ok(Arc::clone(sold));
        }
        let sold: Sold = subscriptions::store::sold_of_each(db).await?.into_iter().collect();
        let (_, sold) = counted.insert((Instant::now(), Arc::new(sold)));
        Ok(Arc::clone(sold))
    }
}

/// How many of each plan are taken: those that are sold and may still run, as they were counted a moment ago, and those that somebody has
/// made by hand.
///
/// # Errors
/// 503 where nobody knows.
pub async fn sold(state: &State) -> Result<Sold, Problem> {
    let mut sold = Sold::clone(&*state.counted.sold(&state.db).await?);
    for instance in by_hand(&*state.cluster.watches().instances.last_known()?) {
        *sold.entry(instance.spec.plan_ref.clone()).or_default() += 1;
    }
    Ok(sold)
}

/// The same of one plan, as it is now. Whoever has joined its sale is told for sure what is sold.
///
/// # Errors
/// As the database's; 503 where the cluster is away.
pub async fn sold_of(state: &State, db: &mut PgConnection, plan: &str) -> Result<Sold, Problem> {
    let instances = state.cluster.watches().instances.fresh()?;
    let by_hand = by_hand(&instances).filter(|one| one.spec.plan_ref == plan).count();
    let sold = subscriptions::store::sold(db, plan).await?;
    Ok(Sold::from([(plan.to_owned(), sold + i64::try_from(by_hand).unwrap_or(i64::MAX))]))
}

/// What was not bought here and may run: what is entitled to nothing takes nobody's place, or anybody with `kubectl` could make a plan look
/// sold out.
fn by_hand(instances: &Contents<ServiceInstance>) -> impl Iterator<Item = &Arc<ServiceInstance>> {
    instances.all().filter(|one| crossing::subscription_of(one).is_none() && one.spec.entitlement.is_some())
}

impl Availability {
    /// That of a plan of an app, of which so many are taken; nobody knows more than was known when the cluster was heard of last.
    pub fn of(offer: &Offer, sold: &Sold, is_stale: bool) -> Self {
        let left = left(offer, sold);
        Self { left, obstacle: Obstacle::all(offer, left, is_stale).next() }
    }
}

/// How many are left; none: as many as fit.
pub fn left(offer: &Offer, sold: &Sold) -> Option<i64> {
    let taken = sold.get(offer.name()).copied().unwrap_or_default();
    offer.plan.spec.capacity.map(|capacity| (i64::from(capacity) - taken).max(0))
}

impl Obstacle {
    /// Everything that keeps a plan of an app from being bought, by anybody, where so many are left; what nobody can cure first.
    pub fn all(offer: &Offer, left: Option<i64>, is_stale: bool) -> impl Iterator<Item = Self> {
        let Offer { plan, template } = offer;
        let is_ready = plan.status.as_ref().is_some_and(|status| {
            conditions::is_true(&status.conditions, conditions::READY, plan.metadata.generation)
        });
        let obstacles = [
            (plan.spec.retired, Obstacle::Retired),
            (template.as_ref().is_none_or(|template| template.spec.disabled), Obstacle::ServiceDisabled),
            (!is_ready, Obstacle::NotReady),
            (left == Some(0), Obstacle::SoldOut),
            (is_stale, Obstacle::ClusterAway),
        ];
        obstacles.into_iter().filter_map(|(is_so, obstacle)| is_so.then_some(obstacle))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::{ServicePlan, ServiceTemplate, ServiceTemplateSpec};
    use serde_json::json;
    use std::sync::Arc;

    fn offer(capacity: Option<i32>, retired: bool) -> Offer {
        let plan: ServicePlan = serde_json::from_value(json!({
            "apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServicePlan", "metadata": {"name": "ghost-small", "generation": 2},
            "spec": {"templateRef": "ghost", "displayName": "Small", "price": {"amount": 1}, "capacity": capacity, "retired": retired,
                "resources": {"cpu": "1", "memory": "1Gi", "storage": "1Gi"}},
            "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Valid", "message": "", "observedGeneration": 2,
                "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
        }))
        .unwrap();
        Offer {
            plan: Arc::new(plan),
            template: Some(Arc::new(ServiceTemplate::new("ghost", ServiceTemplateSpec::default()))),
        }
    }

    #[test]
    fn a_plan_can_be_bought_where_nothing_is_in_the_way_and_the_first_obstacle_is_told() {
        let sold = Sold::from([("ghost-small".to_owned(), 3)]);
        let of = |offer: Offer, is_stale| {
            let Availability { left, obstacle } = Availability::of(&offer, &sold, is_stale);
            (left, obstacle)
        };
        assert_eq!(of(offer(Some(4), false), false), (Some(1), None));
        assert_eq!(of(offer(None, false), false), (None, None));
        assert_eq!(of(offer(Some(2), false), false), (Some(0), Some(Obstacle::SoldOut)));
        assert_eq!(of(offer(Some(4), true), true), (Some(1), Some(Obstacle::Retired)));
        assert_eq!(of(offer(Some(4), false), true), (Some(1), Some(Obstacle::ClusterAway)));
        let lost = Offer { template: None, ..offer(None, false) };
        assert_eq!(of(lost, false), (None, Some(Obstacle::ServiceDisabled)));
        let mut changed = offer(None, false);
        Arc::make_mut(&mut changed.plan).metadata.generation = Some(3);
        assert_eq!(of(changed, false), (None, Some(Obstacle::NotReady)));
    }
}
