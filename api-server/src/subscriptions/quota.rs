//! What somebody has of what they may have at once, as the operator counts it: what was bought and may run, whatever else is in their namespace,
//! and data that is kept of what is gone.

use super::{Resources, store::Held};
use crate::{cluster::watch::Contents, http::problem::Problem, instances::crossing, state::State};
use crds::{
    ServiceInstance, ServicePlan, TenantQuota, TenantQuotaStatus, names, plan::PlanResources, quota::Limits,
};
use uuid::Uuid;

impl From<&PlanResources> for Resources {
    fn from(PlanResources { cpu, memory, storage }: &PlanResources) -> Self {
        Self { cpu_millicores: cpu.millis(), memory_bytes: memory.units(), storage_bytes: storage.units() }
    }
}

/// Something that has a place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    plan: String,
    resources: Resources,
}

/// What somebody may have at once, and has.
#[derive(Clone, Debug, Default)]
pub struct Quota {
    limits: Limits,
    places: Vec<Place>,
    /// Bytes of data that is kept of what is gone.
    kept: i64,
}

impl Quota {
    /// As the cluster has it, and what may run of somebody's subscriptions.
    ///
    /// # Errors
    /// 503 where the cluster is away.
    pub fn read(state: &State, user_id: Uuid, held: &[Held]) -> Result<Self, Problem> {
        let watches = state.cluster.watches();
        let (tenants, instances, plans) =
            (watches.tenants.fresh()?, watches.instances.fresh()?, watches.plans.fresh()?);
        let name = names::tenant_of_user(&user_id.to_string());
        let namespace = names::tenant_namespace(&name);
        let own = instances.within(&namespace).map(|one| &**one);
        Ok(Self::of(tenants.named(&name).map(|one| &**one), own, held, &plans))
    }

    fn of<'a>(
        tenant: Option<&TenantQuota>,
        instances: impl Iterator<Item = &'a ServiceInstance>,
        held: &[Held],
        plans: &Contents<ServicePlan>,
    ) -> Self {
        // Of a plan that was edited the operator counts what it is now.
        let place = |plan: &str, noted: Resources| {
            let resources = plans.named(plan).map_or(noted, |found| (&found.spec.resources).into());
            Place { plan: plan.to_owned(), resources }
        };
        let bought = held.iter().map(|one| place(&one.plan, one.resources));
        let status = tenant.and_then(|tenant| tenant.status.as_ref());
        let others = instances.filter(|one| !is_of(one, held));
        let others = others.filter_map(|one| Some(place(&counted_plan(one, status)?, Resources::default())));
        let kept = status.map_or(0, |status| {
            let retained = status.retained.iter().map(|one| one.storage.units());
            retained.chain(status.orphaned.iter().map(|one| one.storage.units())).sum()
        });
        let limits = tenant.map(|tenant| tenant.spec.limits.clone()).unwrap_or_default();
        Self { limits, places: bought.chain(others).collect(), kept }
    }

    /// What one more of a plan is too much for; none: it fits.
    pub fn obstacle(&self, plan: &str, more: Resources) -> Option<String> {
        let Self { limits, places, kept } = self;
        let sum = |of: fn(&Resources) -> i64| places.iter().map(|one| of(&one.resources)).sum::<i64>();
        let counted = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let of_plan = counted(places.iter().filter(|one| one.plan == plan).count());
        let per_plan = limits.per_plan.get(plan).map(|most| i64::from(*most));
        let (memory, storage) = (limits.memory.units(), limits.storage.units());
        let stored = sum(|one| one.storage_bytes);
        let Resources { cpu_millicores, memory_bytes, storage_bytes } = more;
        let rows = [
            ("instances", counted(places.len()), 1, Some(i64::from(limits.instances))),
            ("instances of this plan", of_plan, 1, per_plan),
            ("millicores of CPU", sum(|one| one.cpu_millicores), cpu_millicores, Some(limits.cpu.millis())),
            ("bytes of memory", sum(|one| one.memory_bytes), memory_bytes, Some(memory)),
            ("bytes of storage", stored, storage_bytes, Some(storage)),
            // The namespace has room for twice as much, since kept data takes storage, too.
            (
                "bytes of storage with what is kept",
                stored + kept,
                storage_bytes,
                Some(storage.saturating_mul(2)),
            ),
        ];
        let over = rows.into_iter().filter_map(|(what, used, more, most)| {
            let most = most?;
            (used.saturating_add(more) > most)
                .then(|| format!("{used} of {most} {what} are in use, and {more} more are needed"))
        });
        let over: Vec<String> = over.collect();
        (!over.is_empty())
            .then(|| format!("{}. Cancel something, or ask for a larger quota.", over.join("; ")))
    }
}

/// Whether an instance is one of those that were bought, which are counted already.
fn is_of(instance: &ServiceInstance, held: &[Held]) -> bool {
    let uid = instance.metadata.uid.as_ref().and_then(|uid| Uuid::try_parse(uid).ok());
    let id = crossing::subscription_of(instance);
    held.iter().any(|one| one.uid.is_some() && one.uid == uid || Some(one.id) == id)
}

/// The plan by which an instance has a place, or will have; none where it waits for one, or goes without ever having had one.
fn counted_plan(instance: &ServiceInstance, status: Option<&TenantQuotaStatus>) -> Option<String> {
    let is_it = |other: &str| instance.metadata.uid.as_deref() == Some(other);
    let admitted = status.and_then(|status| status.admitted.iter().find(|one| is_it(&one.uid)));
    if let Some(admitted) = admitted {
        return Some(admitted.plan.clone());
    }
    let waits = status.is_some_and(|status| status.waiting.iter().any(|one| is_it(&one.uid)));
    let comes = !waits && instance.metadata.deletion_timestamp.is_none();
    comes.then(|| instance.spec.plan_ref.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const SIZE: Resources =
        Resources { cpu_millicores: 1000, memory_bytes: 1 << 30, storage_bytes: 10 << 30 };

    fn held(id: u128) -> Held {
        Held {
            id: Uuid::from_u128(id),
            uid: None,
            service: "ghost".into(),
            plan: "small".into(),
            has_ended: false,
            resources: SIZE,
        }
    }

    fn tenant(status: &Value) -> TenantQuota {
        serde_json::from_value(json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "TenantQuota",
            "metadata": {"name": "u1"}, "spec": {"owner": "1", "limits": {"instances": 3, "cpu": "4", "memory": "4Gi", "storage": "20Gi"}},
            "status": status}))
        .unwrap()
    }

    fn instance(uid: &str, more: &Value) -> ServiceInstance {
        let mut instance = json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServiceInstance",
            "metadata": {"namespace": "customer-u1", "name": uid, "uid": uid}, "spec": {"planRef": "small"}});
        for (name, value) in more.as_object().into_iter().flatten() {
            instance["metadata"][name] = value.clone();
        }
        serde_json::from_value(instance).unwrap()
    }

    fn quota(status: &Value, instances: &[ServiceInstance], held: &[Held]) -> Quota {
        let plan: ServicePlan =
            serde_json::from_value(json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServicePlan",
            "metadata": {"name": "small"}, "spec": {"templateRef": "ghost", "displayName": "Small", "price": {"amount": 1},
                "resources": {"cpu": "1", "memory": "1Gi", "storage": "5Gi"}}}))
            .unwrap();
        Quota::of(Some(&tenant(status)), instances.iter(), held, &Contents::from_iter([plan]))
    }

    #[test]
    fn what_was_bought_is_counted_once_and_what_was_made_by_hand_too() {
        let id = Uuid::from_u128(1);
        let bought = instance("a", &json!({"labels": {"nakhoda.dev/subscription": id}}));
        let of_another = instance("b", &json!({"labels": {"nakhoda.dev/subscription": Uuid::from_u128(9)}}));
        let all = [bought, of_another, instance("c", &json!({}))];
        let places = |count: usize| quota(&json!({}), &all[..count], &[held(1)]).places.len();
        assert_eq!((places(0), places(1), places(2), places(3)), (1, 1, 2, 3));
        assert!(quota(&json!({}), &all[..2], &[held(1)]).obstacle("small", SIZE).is_none());
        let full = quota(&json!({}), &all, &[held(1)]).obstacle("small", SIZE).unwrap();
        assert!(full.starts_with("3 of 3 instances are in use, and 1 more are needed"), "{full}");
    }

    #[test]
    fn who_has_a_place_has_it_by_the_plan_that_was_admitted_and_who_waits_takes_none() {
        let admitted = json!({"admitted": [{"name": "a", "uid": "a", "plan": "large"}],
            "waiting": [{"name": "b", "uid": "b", "plan": "small", "reason": "QuotaExceeded", "message": ""}]});
        let ending = instance("c", &json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}));
        let all = [instance("a", &json!({})), instance("b", &json!({})), ending];
        let plans: Vec<String> = quota(&admitted, &all, &[]).places.into_iter().map(|one| one.plan).collect();
        assert_eq!(plans, ["large"]);
    }

    #[test]
    fn a_plan_counts_as_it_is_now_and_one_that_is_gone_as_it_was_sold() {
        let lost = Held { plan: "gone".into(), ..held(2) };
        let sizes: Vec<i64> = quota(&json!({}), &[], &[held(1), lost])
            .places
            .iter()
            .map(|one| one.resources.storage_bytes >> 30)
            .collect();
        assert_eq!(sizes, [5, 10]);
    }

    #[test]
    fn kept_data_takes_storage_of_twice_what_there_may_be() {
        let kept = |size: &str| {
            let status = json!({"retained": [{"dataId": "d", "template": "ghost", "plan": "small", "storage": size}],
                "orphaned": [{"dataId": "e", "template": "ghost", "storage": "10Gi"}]});
            quota(&status, &[], &[]).obstacle("small", SIZE)
        };
        assert_eq!(kept("20Gi"), None);
        assert!(kept("21Gi").is_some_and(|over| over.contains("with what is kept")));
    }
}
