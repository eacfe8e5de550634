//! Metrics in the OpenMetrics text format, at `/metrics`.

use crate::domains::records::{Answer, Seen};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use std::time::Duration;

/// Which controller, and how it ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Reconciled {
    /// `instance`, `tenant`, `template` or `plan`.
    pub controller: &'static str,
    /// `ok` or `error`.
    pub outcome: &'static str,
}

/// Which phase.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct InPhase {
    /// As in the status.
    pub phase: String,
}

/// Which controller.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct By {
    /// `instance`, `tenant`, `template` or `plan`.
    pub controller: &'static str,
}

/// How a look at a custom host's DNS records ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct LookedUp {
    /// `found`, `nothing` or `failed`.
    pub outcome: &'static str,
}

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: Family<Reconciled, Counter>,
    durations: Family<By, Histogram>,
    leader: Gauge,
    backing_off: Gauge,
    instances: Family<InPhase, Gauge>,
    hands_off: Gauge,
    domain_lookups: Family<LookedUp, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("nakhoda_operator");
        let reconciles = Family::default();
        registry.register("reconciles", "Reconciles by controller and outcome", reconciles.clone());
        let durations = Family::<By, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(0.001, 2.0, 14))
        });
        registry.register("reconcile_duration_seconds", "How long a reconcile took", durations.clone());
        let leader = Gauge::default();
        registry.register("leader", "1 where this replica leads", leader.clone());
        let backing_off = Gauge::default();
        registry.register("backing_off", "Objects that wait after a failure", backing_off.clone());
        let instances = Family::default();
        registry.register("instances", "Instances by phase", instances.clone());
        let hands_off = Gauge::default();
        registry.register(
            "reconcile_disabled",
            "Instances with the break-glass annotation",
            hands_off.clone(),
        );
        let domain_lookups = Family::default();
        registry.register(
            "domain_lookups",
            "Looks at the DNS records of custom hosts by outcome",
            domain_lookups.clone(),
        );
        Self { registry, reconciles, durations, leader, backing_off, instances, hands_off, domain_lookups }
    }
}

impl Metrics {
    /// A reconcile ended.
    pub fn reconciled(&self, controller: &'static str, ok: bool, took: Duration) {
        let outcome = if ok { "ok" } else { "error" };
        self.reconciles.get_or_create(&Reconciled { controller, outcome }).inc();
        self.durations.get_or_create(&By { controller }).observe(took.as_secs_f64());
    }

    /// The DNS records of a custom host were looked at.
    pub fn looked_up(&self, seen: &Seen) {
        let found = [&seen.txt, &seen.cname].into_iter().any(|one| matches!(one, Answer::Found(_)));
        let outcome = match (seen.has_failed(), found) {
            (true, _) => "failed",
            (false, true) => "found",
            (false, false) => "nothing",
        };
        self.domain_lookups.get_or_create(&LookedUp { outcome }).inc();
    }

    /// Whether this replica leads.
    pub fn leads(&self, yes: bool) {
        self.leader.set(i64::from(yes));
    }

    /// Takes the counts of a moment.
    pub fn counted(&self, by_phase: &[(String, i64)], hands_off: i64, backing_off: usize) {
        for (phase, count) in by_phase {
            self.instances.get_or_create(&InPhase { phase: phase.clone() }).set(*count);
        }
        self.hands_off.set(hands_off);
        self.backing_off.set(i64::try_from(backing_off).unwrap_or(i64::MAX));
    }

    /// The text that a scrape gets.
    pub fn text(&self) -> String {
        let mut out = String::new();
        if text::encode(&mut out, &self.registry).is_err() {
            tracing::error!("the metrics could not be written");
        }
        out
    }
}
