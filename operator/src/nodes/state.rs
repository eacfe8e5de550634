//! What state a node is in: pure, from what the watches told of it and its lease.

use crds::{NodeState, Quantity};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        coordination::v1::Lease,
        core::v1::{Node, NodeCondition},
    },
    apimachinery::pkg::api::resource::Quantity as Written,
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// A kubelet writes its first conditions when it joins: a node whose readiness has not changed since then was never ready.
/// In seconds, since the two times are two machines'.
const JOINING_SECONDS: i64 = 10;
/// The reason that the node controller gives where a node has joined and its kubelet never said a word.
const NEVER_UPDATED: &str = "NodeStatusNeverUpdated";
/// How long a lease lasts that does not say so: the kubelet's default.
const LEASE: Duration = Duration::from_secs(40);
/// What is counted of a node's room.
const RESOURCES: [&str; 4] = ["cpu", "memory", "ephemeral-storage", "pods"];

/// Whether a node is ready, by its own condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It says so.
    Ready,
    /// It says that it is not.
    NotReady,
    /// Nobody knows: its kubelet is not heard of.
    Unknown,
    /// Nothing was said yet.
    Unsaid,
}

/// Room of a node, by resource (`cpu`, `memory`, `ephemeral-storage`, `pods`).
pub type Room = BTreeMap<&'static str, Quantity>;

/// A node, reduced on arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// Its uid: another node of the same name is another one.
    pub uid: String,
    /// Whether it is ready.
    pub readiness: Readiness,
    /// Whether it was ready before, as far as can be told from the node itself.
    pub was_ready: bool,
    /// Whether it is cordoned.
    pub cordoned: bool,
    /// What it has.
    pub capacity: Room,
    /// What pods may ask for.
    pub allocatable: Room,
}

impl NodeFacts {
    /// Reduces a node as the API server sent it.
    pub fn reduce(node: &Node) -> Self {
        let status = node.status.as_ref();
        let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
        let created = node.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let spec = node.spec.as_ref();
        Self {
            uid: node.metadata.uid.clone().unwrap_or_default(),
            readiness: ready.map_or(Readiness::Unsaid, readiness),
            was_ready: ready.is_some_and(|ready| was_ready(ready, created)),
            cordoned: spec.and_then(|spec| spec.unschedulable).unwrap_or_default(),
            capacity: room(status.and_then(|status| status.capacity.as_ref())),
            allocatable: room(status.and_then(|status| status.allocatable.as_ref())),
        }
    }
}

fn readiness(condition: &NodeCondition) -> Readiness {
    match condition.status.as_str() {
        "True" => Readiness::Ready,
        "False" => Readiness::NotReady,
        _ => Readiness::Unknown,
    }
}

fn was_ready(ready: &NodeCondition, created: Option<Timestamp>) -> bool {
    if ready.status == "True" {
        return true;
    }
    if ready.reason.as_deref() == Some(NEVER_UPDATED) {
        return false;
    }
    let changed = ready.last_transition_time.as_ref().map(|time| time.0);
    let (Some(created), Some(changed)) = (created, changed) else { return true };
    changed.duration_since(created).as_secs() > JOINING_SECONDS
}

fn room(written: Option<&BTreeMap<String, Written>>) -> Room {
    let Some(written) = written else { return Room::new() };
    RESOURCES.into_iter().filter_map(|name| Some((name, written.get(name)?.0.parse().ok()?))).collect()
}

/// A node's lease, reduced on arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseFacts {
    /// When it was renewed, by the node's own clock: to show how old the last sign of life is, never to decide.
    pub renewed: Option<Timestamp>,
    /// How long it lasts.
    pub lasts: Duration,
    /// When it was last seen to change, by our own monotonic clock.
    pub changed: Instant,
}

impl LeaseFacts {
    /// Reduces a lease that was seen at `now`; `before` is what was known of it. A lease that was never seen before counts
    /// as fresh: whether it is will be known within its duration.
    pub fn reduce(lease: &Lease, before: Option<&Self>, now: Instant) -> Self {
        let spec = lease.spec.as_ref();
        let renewed = spec.and_then(|spec| spec.renew_time.as_ref()).map(|time| time.0);
        let seconds = spec.and_then(|spec| spec.lease_duration_seconds);
        let lasts =
            seconds.and_then(|seconds| u64::try_from(seconds).ok()).map_or(LEASE, Duration::from_secs);
        let unchanged = before.filter(|before| before.renewed == renewed);
        Self { renewed, lasts, changed: unchanged.map_or(now, |before| before.changed) }
    }

    /// Whether it has run out. As in a leader election it has when it did not *change* for its whole duration by our own
    /// monotonic clock, so that a node whose clock is wrong is not called dead. `heard` is when the watch of leases told of
    /// any lease last: where the watch itself is silent, nothing can be said of one node.
    pub fn has_run_out(&self, heard: Instant) -> bool {
        heard.saturating_duration_since(self.changed) >= self.lasts
    }
}

/// The state of a node. `was_ready`: whether it was ever seen ready; `offline`: whether its lease has run out.
///
/// The gravest that applies: a cordoned node that is offline is offline.
pub fn decide(node: &NodeFacts, was_ready: bool, offline: bool) -> NodeState {
    if !(node.readiness == Readiness::Ready || node.was_ready || was_ready) {
        return NodeState::Pending;
    }
    match node.readiness {
        _ if offline => NodeState::Inactive,
        Readiness::Unknown | Readiness::Unsaid => NodeState::Inactive,
        Readiness::NotReady => NodeState::NotReady,
        Readiness::Ready if node.cordoned => NodeState::Maintenance,
        Readiness::Ready => NodeState::Active,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(ready: &serde_json::Value) -> NodeFacts {
        let conditions = if ready.is_null() { json!([]) } else { json!([ready]) };
        let node = json!({
            "metadata": {"name": "n", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "status": {
                "conditions": conditions,
                "capacity": {"cpu": "8", "memory": "32Gi", "hugepages-2Mi": "0", "pods": "110"},
                "allocatable": {"cpu": "7500m", "memory": "30Gi", "pods": "110"},
            },
        });
        NodeFacts::reduce(&serde_json::from_value(node).unwrap())
    }

    fn ready(status: &str, reason: &str, changed: &str) -> NodeFacts {
        node(&json!({"type": "Ready", "status": status, "reason": reason, "lastTransitionTime": changed}))
    }

    const JOINED: &str = "2026-01-01T00:00:01Z";
    const LATER: &str = "2026-01-02T00:00:00Z";

    #[test]
    fn each_state_has_its_cause() {
        let cordoned = NodeFacts { cordoned: true, ..ready("True", "KubeletReady", LATER) };
        for (node, offline, state) in [
            (ready("True", "KubeletReady", LATER), false, NodeState::Active),
            (cordoned.clone(), false, NodeState::Maintenance),
            (ready("False", "KubeletNotReady", LATER), false, NodeState::NotReady),
            (ready("Unknown", "NodeStatusUnknown", LATER), false, NodeState::Inactive),
            (ready("True", "KubeletReady", LATER), true, NodeState::Inactive),
            (cordoned, true, NodeState::Inactive),
            (node(&json!(null)), false, NodeState::Pending),
            (ready("False", "KubeletNotReady", JOINED), false, NodeState::Pending),
            (ready("Unknown", NEVER_UPDATED, LATER), true, NodeState::Pending),
        ] {
            assert_eq!(decide(&node, false, offline), state, "{node:?}, offline: {offline}");
        }
    }

    #[test]
    fn a_node_that_was_seen_ready_is_never_again_called_pending() {
        assert_eq!(decide(&ready("False", "KubeletNotReady", JOINED), true, false), NodeState::NotReady);
    }

    #[test]
    fn of_its_room_only_what_is_counted_is_kept() {
        let node = node(&json!(null));
        let kept: Vec<&str> = node.capacity.keys().copied().collect();
        assert_eq!(kept, ["cpu", "memory", "pods"]);
        assert_eq!(node.allocatable["cpu"], Quantity::from_millis(7500));
    }

    fn lease(renewed: &str) -> Lease {
        let spec = json!({"renewTime": renewed, "leaseDurationSeconds": 40});
        serde_json::from_value(json!({"metadata": {"name": "n"}, "spec": spec})).unwrap()
    }

    #[test]
    fn a_lease_runs_out_when_it_stops_changing_whatever_its_time_stamps_say() {
        let begun = Instant::now();
        let first = LeaseFacts::reduce(&lease("1999-01-01T00:00:00.000000Z"), None, begun);
        assert!(!first.has_run_out(begun + Duration::from_secs(39)));
        let again = begun + Duration::from_secs(30);
        let same = LeaseFacts::reduce(&lease("1999-01-01T00:00:00.000000Z"), Some(&first), again);
        assert!(same.has_run_out(begun + Duration::from_secs(40)));
        let renewed = LeaseFacts::reduce(&lease("1999-01-01T00:00:10.000000Z"), Some(&first), again);
        assert!(!renewed.has_run_out(begun + Duration::from_secs(69)));
    }

    #[test]
    fn where_no_lease_is_heard_of_none_runs_out() {
        let begun = Instant::now();
        let lease = LeaseFacts::reduce(&lease("2026-01-01T00:00:00.000000Z"), None, begun);
        assert!(!lease.has_run_out(begun));
    }
}
