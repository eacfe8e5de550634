//! Who has a place in the quota: pure, recomputable, ordered, never exceeded.

use crds::{
    Quantity, ServiceInstance, ServicePlan,
    instance::ServiceInstanceSpec,
    plan::PlanResources,
    quota::{Admitted, Limits, Used, Waiting},
    reasons,
};
use kube::ResourceExt as _;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// The outcome.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// Who has a place, in the order in which they got it.
    pub admitted: Vec<Admitted>,
    /// Who waits, and for what.
    pub waiting: Vec<Waiting>,
    /// What the admitted use.
    pub used: Used,
}

/// What is used so far, by plan as well.
#[derive(Default)]
struct Count {
    used: Used,
    by_plan: BTreeMap<String, i32>,
}

/// An instance as the API server sent it. One that can't be read keeps the place that it has, and gets none otherwise; it does not
/// keep the others from being decided.
pub fn read(live: Value, before: &[Admitted]) -> Option<ServiceInstance> {
    let uid = live.pointer("/metadata/uid").and_then(Value::as_str).map(str::to_owned);
    if let Ok(instance) = serde_json::from_value(live) {
        return Some(instance);
    }
    let place = before.iter().find(|one| Some(&one.uid) == uid.as_ref())?;
    let spec = ServiceInstanceSpec { plan_ref: place.plan.clone(), ..ServiceInstanceSpec::default() };
    let mut instance = ServiceInstance::new(&place.name, spec);
    instance.metadata.uid = uid;
    Some(instance)
}

/// Decides anew: those who have a place keep it, then the others in the order of their creation (and uid), each of
/// whom gets one if it fits in what is left. Nobody ever loses a place but by being gone.
pub fn decide(
    limits: &Limits,
    before: &[Admitted],
    instances: &[Arc<ServiceInstance>],
    plan_of: impl Fn(&str) -> Option<Arc<ServicePlan>>,
) -> Decision {
    let mut count = Count::default();
    let mut decision = Decision::default();
    let by_uid: BTreeMap<String, &Arc<ServiceInstance>> =
        instances.iter().filter_map(|instance| Some((instance.uid()?, instance))).collect();
    let kept: Vec<&Admitted> = before.iter().filter(|one| by_uid.contains_key(&one.uid)).collect();
    for one in &kept {
        count.add(&one.plan, plan_of(&one.plan).map(|plan| plan.spec.resources).as_ref());
    }
    for one in kept {
        let wanted = &by_uid[&one.uid].spec.plan_ref;
        let plan = if *wanted == one.plan {
            Ok(one.plan.clone())
        } else {
            upgrade(limits, &mut count, &one.plan, wanted, &plan_of)
        };
        let plan = plan.unwrap_or_else(|(reason, _)| {
            let message = if reason == reasons::PLAN_NOT_FOUND { no_plan(wanted) } else { no_room_to_grow() };
            decision.waiting.push(waiting(&one.name, &one.uid, wanted, reason, message));
            one.plan.clone()
        });
        decision.admitted.push(Admitted { plan, ..one.clone() });
    }
    let mut left_out = Vec::new();
    let mut others: Vec<&Arc<ServiceInstance>> = by_uid
        .values()
        .copied()
        .filter(|one| !decision.admitted.iter().any(|a| Some(&a.uid) == one.metadata.uid.as_ref()))
        .collect();
    others.sort_by_key(|one| (one.metadata.creation_timestamp.clone().map(|time| time.0), one.uid()));
    for one in others.into_iter().filter(|one| one.metadata.deletion_timestamp.is_none()) {
        let (name, uid, plan) = (one.name_any(), one.uid().unwrap_or_default(), one.spec.plan_ref.clone());
        match place(limits, &count, &plan, &plan_of) {
            Ok(resources) => {
                count.add(&plan, Some(&resources));
                decision.admitted.push(Admitted { name, uid, plan });
            }
            Err(_) => left_out.push((name, uid, plan)),
        }
    }
    // What is missing is said by what is used in the end, so that deciding again says the same.
    for (name, uid, plan) in left_out {
        if let Err((reason, message)) = place(limits, &count, &plan, &plan_of) {
            decision.waiting.push(waiting(&name, &uid, &plan, reason, message));
        }
    }
    decision.used = count.used;
    decision
}

fn waiting(name: &str, uid: &str, plan: &str, reason: &str, message: String) -> Waiting {
    Waiting {
        name: name.to_owned(),
        uid: uid.to_owned(),
        plan: plan.to_owned(),
        reason: reason.to_owned(),
        message,
    }
}

fn no_plan(plan: &str) -> String {
    format!("The plan {plan} does not exist. Name an existing one, or ask an administrator.")
}

fn no_room_to_grow() -> String {
    "The tenant's quota leaves no room for the larger plan; it runs by the old one until another instance is deleted or \
     the limit is raised."
        .to_owned()
}

type Refusal = (&'static str, String);

fn upgrade(
    limits: &Limits,
    count: &mut Count,
    from: &str,
    to: &str,
    plan_of: &impl Fn(&str) -> Option<Arc<ServicePlan>>,
) -> Result<String, Refusal> {
    let old = plan_of(from).map(|plan| plan.spec.resources);
    count.remove(from, old.as_ref());
    match place(limits, count, to, plan_of) {
        Ok(new) => {
            count.add(to, Some(&new));
            Ok(to.to_owned())
        }
        Err(refusal) => {
            count.add(from, old.as_ref());
            Err(refusal)
        }
    }
}

fn place(
    limits: &Limits,
    count: &Count,
    plan: &str,
    plan_of: &impl Fn(&str) -> Option<Arc<ServicePlan>>,
) -> Result<PlanResources, Refusal> {
    let Some(found) = plan_of(plan) else {
        return Err((reasons::PLAN_NOT_FOUND, no_plan(plan)));
    };
    let resources = found.spec.resources;
    let of_plan = count.by_plan.get(plan).copied().unwrap_or_default();
    let exceeded = [
        ("number of instances", count.used.instances >= limits.instances),
        ("number of instances of this plan", limits.per_plan.get(plan).is_some_and(|most| of_plan >= *most)),
        ("CPU", count.used.cpu.plus(resources.cpu) > limits.cpu),
        ("memory", count.used.memory.plus(resources.memory) > limits.memory),
        ("storage", count.used.storage.plus(resources.storage) > limits.storage),
    ];
    let missing: Vec<&str> = exceeded.iter().filter(|(_, over)| *over).map(|(what, _)| *what).collect();
    if missing.is_empty() {
        return Ok(resources);
    }
    let message = format!(
        "The tenant's quota leaves no room: {}. It starts by itself once another instance is deleted or the limit is raised.",
        missing.join(", ")
    );
    Err((reasons::QUOTA_EXCEEDED, message))
}

impl Count {
    fn add(&mut self, plan: &str, resources: Option<&PlanResources>) {
        let zero = PlanResources { cpu: Quantity::ZERO, memory: Quantity::ZERO, storage: Quantity::ZERO };
        let PlanResources { cpu, memory, storage } = resources.copied().unwrap_or(zero);
        self.used.instances += 1;
        self.used.cpu = self.used.cpu.plus(cpu);
        self.used.memory = self.used.memory.plus(memory);
        self.used.storage = self.used.storage.plus(storage);
        *self.by_plan.entry(plan.to_owned()).or_default() += 1;
    }

    fn remove(&mut self, plan: &str, resources: Option<&PlanResources>) {
        if let Some(PlanResources { cpu, memory, storage }) = resources.copied() {
            self.used.cpu = self.used.cpu.minus(cpu);
            self.used.memory = self.used.memory.minus(memory);
            self.used.storage = self.used.storage.minus(storage);
        }
        self.used.instances -= 1;
        if let Some(count) = self.by_plan.get_mut(plan) {
            *count -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::{ServicePlanSpec, instance::ServiceInstanceSpec};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use proptest::prelude::*;

    fn plan(name: &str) -> Option<Arc<ServicePlan>> {
        let size = match name {
            "small" => 1,
            "large" => 4,
            _ => return None,
        };
        let amount = Quantity::from_units(size);
        let resources = PlanResources { cpu: amount, memory: amount, storage: amount };
        Some(Arc::new(ServicePlan::new(name, ServicePlanSpec { resources, ..ServicePlanSpec::default() })))
    }

    fn instance(name: &str, plan: &str, created: i64) -> Arc<ServiceInstance> {
        let mut one = ServiceInstance::new(
            name,
            ServiceInstanceSpec { plan_ref: plan.into(), ..ServiceInstanceSpec::default() },
        );
        one.metadata.uid = Some(format!("uid-{name}"));
        one.metadata.creation_timestamp = Some(Time(jiff::Timestamp::from_second(created).unwrap()));
        Arc::new(one)
    }

    fn limits(instances: i32, amount: u64) -> Limits {
        let amount = Quantity::from_units(amount);
        Limits { instances, cpu: amount, memory: amount, storage: amount, per_plan: BTreeMap::new() }
    }

    fn names(decision: &Decision) -> Vec<&str> {
        decision.admitted.iter().map(|one| one.name.as_str()).collect()
    }

    #[test]
    fn the_oldest_are_first_and_equals_go_by_uid() {
        let all = [instance("c", "small", 2), instance("b", "small", 1), instance("a", "small", 2)];
        assert_eq!(names(&decide(&limits(2, 9), &[], &all, plan)), ["b", "a"]);
    }

    #[test]
    fn who_has_a_place_keeps_it_even_when_the_limit_sinks() {
        let all = [instance("old", "small", 1), instance("new", "small", 5)];
        let before = [Admitted { name: "new".into(), uid: "uid-new".into(), plan: "small".into() }];
        assert_eq!(names(&decide(&limits(1, 9), &before, &all, plan)), ["new"]);
        assert_eq!(names(&decide(&limits(0, 9), &before, &all, plan)), ["new"]);
    }

    #[test]
    fn another_instance_of_the_same_name_has_no_place_yet() {
        let before = [Admitted { name: "a".into(), uid: "uid-of-the-deleted".into(), plan: "small".into() }];
        let decision = decide(&limits(0, 9), &before, &[instance("a", "small", 1)], plan);
        assert!(decision.admitted.is_empty() && decision.waiting[0].reason == "QuotaExceeded");
    }

    #[test]
    fn an_upgrade_that_does_not_fit_waits_and_the_old_plan_stays() {
        let before = [Admitted { name: "a".into(), uid: "uid-a".into(), plan: "small".into() }];
        let all = [instance("a", "large", 1)];
        let decision = decide(&limits(5, 3), &before, &all, plan);
        assert_eq!((decision.admitted[0].plan.as_str(), decision.waiting.len()), ("small", 1));
        assert_eq!(decide(&limits(5, 4), &before, &all, plan).admitted[0].plan, "large");
    }

    #[test]
    fn what_is_missing_is_said() {
        let decision =
            decide(&limits(5, 3), &[], &[instance("a", "large", 1), instance("b", "gone", 1)], plan);
        assert!(decision.waiting[0].message.contains("CPU, memory, storage"));
        assert_eq!(decision.waiting[1].reason, "PlanNotFound");
    }

    proptest! {
        #[test]
        fn no_sequence_of_arrivals_and_departures_ever_exceeds_the_limits(
            steps in prop::collection::vec((0usize..12, prop::bool::ANY, prop::bool::ANY), 1..60),
            most in 0i32..6, amount in 0u64..12,
        ) {
            let limits = limits(most, amount);
            let mut all: BTreeMap<usize, Arc<ServiceInstance>> = BTreeMap::new();
            let mut before: Vec<Admitted> = Vec::new();
            for (index, (who, arrives, large)) in steps.into_iter().enumerate() {
                if arrives {
                    let plan = if large { "large" } else { "small" };
                    all.entry(who).or_insert_with(|| instance(&format!("i{who}x{index}"), plan, i64::try_from(index).unwrap()));
                } else {
                    all.remove(&who);
                }
                let present: Vec<Arc<ServiceInstance>> = all.values().cloned().collect();
                let decision = decide(&limits, &before, &present, plan);
                prop_assert!(decision.used.instances <= most && decision.used.cpu <= limits.cpu);
                // Nobody who is still there lost a place, and deciding again changes nothing.
                for old in before.iter().filter(|old| present.iter().any(|one| one.uid() == Some(old.uid.clone()))) {
                    prop_assert!(decision.admitted.contains(old));
                }
                prop_assert_eq!(&decide(&limits, &decision.admitted, &present, plan), &decision);
                before = decision.admitted;
            }
        }
    }

    #[test]
    fn one_that_can_not_be_read_keeps_its_place_and_the_others_are_decided() {
        let unreadable =
            serde_json::json!({"metadata": {"name": "odd", "uid": "odd"}, "spec": {"planRef": 7}});
        let before = [Admitted { name: "odd".into(), uid: "odd".into(), plan: "small".into() }];
        let kept = read(unreadable.clone(), &before).unwrap();
        assert_eq!((kept.metadata.uid.as_deref(), kept.spec.plan_ref.as_str()), (Some("odd"), "small"));
        assert!(read(unreadable, &[]).is_none(), "and gets none");
    }
}
