//! What an app uses of CPU and memory, as `metrics.k8s.io` has it at the moment: what `kubectl top pod` shows. Whoever polls is answered
//! from what was read a few seconds ago. No metrics-server is a state and no error.

use crate::cluster::{CallError, Cluster};
use crds::{Quantity, labels};
use jiff::Timestamp;
use kube::{
    Api,
    api::{DynamicObject, ListParams},
    core::ApiResource,
};
use serde_json::Value;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// For how long a reading answers everybody who asks.
const KEPT: Duration = Duration::from_secs(3);
/// The same of one that failed, while nobody else's works either: whoever measures is left in peace.
const FAILED: Duration = Duration::from_secs(30);
/// Of how many apps readings are kept.
const MOST: u64 = 10_000;

/// What an app uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// CPU over the last moments, of all its pods.
    pub cpu: Quantity,
    /// Memory at the moment, of all its pods.
    pub memory: Quantity,
    /// When the oldest of it was measured.
    pub at: Timestamp,
}

/// Why nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Nobody measures here.
    NoSource,
    /// Whoever measures is in trouble.
    Failing,
    /// The cluster can't be asked.
    Away,
    /// It was not measured yet: it has just begun to run, or does not run.
    NotMeasured,
}

type Reading = Result<Usage, Missing>;

/// What was read of an app, and when; whoever asks the cluster has it.
type Slot = Arc<tokio::sync::Mutex<Option<(Reading, Instant)>>>;

/// Readings of the last seconds, by the app's uid.
#[derive(Clone, Debug)]
pub struct Readings {
    slots: moka::sync::Cache<String, Slot>,
    worked: Arc<Mutex<Option<Instant>>>,
}

impl Default for Readings {
    fn default() -> Self {
        let slots = moka::sync::Cache::builder().max_capacity(MOST).time_to_idle(FAILED).build();
        Self { slots, worked: Arc::default() }
    }
}

impl Readings {
    /// What the app of that uid uses. Of many who ask at once one asks the cluster, and nobody again before that has ended.
    ///
    /// # Errors
    /// [`Missing`].
    pub async fn of(&self, cluster: &Cluster, namespace: &str, uid: &str) -> Reading {
        let slot = self.slots.get_with(uid.to_owned(), Arc::default);
        let mut slot = slot.lock().await;
        if let Some((reading, at)) = *slot
            && at.elapsed() < self.kept(reading, at)
        {
            return reading;
        }
        let reading = ask(cluster, namespace, uid).await;
        let now = Instant::now();
        if !matches!(reading, Err(Missing::Failing | Missing::Away)) {
            *self.worked.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        }
        *slot = Some((reading, now));
        reading
    }

    /// For how long a reading counts: a failure until anything works again.
    fn kept(&self, reading: Reading, at: Instant) -> Duration {
        let worked = *self.worked.lock().unwrap_or_else(PoisonError::into_inner);
        let fails = reading == Err(Missing::Failing) && worked.is_none_or(|worked| worked < at);
        if fails { FAILED } else { KEPT }
    }
}

/// The kind that a metrics-server serves.
fn kind() -> ApiResource {
    ApiResource {
        group: "metrics.k8s.io".into(),
        version: "v1beta1".into(),
        api_version: "metrics.k8s.io/v1beta1".into(),
        kind: "PodMetrics".into(),
        plural: "pods".into(),
    }
}

async fn ask(cluster: &Cluster, namespace: &str, uid: &str) -> Reading {
    let of_it = ListParams::default().labels(&format!("{}={uid}", labels::INSTANCE));
    let found = cluster
        .measure(async |client| {
            Api::<DynamicObject>::namespaced_with(client, namespace, &kind()).list(&of_it).await
        })
        .await;
    match found {
        Ok(found) => sum(found.items.iter().map(|pod| &pod.data)).ok_or(Missing::NotMeasured),
        Err(error) => {
            let missing = means(&error);
            if missing != Missing::NoSource {
                tracing::warn!(%error, "what an app uses can't be read");
            }
            Err(missing)
        }
    }
}

fn means(error: &CallError) -> Missing {
    // The group is not served at all; or it is registered, and nobody answers for it.
    if error.is(404) || error.is(503) {
        return Missing::NoSource;
    }
    // Silence is Failing: of an API server that is silent itself the watches tell.
    if error.is_unreachable() { Missing::Away } else { Missing::Failing }
}

/// The sum of some `PodMetrics`; none where there are none.
fn sum<'a>(pods: impl Iterator<Item = &'a Value>) -> Option<Usage> {
    let used = |pod: &Value, what: &str| {
        let containers = pod["containers"].as_array().into_iter().flatten();
        let each = containers.filter_map(|one| one["usage"][what].as_str()?.parse::<Quantity>().ok());
        each.fold(Quantity::ZERO, Quantity::plus)
    };
    let each = pods.filter_map(|pod| {
        let at = pod["timestamp"].as_str()?.parse().ok()?;
        Some(Usage { cpu: used(pod, "cpu"), memory: used(pod, "memory"), at })
    });
    each.reduce(|a, b| Usage { cpu: a.cpu.plus(b.cpu), memory: a.memory.plus(b.memory), at: a.at.min(b.at) })
}

/// So many per cent of a limit, to the nearest whole; none where there is no limit.
pub fn percentage(used: i64, limit: i64) -> Option<i64> {
    let (used, limit) = (i128::from(used), i128::from(limit));
    (limit > 0).then(|| i64::try_from((used * 100 + limit / 2) / limit).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_all_containers_of_all_pods_use_is_summed_and_rounded_once() {
        let pods = [
            json!({"timestamp": "2026-01-01T00:00:10Z", "containers": [
                {"name": "a", "usage": {"cpu": "1500000n", "memory": "51200Ki"}},
                {"name": "b", "usage": {"cpu": "600u", "memory": "1Mi"}}]}),
            json!({"timestamp": "2026-01-01T00:00:05Z", "containers": [{"name": "a", "usage": {"cpu": "2m", "memory": "1Mi"}}]}),
        ];
        let usage = sum(pods.iter()).unwrap();
        // 1.5 + 0.6 + 2 millicores.
        assert_eq!((usage.cpu.millis(), usage.memory.units()), (5, 52 << 20));
        assert_eq!(usage.at, "2026-01-01T00:00:05Z".parse().unwrap());
        assert_eq!(sum([].iter()), None);
    }

    #[test]
    fn a_percentage_is_whole_and_of_the_limit() {
        let rows = [(50, 1000, Some(5)), (14, 1000, Some(1)), (15, 1000, Some(2)), (1500, 1000, Some(150))];
        for (used, limit, wanted) in rows {
            assert_eq!(percentage(used, limit), wanted);
        }
        assert_eq!(percentage(1, 0), None);
    }
}
