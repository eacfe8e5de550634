//! The instances, counted from what their status says.

use super::page::{Page, Row, count};
use crds::{ServiceInstance, ServicePlan, conditions, instance::Phase, labels};
use jiff::Timestamp;
use kube::ResourceExt as _;
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Conditions that are counted, in the order in which they are written.
const CONDITIONS: [&str; 10] = [
    conditions::READY,
    conditions::AVAILABLE,
    conditions::RECONCILING,
    conditions::STALLED,
    conditions::SUSPENDED,
    conditions::ADMITTED,
    conditions::STORAGE_READY,
    conditions::DOMAINS_READY,
    conditions::ACCESS_READY,
    conditions::UPDATE_PENDING,
];

/// What a plan that is not in the catalogue is called: anybody who may order can name anything.
const UNKNOWN: &str = "unknown";

/// The labels of the plan that an instance runs by: only plans that exist make labels.
pub(super) fn plan_labels(
    instance: &ServiceInstance,
    plans: &[Arc<ServicePlan>],
) -> Vec<(&'static str, String)> {
    let named =
        instance.status.as_ref().and_then(|status| status.plan.as_ref()).unwrap_or(&instance.spec.plan_ref);
    let plan = plans.iter().find(|plan| plan.name_any() == *named);
    let (template, plan) = plan.map_or_else(
        || (UNKNOWN.to_owned(), UNKNOWN.to_owned()),
        |plan| (plan.spec.template_ref.clone(), plan.name_any()),
    );
    vec![("template", template), ("plan", plan)]
}

/// How often each key comes, with those of `always` named even where none is there.
fn tally<K: Ord>(
    always: impl IntoIterator<Item = K>,
    found: impl IntoIterator<Item = K>,
) -> BTreeMap<K, usize> {
    let mut tally: BTreeMap<K, usize> = always.into_iter().map(|key| (key, 0)).collect();
    for key in found {
        *tally.entry(key).or_default() += 1;
    }
    tally
}

fn labelled<K: ToString>(label: &'static str, tally: BTreeMap<K, usize>) -> impl Iterator<Item = Row> {
    tally.into_iter().map(move |(key, found)| (vec![(label, key.to_string())], count(found)))
}

/// Writes them.
pub(super) fn write(
    page: &mut Page<'_>,
    instances: &[Arc<ServiceInstance>],
    plans: &[Arc<ServicePlan>],
    now: Timestamp,
) -> fmt::Result {
    let status = || instances.iter().filter_map(|one| one.status.as_ref());
    let phase = |one: &Arc<ServiceInstance>| one.status.as_ref().and_then(|status| status.phase);
    let phases = tally(
        Phase::ALL.map(|phase| format!("{phase:?}")),
        instances.iter().map(|one| format!("{:?}", phase(one).unwrap_or(Phase::Pending))),
    );
    page.gauges("instances", "Instances by phase", labelled("phase", phases))?;
    let reasons = status().filter_map(|status| status.reason.clone()).filter(|reason| !reason.is_empty());
    let reasons = tally([], reasons);
    page.gauges(
        "instances_by_reason",
        "Instances by the cause that matters most",
        labelled("reason", reasons),
    )?;
    let sold = tally(
        plans
            .iter()
            .map(|plan| vec![("template", plan.spec.template_ref.clone()), ("plan", plan.name_any())]),
        instances.iter().map(|one| plan_labels(one, plans)),
    );
    let sold = sold.into_iter().map(|(labels, found)| (labels, count(found)));
    page.gauges("instances_by_plan", "Instances by template and plan", sold)?;
    page.gauges(
        "instances_with_condition",
        "Instances by condition and its status",
        by_condition(instances),
    )?;
    ordered(page, instances, now)?;
    let domains = status().flat_map(|status| status.domains.iter().map(|domain| domain.verified));
    page.gauges(
        "domains",
        "Custom hosts by whether they are verified",
        labelled("verified", tally([false, true], domains)),
    )
}

fn by_condition(instances: &[Arc<ServiceInstance>]) -> Vec<Row> {
    let said = instances.iter().filter_map(|one| one.status.as_ref()).flat_map(|status| {
        status.conditions.iter().filter_map(|said| {
            let type_ = CONDITIONS.iter().position(|type_| *type_ == said.type_)?;
            Some((type_, said.status.clone()))
        })
    });
    let always = (0..CONDITIONS.len())
        .flat_map(|type_| ["False", "True", "Unknown"].map(|status| (type_, status.to_owned())));
    let rows = tally(always, said).into_iter().map(|((type_, status), found)| {
        (vec![("condition", CONDITIONS[type_].to_owned()), ("status", status)], count(found))
    });
    rows.collect()
}

/// What people and billing have ordered of them.
fn ordered(page: &mut Page<'_>, instances: &[Arc<ServiceInstance>], now: Timestamp) -> fmt::Result {
    let entitlement = |one: &Arc<ServiceInstance>| {
        let ends = one.spec.entitlement.as_ref().map(|of| of.suspend_at.as_ref().map(|time| time.0));
        match ends {
            None => "none",
            Some(Some(at)) if at <= now => "ended",
            Some(_) => "valid",
        }
    };
    let entitled = tally(["valid", "ended", "none"], instances.iter().map(entitlement));
    page.gauges(
        "instances_by_entitlement",
        "Instances by whether they are entitled to run",
        labelled("state", entitled),
    )?;
    let holds = instances.iter().filter_map(|one| one.spec.holds.as_ref()).flat_map(|holds| {
        let each = [("billing", &holds.billing), ("admin", &holds.admin), ("abuse", &holds.abuse)];
        each.into_iter().filter_map(|(by, hold)| hold.as_ref().map(|_| by))
    });
    let held = tally(["billing", "admin", "abuse"], holds);
    page.gauges(
        "instances_held",
        "Instances by who holds them; some are held by several",
        labelled("by", held),
    )?;
    let disabled = instances
        .iter()
        .filter(|one| one.annotations().get(labels::RECONCILE).is_some_and(|it| it == "disabled"));
    page.gauge(
        "reconcile_disabled",
        "Instances with the break-glass annotation",
        Some(count(disabled.count())),
    )
}
