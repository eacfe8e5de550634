//! What is counted about jobs.

use super::{Kind, Queue, store::Standing};
use jiff::SignedDuration;
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
use std::time::Duration;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct InQueue {
    queue: &'static str,
}

/// All of them.
#[derive(Debug)]
pub struct Metrics {
    ended: Family<Ended, Counter>,
    durations: Family<OfKind, Histogram>,
    pickups: Family<InQueue, Histogram>,
    pending: Family<InQueue, Gauge>,
    oldest: Family<InQueue, Gauge>,
    running: Family<InQueue, Gauge>,
    dead: Family<InQueue, Gauge>,
    outbox: Gauge,
    outbox_oldest: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let durations = (|| Histogram::new(exponential_buckets(0.001, 4.0, 10))) as fn() -> Histogram;
        let pickups = (|| Histogram::new(exponential_buckets(0.0125, 2.0, 15))) as fn() -> Histogram;
        Self {
            ended: Family::default(),
            durations: Family::new_with_constructor(durations),
            pickups: Family::new_with_constructor(pickups),
            pending: Family::default(),
            oldest: Family::default(),
            running: Family::default(),
            dead: Family::default(),
            outbox: Gauge::default(),
            outbox_oldest: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Registers them, and lets what can be counted begin at 0.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("jobs", "Runs of jobs, by kind and outcome", self.ended.clone());
        registry.register("job_duration_seconds", "How long runs of jobs took", self.durations.clone());
        registry.register(
            "job_pickup_seconds",
            "From when a job was to be run until it was begun, at the first attempt",
            self.pickups.clone(),
        );
        registry.register("jobs_pending", "Jobs that wait, also for a later time", self.pending.clone());
        registry.register(
            "job_oldest_due_seconds",
            "How long the job waits whose time came first",
            self.oldest.clone(),
        );
        registry.register("jobs_running", "Jobs that workers have taken", self.running.clone());
        registry.register("jobs_dead", "Jobs that were given up", self.dead.clone());
        registry.register("job_outbox", "Jobs that were not handed over yet", self.outbox.clone());
        registry.register(
            "job_outbox_oldest_seconds",
            "How long the oldest of them waits",
            self.outbox_oldest.clone(),
        );
        for kind in Kind::ALL.iter().map(|kind| kind.as_str()) {
            for outcome in ["done", "failed", "dead", "lost", "given_back"] {
                drop(self.ended.get_or_create(&Ended { kind, outcome }));
            }
            drop(self.durations.get_or_create(&OfKind { kind }));
        }
        for queue in Queue::ALL.iter().map(|queue| queue.as_str()) {
            drop(self.pickups.get_or_create(&InQueue { queue }));
            for gauge in [&self.pending, &self.oldest, &self.running, &self.dead] {
                drop(gauge.get_or_create(&InQueue { queue }));
            }
        }
    }

    /// A run ended so.
    pub(super) fn ended(&self, kind: Kind, outcome: &'static str) {
        self.ended.get_or_create(&Ended { kind: kind.as_str(), outcome }).inc();
    }

    /// It took so long.
    pub(super) fn took(&self, kind: Kind, duration: Duration) {
        self.durations.get_or_create(&OfKind { kind: kind.as_str() }).observe(duration.as_secs_f64());
    }

    /// A job was begun, so long after its time.
    pub(super) fn picked_up(&self, queue: Queue, delay: SignedDuration) {
        self.pickups.get_or_create(&InQueue { queue: queue.as_str() }).observe(delay.as_secs_f64().max(0.0));
    }

    /// How all stand.
    pub(super) fn stand(&self, standing: &Standing) {
        for queue in Queue::ALL.iter().map(|queue| queue.as_str()) {
            let found = standing.queues.iter().find(|one| one.queue == queue);
            let set = |gauge: &Family<InQueue, Gauge>, value: Option<i64>| {
                gauge.get_or_create(&InQueue { queue }).set(value.unwrap_or(0));
            };
            set(&self.pending, found.map(|one| one.pending));
            set(&self.oldest, found.map(|one| one.oldest_due_seconds));
            set(&self.running, found.map(|one| one.running));
            set(&self.dead, found.map(|one| one.dead));
        }
        self.outbox.set(standing.outbox);
        self.outbox_oldest.set(standing.outbox_oldest_seconds);
    }
}
