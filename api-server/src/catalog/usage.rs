//! By whom apps and plans are used: what runs, for whom, and what keeps them from being deleted.

use super::shop::name;
use crate::{http::problem::Problem, state::State};
use crds::{ServiceInstance, instance::Phase};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// How many instances there are, of whom, in which phases and by which plans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many.
    pub instances: i64,
    /// How many have any.
    pub tenants: i64,
    /// How many in each phase, all of which are named.
    pub by_phase: BTreeMap<&'static str, i64>,
    /// How many by each plan.
    pub by_plan: BTreeMap<String, i64>,
}

/// A phase as the API calls it.
pub fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "PENDING",
        Phase::Provisioning => "PROVISIONING",
        Phase::Running => "RUNNING",
        Phase::Updating => "UPDATING",
        Phase::Restarting => "RESTARTING",
        Phase::Stopping => "STOPPING",
        Phase::Stopped => "STOPPED",
        Phase::Suspended => "SUSPENDED",
        Phase::Degraded => "DEGRADED",
        Phase::Failed => "FAILED",
        Phase::Terminating => "TERMINATING",
    }
}

impl Usage {
    fn of<'a>(instances: impl Iterator<Item = &'a Arc<ServiceInstance>>) -> Self {
        let mut usage = Self::default();
        usage.by_phase.extend(Phase::ALL.map(|one| (phase(one), 0)));
        let mut tenants = BTreeSet::new();
        for instance in instances {
            // The operator has said nothing yet of one that was just made.
            let now = instance.status.as_ref().and_then(|status| status.phase).unwrap_or(Phase::Pending);
            usage.instances += 1;
            *usage.by_phase.entry(phase(now)).or_default() += 1;
            *usage.by_plan.entry(instance.spec.plan_ref.clone()).or_default() += 1;
            tenants.insert(instance.metadata.namespace.clone());
        }
        usage.tenants = i64::try_from(tenants.len()).unwrap_or(i64::MAX);
        usage
    }

    /// That of a plan: what asks for it, and what still runs by it.
    ///
    /// # Errors
    /// 503 where the cluster is away.
    pub fn of_plan(state: &State, plan: &str) -> Result<Self, Problem> {
        let instances = state.cluster.watches().instances.fresh()?;
        Ok(Self::of(instances.all().filter(|instance| {
            let runs_by = instance.status.as_ref().and_then(|status| status.plan.as_deref());
            instance.spec.plan_ref == plan || runs_by == Some(plan)
        })))
    }

    /// That of an app: what is made from it, or would be by its plan.
    ///
    /// # Errors
    /// 503 where the cluster is away.
    pub fn of_service(state: &State, service: &str) -> Result<Self, Problem> {
        let watches = state.cluster.watches();
        let (plans, instances) = (watches.plans.fresh()?, watches.instances.fresh()?);
        let of_it = plans.all().filter(|plan| plan.spec.template_ref == service);
        let of_it: BTreeSet<&str> = of_it.map(|plan| name(plan.metadata.name.as_ref())).collect();
        Ok(Self::of(instances.all().filter(|instance| {
            let made_from = instance.status.as_ref().and_then(|status| status.template.as_deref());
            made_from == Some(service) || of_it.contains(instance.spec.plan_ref.as_str())
        })))
    }
}

/// How many tenants have data of an app whose instance is gone: without its template nobody could restore it.
///
/// # Errors
/// 503 where the cluster is away.
pub fn tenants_with_data(state: &State, service: &str) -> Result<usize, Problem> {
    let tenants = state.cluster.watches().tenants.fresh()?;
    let has_data = |status: &crds::TenantQuotaStatus| {
        let (retained, orphaned) = (&status.retained, &status.orphaned);
        retained.iter().any(|one| one.template == service)
            || orphaned.iter().any(|one| one.template == service)
    };
    Ok(tenants.all().filter(|tenant| tenant.status.as_ref().is_some_and(has_data)).count())
}
