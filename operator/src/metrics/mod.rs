//! Metrics in the OpenMetrics text format, at `/metrics`. docs/METRICS.md explains every one, and a test compares the names.
//!
//! What happens is counted here. What *is* (instances by phase, quota used, nodes) is worked out of the caches at each
//! scrape, in the modules beside this one: so a metric of something that is gone is gone, too.

pub mod calls;
mod instances;
mod nodes;
mod page;
mod process;
mod scrape;
mod tenants;
#[cfg(test)]
mod tests;
mod usage;
mod work;

pub use scrape::Scrape;

use calls::Called;
use jiff::SignedDuration;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::Registry,
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// What all names of this program's own metrics begin with.
const PREFIX: &str = "nakhoda_operator";

/// Which controller, and how it ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reconciled {
    /// `instance`, `tenant`, `template` or `plan`.
    controller: &'static str,
    /// `ok` or `error`.
    outcome: &'static str,
}

/// Which controller, and why it failed.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Failed {
    controller: &'static str,
    reason: &'static str,
}

/// Which controller.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct By {
    controller: &'static str,
}

/// Which verb.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Verb {
    verb: &'static str,
}

/// Which kind of object.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfKind {
    kind: String,
}

/// Everything that is counted while it happens.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: Family<Reconciled, Counter>,
    errors: Family<Failed, Counter>,
    durations: Family<By, Histogram>,
    leader: Gauge,
    leader_changes: Counter,
    calls: Family<Called, Counter>,
    call_durations: Family<Verb, Histogram>,
    lists: Family<OfKind, Counter>,
    watch_failures: Family<OfKind, Counter>,
    /// When a watch of each resource was last opened or renewed.
    watched: Mutex<BTreeMap<String, Instant>>,
    /// How far our clock is ahead of the API server's.
    skew: Mutex<Option<SignedDuration>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let info = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        let metrics = Self {
            registry: Registry::default(),
            reconciles: Family::default(),
            errors: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 2.0, 14))),
            leader: Gauge::default(),
            leader_changes: Counter::default(),
            calls: Family::default(),
            call_durations: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.002, 2.0, 13))
            }),
            lists: Family::default(),
            watch_failures: Family::default(),
            watched: Mutex::default(),
            skew: Mutex::default(),
        };
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register("build", "The version of the program", info);
        registry.register("reconciles", "Reconciles by controller and outcome", metrics.reconciles.clone());
        registry.register("reconcile_errors", "Failed reconciles by reason", metrics.errors.clone());
        registry.register(
            "reconcile_duration_seconds",
            "How long a reconcile took",
            metrics.durations.clone(),
        );
        registry.register("leader", "1 where this replica leads", metrics.leader.clone());
        let text = "How often this replica began or ceased to lead";
        registry.register("leader_changes", text, metrics.leader_changes.clone());
        registry.register("api_calls", "Calls to the API server", metrics.calls.clone());
        let text = "How long the API server took to answer; of a watch, until it begins";
        registry.register("api_call_duration_seconds", text, metrics.call_durations.clone());
        registry.register("lists", "Whole lists that a watch began anew with", metrics.lists.clone());
        registry.register(
            "watch_failures",
            "Watches that failed and were renewed",
            metrics.watch_failures.clone(),
        );
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// A reconcile ended.
    pub fn reconciled(&self, controller: &'static str, ok: bool, took: Duration) {
        let outcome = if ok { "ok" } else { "error" };
        self.reconciles.get_or_create(&Reconciled { controller, outcome }).inc();
        self.durations.get_or_create(&By { controller }).observe(took.as_secs_f64());
    }

    /// A reconcile failed, for a reason of [`crate::apply::CallError::label`].
    pub fn failed(&self, controller: &'static str, reason: &'static str) {
        self.errors.get_or_create(&Failed { controller, reason }).inc();
    }

    /// Whether this replica leads.
    pub fn leads(&self, yes: bool) {
        if self.leader.set(i64::from(yes)) != i64::from(yes) {
            self.leader_changes.inc();
        }
    }

    /// A watch of a kind listed everything anew.
    pub fn listed(&self, kind: &str) {
        self.lists.get_or_create(&OfKind { kind: kind.to_owned() }).inc();
    }

    /// A watch of a kind failed.
    pub fn watch_failed(&self, kind: &str) {
        self.watch_failures.get_or_create(&OfKind { kind: kind.to_owned() }).inc();
    }

    /// A call was answered, or given up.
    fn called(&self, called: Called, took: Duration) {
        self.call_durations.get_or_create(&Verb { verb: called.verb }).observe(took.as_secs_f64());
        self.calls.get_or_create(&called).inc();
    }

    /// A watch of a resource was opened or renewed.
    fn watching(&self, resource: &str, now: Instant) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        match watched.get_mut(resource) {
            Some(at) => *at = now,
            None => {
                watched.insert(resource.to_owned(), now);
            }
        }
    }

    /// For how long each watched resource's watch was not renewed.
    fn watch_ages(&self, now: Instant) -> BTreeMap<String, Duration> {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.iter().map(|(name, at)| (name.clone(), now.saturating_duration_since(*at))).collect()
    }

    /// Our clock is so far ahead of the API server's.
    fn skewed(&self, ahead: SignedDuration) {
        *self.skew.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
    }

    /// How far our clock is ahead of the API server's, by its last answer; none before the first.
    pub fn skew(&self) -> Option<SignedDuration> {
        *self.skew.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
