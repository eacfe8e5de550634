//! What is counted about what is kept of the cluster.

use super::Watches;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use std::time::Duration;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    kind: String,
}

fn kind(kind: &str) -> Kind {
    Kind { kind: kind.to_owned() }
}

/// All of them.
#[derive(Debug, Default)]
pub struct Metrics {
    ages: Family<Kind, Gauge>,
    objects: Family<Kind, Gauge>,
    lists: Family<Kind, Counter>,
    failures: Family<Kind, Counter>,
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "watch_age_seconds",
            "How long ago the API server of the cluster said anything of a kind; -1 where it never did",
            self.ages.clone(),
        );
        registry.register("watch_objects", "Resources that are kept of a kind", self.objects.clone());
        registry.register("watch_lists", "Times that a kind was read as a whole", self.lists.clone());
        registry.register(
            "watch_failures",
            "Times that a list or a watch of a kind failed",
            self.failures.clone(),
        );
    }

    pub(super) fn listed(&self, name: &str) {
        self.lists.get_or_create(&kind(name)).inc();
    }

    pub(super) fn failed(&self, name: &str) {
        self.failures.get_or_create(&kind(name)).inc();
    }

    /// How each kind is kept.
    pub fn stand(&self, watches: &Watches) {
        for standing in watches.standing() {
            let kind = kind(standing.kind);
            let seconds = |age: Duration| i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
            self.ages.get_or_create(&kind).set(standing.age.map_or(-1, seconds));
            self.objects.get_or_create(&kind).set(i64::try_from(standing.objects).unwrap_or(i64::MAX));
            drop(self.lists.get_or_create(&kind));
            drop(self.failures.get_or_create(&kind));
        }
    }
}
