//! The cluster's nodes: which are there, what state each is in, how much of it is asked for, and whose instances it carries.
//!
//! Fed by watches of Nodes and of their Leases (`follow.rs`), and of pods (`pods.rs`), on every replica; asked by the
//! metrics, and by the leader's look-out (`lookout.rs`), which tells the instances of a lost node.

pub mod follow;
pub mod lookout;
pub mod pods;
pub mod state;

use crds::NodeState;
use jiff::Timestamp;
use k8s_openapi::api::{coordination::v1::Lease, core::v1::Node};
use pods::{Asked, Pods};
use state::{LeaseFacts, NodeFacts, Room};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};

/// Kubelets renew their leases every ten seconds. Where nothing was heard of any for longer than this, it was us who did not
/// hear, or the API server that could not be told: every lease counts as fresh again.
const DEAF: Duration = Duration::from_secs(20);

/// What is known of the nodes.
#[derive(Debug, Default)]
pub struct Nodes {
    inner: RwLock<Inner>,
    /// What runs where.
    pub pods: Pods,
}

#[derive(Debug, Default)]
struct Inner {
    nodes: HashMap<String, NodeFacts>,
    leases: HashMap<String, LeaseFacts>,
    /// The uids of nodes that were seen ready since this process began.
    were_ready: HashSet<String>,
    /// When the watch of leases told of anything last.
    heard: Option<Instant>,
    synced: bool,
}

/// A node, as administrators see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Its uid.
    pub uid: String,
    /// Its state.
    pub state: NodeState,
    /// When it last gave a sign of life by its lease, by the node's own clock.
    pub renewed: Option<Timestamp>,
    /// What it has.
    pub capacity: Room,
    /// What pods may ask for.
    pub allocatable: Room,
    /// What its pods ask for, whosever they are.
    pub requested: Asked,
    /// How many pods are on it that have not ended.
    pub pods: u64,
}

impl Nodes {
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of the node of that name at `now`; none where no such node is known.
    pub fn state_of(&self, name: &str, now: Instant) -> Option<NodeState> {
        let inner = self.read();
        inner.nodes.get(name).map(|node| inner.state(name, node, now))
    }

    /// Uid and state of every node at `now`, by name.
    pub fn states(&self, now: Instant) -> BTreeMap<String, (String, NodeState)> {
        let inner = self.read();
        let each = inner.nodes.iter();
        each.map(|(name, node)| (name.clone(), (node.uid.clone(), inner.state(name, node, now)))).collect()
    }

    /// Everything that administrators see, by name.
    pub fn seen(&self, now: Instant) -> BTreeMap<String, Seen> {
        let mut asked = self.pods.by_node();
        let inner = self.read();
        let each = inner.nodes.iter().map(|(name, node)| {
            let (pods, requested) = asked.remove(name).unwrap_or_default();
            let seen = Seen {
                uid: node.uid.clone(),
                state: inner.state(name, node, now),
                renewed: inner.leases.get(name).and_then(|lease| lease.renewed),
                capacity: node.capacity.clone(),
                allocatable: node.allocatable.clone(),
                requested,
                pods,
            };
            (name.clone(), seen)
        });
        each.collect()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.read().nodes.len()
    }

    /// Whether the nodes were listed at least once.
    pub fn is_synced(&self) -> bool {
        self.read().synced
    }

    /// Takes what the watch told of a node.
    pub fn node_seen(&self, name: &str, node: &Node) {
        let facts = NodeFacts::reduce(node);
        let mut inner = self.write();
        if facts.readiness == state::Readiness::Ready {
            inner.were_ready.insert(facts.uid.clone());
        }
        inner.nodes.insert(name.to_owned(), facts);
    }

    /// A node was removed from the cluster.
    pub fn node_gone(&self, name: &str) {
        let mut inner = self.write();
        if let Some(node) = inner.nodes.remove(name) {
            inner.were_ready.remove(&node.uid);
        }
    }

    /// The nodes were listed: those of other names are gone.
    pub fn nodes_listed(&self, present: &HashSet<String>) {
        let mut inner = self.write();
        inner.nodes.retain(|name, _| present.contains(name));
        let uids: HashSet<String> = inner.nodes.values().map(|node| node.uid.clone()).collect();
        inner.were_ready.retain(|uid| uids.contains(uid));
        inner.synced = true;
    }

    /// Takes what the watch told of a node's lease.
    pub fn lease_seen(&self, name: &str, lease: &Lease, now: Instant) {
        let mut inner = self.write();
        inner.hear(now);
        let facts = LeaseFacts::reduce(lease, inner.leases.get(name), now);
        inner.leases.insert(name.to_owned(), facts);
    }

    /// A lease was deleted.
    pub fn lease_gone(&self, name: &str, now: Instant) {
        let mut inner = self.write();
        inner.hear(now);
        inner.leases.remove(name);
    }

    /// The leases were listed: those of other names are gone.
    pub fn leases_listed(&self, present: &HashSet<String>, now: Instant) {
        let mut inner = self.write();
        inner.hear(now);
        inner.leases.retain(|name, _| present.contains(name));
    }
}

impl Inner {
    fn state(&self, name: &str, node: &NodeFacts, now: Instant) -> NodeState {
        // As far as leases were heard of, and no further: a silent watch makes no node a dead one.
        let heard = self.heard.map(|heard| heard.min(now));
        let lease = self.leases.get(name);
        let offline = lease.zip(heard).is_some_and(|(lease, heard)| lease.has_run_out(heard));
        state::decide(node, self.were_ready.contains(&node.uid), offline)
    }

    fn hear(&mut self, now: Instant) {
        if self.heard.is_some_and(|heard| now.saturating_duration_since(heard) > DEAF) {
            for lease in self.leases.values_mut() {
                lease.changed = now;
            }
        }
        self.heard = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const STEP: Duration = Duration::from_secs(10);

    fn node(name: &str, ready: &str) -> Node {
        let ready = json!({"type": "Ready", "status": ready, "lastTransitionTime": "2026-02-01T00:00:00Z"});
        from(json!({
            "metadata": {"name": name, "uid": format!("uid-{name}"), "creationTimestamp": "2026-01-01T00:00:00Z"},
            "status": {"conditions": [ready]},
        }))
    }

    fn from<K: serde::de::DeserializeOwned>(value: Value) -> K {
        serde_json::from_value(value).unwrap()
    }

    fn lease(second: u64) -> Lease {
        let renewed = format!("2026-01-01T00:{:02}:{:02}.000000Z", second / 60, second % 60);
        from(json!({"metadata": {"name": "n"}, "spec": {"renewTime": renewed, "leaseDurationSeconds": 40}}))
    }

    /// Two nodes, of which `renewing` renew their leases for as many steps.
    fn after(nodes: &Nodes, begun: Instant, steps: std::ops::Range<u32>, renewing: &[&str]) -> Instant {
        let mut now = begun;
        for step in steps {
            now = begun + STEP * step;
            for name in renewing {
                nodes.lease_seen(name, &lease(u64::from(step) * 10), now);
            }
        }
        now
    }

    fn two(begun: Instant) -> Nodes {
        let nodes = Nodes::default();
        for name in ["a", "b"] {
            nodes.node_seen(name, &node(name, "True"));
            nodes.lease_seen(name, &lease(0), begun);
        }
        nodes
    }

    #[test]
    fn a_node_whose_lease_is_not_renewed_is_inactive_after_its_duration() {
        let begun = Instant::now();
        let nodes = two(begun);
        let now = after(&nodes, begun, 1..4, &["a"]);
        assert_eq!(nodes.state_of("b", now), Some(NodeState::Active));
        let now = after(&nodes, begun, 4..5, &["a"]);
        assert_eq!(nodes.state_of("b", now), Some(NodeState::Inactive));
        assert_eq!(nodes.state_of("a", now), Some(NodeState::Active));
        nodes.lease_seen("b", &lease(41), now + STEP);
        assert_eq!(nodes.state_of("b", now + STEP), Some(NodeState::Active));
    }

    #[test]
    fn an_outage_of_the_api_server_makes_no_node_a_lost_one() {
        let begun = Instant::now();
        let nodes = two(begun);
        let now = begun + STEP * 30;
        assert_eq!(nodes.state_of("a", now), Some(NodeState::Active), "nothing was heard of anybody");
        nodes.leases_listed(&["a".to_owned(), "b".to_owned()].into(), now);
        for name in ["a", "b"] {
            assert_eq!(nodes.state_of(name, now), Some(NodeState::Active), "nobody could have renewed");
        }
        let later = after(&nodes, now, 1..5, &["a"]);
        assert_eq!(nodes.state_of("b", later), Some(NodeState::Inactive));
    }

    #[test]
    fn a_node_that_is_gone_is_forgotten() {
        let nodes = two(Instant::now());
        nodes.node_gone("a");
        nodes.nodes_listed(&["c".to_owned()].into());
        assert!(nodes.seen(Instant::now()).is_empty() && nodes.is_synced());
        assert_eq!(nodes.state_of("a", Instant::now()), None);
    }

    #[test]
    fn a_node_that_was_ready_is_not_pending_once_it_says_nothing() {
        let nodes = Nodes::default();
        nodes.node_seen("a", &node("a", "True"));
        let silent = from(json!({"metadata": {"name": "a", "uid": "uid-a"}}));
        nodes.node_seen("a", &silent);
        assert_eq!(nodes.state_of("a", Instant::now()), Some(NodeState::Inactive));
        nodes.node_seen("b", &silent_of("b"));
        assert_eq!(nodes.state_of("b", Instant::now()), Some(NodeState::Pending));
    }

    fn silent_of(name: &str) -> Node {
        from(json!({"metadata": {"name": name, "uid": format!("uid-{name}")}}))
    }
}
