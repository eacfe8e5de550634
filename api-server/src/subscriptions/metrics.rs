//! What is counted about subscriptions.

use super::Status;
use crate::inspection::{Difference, Kind};
use jiff::Timestamp;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Of {
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Move {
    step: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Differing {
    kind: &'static str,
}

/// What may happen to one; each begins at 0.
const MOVES: [&str; 6] = ["bought", "activated", "cancelled", "given_up", "fenced", "retold"];
/// What a sweep may find.
const DIFFERENCES: [Kind; 6] = [
    Kind::PaidNotRunning,
    Kind::RunningNotPaid,
    Kind::WrongPlan,
    Kind::Orphan,
    Kind::Overtaken,
    Kind::RefundWaits,
];

/// How subscriptions stand.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// How many of each status.
    pub by_status: Vec<(Status, i64)>,
    /// How many are not there after a quarter of an hour.
    pub late: i64,
    /// How many have money that waits for an hour to go back.
    pub unfenced: i64,
    /// Of how many the next step has failed again and again.
    pub failing: i64,
}

/// All of them.
#[derive(Debug)]
pub struct Metrics {
    by_status: Family<Of, Gauge>,
    moves: Family<Move, Counter>,
    failures: Counter,
    provisioning: Histogram,
    late: Gauge,
    unfenced: Gauge,
    failing: Gauge,
    differing: Family<Differing, Gauge>,
    swept: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            by_status: Family::default(),
            moves: Family::default(),
            failures: Counter::default(),
            provisioning: Histogram::new(exponential_buckets(2.0, 2.0, 12)),
            late: Gauge::default(),
            unfenced: Gauge::default(),
            failing: Gauge::default(),
            differing: Family::default(),
            swept: Gauge::default(),
        };
        for step in MOVES {
            drop(metrics.moves.get_or_create(&Move { step }));
        }
        for kind in DIFFERENCES {
            drop(metrics.differing.get_or_create(&Differing { kind: kind.as_str() }));
        }
        metrics
    }
}

impl Metrics {
    /// Names them.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("subscriptions", "Subscriptions by status", self.by_status.clone());
        registry.register("subscription_steps", "What happened to subscriptions", self.moves.clone());
        registry.register(
            "subscription_failures",
            "Steps that failed and are made again",
            self.failures.clone(),
        );
        registry.register(
            "subscription_provisioning_seconds",
            "From the purchase until the app was there for the first time",
            self.provisioning.clone(),
        );
        registry.register(
            "subscriptions_late",
            "Bought and not there after a quarter of an hour",
            self.late.clone(),
        );
        registry.register(
            "subscriptions_unfenced",
            "Ended, and something of it may still run after an hour",
            self.unfenced.clone(),
        );
        registry.register(
            "subscriptions_failing",
            "Those whose next step has failed more than five times in a row",
            self.failing.clone(),
        );
        registry.register(
            "subscriptions_differing",
            "Subscriptions and resources that do not agree, by what differs",
            self.differing.clone(),
        );
        registry.register(
            "subscriptions_swept_timestamp_seconds",
            "When subscriptions were last compared with the cluster",
            self.swept.clone(),
        );
    }

    /// Something happened to one.
    pub fn moved(&self, step: &'static str) {
        self.moves.get_or_create(&Move { step }).inc();
    }

    /// A step failed.
    pub fn failed(&self) {
        self.failures.inc();
    }

    /// One was there for the first time.
    pub fn activated(&self, now: Timestamp, bought: Timestamp) {
        self.moved("activated");
        self.provisioning.observe(now.duration_since(bought).as_secs_f64());
    }

    /// All were compared with the cluster.
    pub fn swept(&self, found: &[Difference], now: Timestamp) {
        for kind in DIFFERENCES {
            let count = found.iter().filter(|one| one.kind == kind).count();
            let kind = Differing { kind: kind.as_str() };
            self.differing.get_or_create(&kind).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.swept.set(now.as_second());
    }

    /// As they stand.
    pub fn stand(&self, standing: &Standing) {
        for status in Status::ALL {
            let count =
                standing.by_status.iter().find(|(one, _)| *one == status).map_or(0, |(_, count)| *count);
            self.by_status.get_or_create(&Of { status: status.as_str() }).set(count);
        }
        self.late.set(standing.late);
        self.unfenced.set(standing.unfenced);
        self.failing.set(standing.failing);
    }
}
