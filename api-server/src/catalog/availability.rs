//! What is left of a plan, and whether it can be bought.

use super::shop::Offer;
use crate::{http::problem::Problem, instances::crossing, state::State, subscriptions};
use crds::conditions;
use std::collections::BTreeMap;
use utoipa::ToSchema;

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

/// How many of each plan are taken: those that are sold and may still run, and those that somebody has made by hand.
///
/// # Errors
/// 503 where nobody knows.
pub async fn sold(state: &State) -> Result<Sold, Problem> {
    let mut sold: Sold = subscriptions::store::sold_of_each(&state.db).await?.into_iter().collect();
    let instances = state.cluster.watches().instances.last_known()?;
    for instance in instances.all().filter(|one| crossing::subscription_of(one).is_none()) {
        *sold.entry(instance.spec.plan_ref.clone()).or_default() += 1;
    }
    Ok(sold)
}

impl Availability {
    /// That of a plan of an app, of which so many are taken; nobody knows more than was known when the cluster was heard of last.
    pub fn of(offer: &Offer, sold: &Sold, is_stale: bool) -> Self {
        let Offer { plan, template } = offer;
        let taken = sold.get(offer.name()).copied().unwrap_or_default();
        let left = plan.spec.capacity.map(|capacity| (i64::from(capacity) - taken).max(0));
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
        let obstacle = obstacles.into_iter().find_map(|(is_so, obstacle)| is_so.then_some(obstacle));
        Self { left, obstacle }
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
