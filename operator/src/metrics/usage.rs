//! What the apps use of CPU and memory, beside what they asked for: by plan, and by container where the settings say so.

use super::page::{Page, Row, cores, units};
use crate::{
    metrics::instances::plan_labels,
    nodes::pods::Pod,
    usage::{ByPod, Share, Source, shares},
};
use crds::{ServiceInstance, ServicePlan};
use jiff::Timestamp;
use kube::ResourceExt as _;
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

/// What was read.
pub(super) struct Read {
    /// What is known of the source.
    pub(super) source: Source,
    /// The newest measurements.
    pub(super) newest: Option<(Timestamp, Arc<ByPod>)>,
    /// The pods of instances.
    pub(super) pods: BTreeMap<(String, String), Arc<Pod>>,
    /// The instances.
    pub(super) instances: Vec<Arc<ServiceInstance>>,
    /// The plans.
    pub(super) plans: Vec<Arc<ServicePlan>>,
}

type Labels = Vec<(&'static str, String)>;

/// One figure of a share: how its metric is called after the prefix, what it is, and its value.
type Figure = (&'static str, &'static str, fn(&Share) -> Option<f64>);

const FIGURES: [Figure; 6] = [
    ("cpu_usage_cores", "CPU used", |share| share.used.map(|used| cores(used.cpu))),
    ("cpu_request_cores", "CPU asked for", |share| Some(cores(share.requests.cpu))),
    ("cpu_limit_cores", "CPU that may be used", |share| share.cpu_limit.map(cores)),
    ("memory_usage_bytes", "Memory used", |share| share.used.map(|used| units(used.memory))),
    ("memory_request_bytes", "Memory asked for", |share| Some(units(share.requests.memory))),
    ("memory_limit_bytes", "Memory that may be used", |share| share.memory_limit.map(units)),
];

/// Writes them.
pub(super) fn write(page: &mut Page<'_>, read: &Read, each: bool, now: Timestamp) -> fmt::Result {
    page.gauges(
        "usage_source",
        "1 for what is known of the metrics-server",
        Source::ALL.map(|source| {
            let is = if source == read.source { 1.0 } else { 0.0 };
            (vec![("state", source.name().to_owned())], is)
        }),
    )?;
    let age = read.newest.as_ref().map(|(at, _)| now.duration_since(*at).as_secs_f64().max(0.0));
    page.gauge("usage_age_seconds", "How long ago usage was last read", age)?;
    let nothing = ByPod::new();
    let measured = read.newest.as_ref().map_or(&nothing, |(_, measured)| measured);
    let (by_plan, by_container) = sorted(read, measured, each);
    figures(page, "plan", "by the plan of its instances", &by_plan)?;
    figures(page, "container", "by container", &by_container)
}

/// The shares by plan, and by container where each is wanted.
fn sorted(read: &Read, measured: &ByPod, each: bool) -> (BTreeMap<Labels, Share>, BTreeMap<Labels, Share>) {
    let instances: HashMap<String, &Arc<ServiceInstance>> =
        read.instances.iter().filter_map(|one| Some((one.uid()?, one))).collect();
    let (mut by_plan, mut by_container) = (BTreeMap::<Labels, Share>::new(), BTreeMap::new());
    for ((uid, component, container), share) in shares(&read.pods, measured) {
        // A label says whose a pod is, and anybody can set one: what belongs to no instance is not shown.
        let Some(instance) = instances.get(&uid) else { continue };
        let plan = plan_labels(instance, &read.plans);
        let sum = by_plan.entry(plan).or_default();
        *sum = sum.plus(&share);
        if each {
            let labels = vec![
                ("namespace", instance.namespace().unwrap_or_default()),
                ("instance", instance.name_any()),
                ("component", component),
                ("container", container),
            ];
            by_container.insert(labels, share);
        }
    }
    (by_plan, by_container)
}

fn figures(page: &mut Page<'_>, prefix: &str, of: &str, shares: &BTreeMap<Labels, Share>) -> fmt::Result {
    for (name, help, figure) in FIGURES {
        let rows = shares.iter().filter_map(|(labels, share)| Some::<Row>((labels.clone(), figure(share)?)));
        page.gauges(&format!("{prefix}_{name}"), &format!("{help}, {of}"), rows)?;
    }
    Ok(())
}
