//! What the apps use of CPU and memory, beside what they asked for: read again and again from `metrics.k8s.io`, which has no
//! watch. No metrics-server is a state and no error: the metrics say so, and everything else goes on.
//!
//! That API knows nothing of storage. What a volume holds only its kubelet knows (`kubelet_volume_stats_used_bytes` in
//! Prometheus); reading it from here would take `nodes/proxy`, which is a right to run anything on any node. So no storage
//! use is made up: docs/METRICS.md shows how to join it in Prometheus.

pub mod poll;
pub mod read;

use crate::nodes::pods::{Asked, Container, Pod};
use crds::Quantity;
use jiff::Timestamp;
use read::Measured;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

/// What is known of the source of measurements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Source {
    /// It was not asked: only the leader asks, and not where the settings say no.
    #[default]
    Unread,
    /// It answers.
    Present,
    /// There is no metrics-server, or none that answers for it.
    Absent,
    /// It is there and refuses, or is too slow.
    Failing,
}

impl Source {
    /// Every state, for metrics that must name them all.
    pub const ALL: [Self; 4] = [Self::Unread, Self::Present, Self::Absent, Self::Failing];

    /// Its name in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unread => "unread",
            Self::Present => "present",
            Self::Absent => "absent",
            Self::Failing => "failing",
        }
    }
}

/// Measurements by pod (namespace and name).
pub type ByPod = HashMap<(String, String), Vec<Measured>>;

/// The newest measurements, and what is known of their source.
#[derive(Debug, Default)]
pub struct Usage {
    inner: RwLock<Inner>,
}

#[derive(Clone, Debug, Default)]
struct Inner {
    source: Source,
    /// When they were read, by the operator's clock.
    read: Option<Timestamp>,
    measured: Arc<ByPod>,
}

impl Usage {
    /// What is known of the source.
    pub fn source(&self) -> Source {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).source
    }

    /// When measurements were last read, and they; none where there are none, or older than `longest`.
    pub fn newest(&self, now: Timestamp, longest: Duration) -> Option<(Timestamp, Arc<ByPod>)> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let read = inner.read?;
        let age = Duration::try_from(now.duration_since(read)).unwrap_or_default();
        (age <= longest).then(|| (read, Arc::clone(&inner.measured)))
    }

    /// The source answered at `now`.
    pub fn measured(&self, measured: ByPod, now: Timestamp) -> Source {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let new = Inner { source: Source::Present, read: Some(now), measured: Arc::new(measured) };
        std::mem::replace(&mut *inner, new).source
    }

    /// It did not; what it was before. The last measurements are kept until they are too old.
    pub fn missed(&self, source: Source) -> Source {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut inner.source, source)
    }

    /// Nobody asks any more: another replica leads.
    pub fn forget(&self) {
        *self.inner.write().unwrap_or_else(PoisonError::into_inner) = Inner::default();
    }
}

/// A container of an instance, summed over its pods: what it uses beside what it asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// What it uses; none: not measured.
    pub used: Option<Asked>,
    /// What it asks for.
    pub requests: Asked,
    /// What it may use of CPU; none: no limit.
    pub cpu_limit: Option<Quantity>,
    /// What it may use of memory; none: no limit.
    pub memory_limit: Option<Quantity>,
}

impl Share {
    /// The sum of two: of limits, and of what was measured.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let sum = |a: Option<Quantity>, b: Option<Quantity>| match (a, b) {
            (Some(a), Some(b)) => Some(a.plus(b)),
            (one, None) | (None, one) => one,
        };
        Self {
            used: match (self.used, other.used) {
                (Some(a), Some(b)) => Some(a.plus(b)),
                (one, None) | (None, one) => one,
            },
            requests: self.requests.plus(other.requests),
            cpu_limit: sum(self.cpu_limit, other.cpu_limit),
            memory_limit: sum(self.memory_limit, other.memory_limit),
        }
    }

    fn of(container: &Container, measured: Option<&Measured>) -> Self {
        Self {
            used: measured.map(|measured| measured.used),
            requests: container.requests,
            cpu_limit: container.cpu_limit,
            memory_limit: container.memory_limit,
        }
    }
}

/// Whose a container is: the instance's uid, the component, the container's name.
pub type Whose = (String, String, String);

/// What each container of each instance uses beside what it asked for. Pods that are not scheduled yet count for what they
/// ask for.
pub fn shares(pods: &BTreeMap<(String, String), Arc<Pod>>, measured: &ByPod) -> BTreeMap<Whose, Share> {
    let mut shares: BTreeMap<Whose, Share> = BTreeMap::new();
    for (key, pod) in pods {
        let Some(of) = &pod.instance else { continue };
        let here = measured.get(key).map(Vec::as_slice).unwrap_or_default();
        for container in &of.containers {
            let share = Share::of(container, here.iter().find(|one| one.container == container.name));
            let sum =
                shares.entry((of.uid.clone(), of.component.clone(), container.name.clone())).or_default();
            *sum = sum.plus(&share);
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nodes::pods::OfInstance;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn key(name: &str) -> (String, String) {
        ("customer-a".to_owned(), name.to_owned())
    }

    fn asked(cpu: u64, memory: u64) -> Asked {
        Asked { cpu: Quantity::from_millis(cpu), memory: Quantity::from_units(memory) }
    }

    fn pod(name: &str) -> Arc<Pod> {
        let container = Container {
            name: "app".into(),
            requests: asked(100, 1000),
            cpu_limit: None,
            memory_limit: Some(Quantity::from_units(2000)),
        };
        let of = OfInstance { uid: "i".into(), component: "web".into(), containers: vec![container] };
        let (namespace, name) = key(name);
        Arc::new(Pod { namespace, name, node: None, requests: asked(100, 1000), instance: Some(of) })
    }

    #[test]
    fn what_is_used_stands_beside_what_was_asked_for() {
        let pods = [(key("a"), pod("a")), (key("b"), pod("b"))].into();
        let measured = [(key("a"), vec![Measured { container: "app".into(), used: asked(40, 700) }])].into();
        let shares = shares(&pods, &measured);
        let [(whose, share)] = &shares.into_iter().collect::<Vec<_>>()[..] else { panic!("one container") };
        assert_eq!(whose, &("i".to_owned(), "web".to_owned(), "app".to_owned()));
        assert_eq!((share.used, share.requests), (Some(asked(40, 700)), asked(200, 2000)));
        assert_eq!((share.cpu_limit, share.memory_limit), (None, Some(Quantity::from_units(4000))));
    }

    #[test]
    fn what_is_too_old_is_not_shown() {
        let usage = Usage::default();
        let longest = Duration::from_secs(180);
        assert!(usage.newest(at(0), longest).is_none());
        assert_eq!(usage.measured(ByPod::new(), at(100)), Source::Unread);
        assert_eq!(usage.missed(Source::Absent), Source::Present);
        assert!(usage.newest(at(280), longest).is_some() && usage.newest(at(281), longest).is_none());
        usage.forget();
        assert!(usage.newest(at(100), longest).is_none() && usage.source() == Source::Unread);
    }
}
