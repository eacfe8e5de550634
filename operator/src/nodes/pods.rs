//! What runs where and what it asks for: every pod of the cluster, reduced on arrival to its node and its requests, and for
//! pods of instances to what each container asks for and may use.
//!
//! Why all pods: what is asked of a node is the sum over all of them, and the operator may list pods everywhere anyway, since
//! RBAC knows no labels. Some 300 bytes are kept of a pod. Pods of instances come from the watch that feeds the instances,
//! the others from a second one; in a large shared cluster `nodes.countForeignPods: false` spares it.

use crds::{Quantity, labels};
use kube::api::ObjectMeta;
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
};

/// CPU and memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// CPU.
    pub cpu: Quantity,
    /// Memory.
    pub memory: Quantity,
}

impl Asked {
    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { cpu: self.cpu.plus(other.cpu), memory: self.memory.plus(other.memory) }
    }

    fn or_more(self, other: Self) -> Self {
        Self { cpu: self.cpu.max(other.cpu), memory: self.memory.max(other.memory) }
    }

    /// Reads `{"cpu": …, "memory": …}`.
    pub fn read(resources: Option<&Value>) -> Self {
        let of = |name: &str| amount(resources, name).unwrap_or_default();
        Self { cpu: of("cpu"), memory: of("memory") }
    }
}

fn amount(resources: Option<&Value>, name: &str) -> Option<Quantity> {
    resources?.get(name)?.as_str()?.parse().ok()
}

/// A container of an instance's pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// What it asks for.
    pub requests: Asked,
    /// What it may use of CPU; none: no limit.
    pub cpu_limit: Option<Quantity>,
    /// What it may use of memory; none: no limit.
    pub memory_limit: Option<Quantity>,
}

/// An instance's share in a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfInstance {
    /// The instance's uid, by the pod's label.
    pub uid: String,
    /// The component, by the pod's label.
    pub component: String,
    /// The containers that run on.
    pub containers: Vec<Container>,
}

/// A pod, reduced on arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its node; none: not scheduled yet.
    pub node: Option<String>,
    /// What it asks of its node.
    pub requests: Asked,
    /// What of it belongs to an instance.
    pub instance: Option<OfInstance>,
}

impl Pod {
    /// Reduces a pod; none for one that has ended for good and asks for nothing any more. `data` is all of it but its metadata.
    pub fn reduce(metadata: &ObjectMeta, data: &Value) -> Option<Self> {
        if matches!(data.pointer("/status/phase").and_then(Value::as_str), Some("Succeeded" | "Failed")) {
            return None;
        }
        let label = |key: &str| metadata.labels.as_ref().and_then(|all| all.get(key)).cloned();
        let spec = data.get("spec")?;
        let instance = label(labels::INSTANCE).map(|uid| OfInstance {
            uid,
            component: label(labels::COMPONENT).unwrap_or_default(),
            containers: running(spec).map(container).collect(),
        });
        Some(Self {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone()?,
            node: spec.get("nodeName").and_then(Value::as_str).map(str::to_owned),
            requests: requests(spec),
            instance,
        })
    }
}

fn all<'a>(spec: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    spec.get(field).and_then(Value::as_array).into_iter().flatten()
}

fn is_sidecar(init: &Value) -> bool {
    init.get("restartPolicy").and_then(Value::as_str) == Some("Always")
}

/// The containers that run on: sidecars and the others.
fn running(spec: &Value) -> impl Iterator<Item = &Value> {
    all(spec, "initContainers").filter(|init| is_sidecar(init)).chain(all(spec, "containers"))
}

fn container(container: &Value) -> Container {
    let limits = container.pointer("/resources/limits");
    Container {
        name: container.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
        requests: Asked::read(container.pointer("/resources/requests")),
        cpu_limit: amount(limits, "cpu"),
        memory_limit: amount(limits, "memory"),
    }
}

/// What a pod asks of its node, as the scheduler counts: what runs on together, or what an init container needs beside the
/// sidecars begun before it, whichever is more; what the pod itself asks for wins; and its overhead.
fn requests(spec: &Value) -> Asked {
    let of = |container: &Value| Asked::read(container.pointer("/resources/requests"));
    let (mut sidecars, mut most) = (Asked::default(), Asked::default());
    for init in all(spec, "initContainers") {
        let together = sidecars.plus(of(init));
        most = most.or_more(together);
        if is_sidecar(init) {
            sidecars = together;
        }
    }
    let together = all(spec, "containers").map(of).fold(sidecars, Asked::plus);
    let by_containers = most.or_more(together);
    let own = spec.pointer("/resources/requests");
    let asked = Asked {
        cpu: amount(own, "cpu").unwrap_or(by_containers.cpu),
        memory: amount(own, "memory").unwrap_or(by_containers.memory),
    };
    asked.plus(Asked::read(spec.get("overhead")))
}

/// Which watch told of a pod: the two share no pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Told {
    /// The one of instances' pods.
    OfInstances,
    /// The one of all others.
    OfOthers,
}

type Key = (Told, String);

/// The pods of the cluster.
#[derive(Debug, Default)]
pub struct Pods {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    pods: HashMap<Key, Arc<Pod>>,
    /// What a list that is under way has named so far.
    listing: HashMap<Told, HashSet<String>>,
}

impl Pods {
    /// Takes what a watch told of a pod.
    pub fn seen(&self, told: Told, metadata: &ObjectMeta, data: &Value) {
        let Some(uid) = metadata.uid.clone() else { return };
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(listing) = inner.listing.get_mut(&told) {
            listing.insert(uid.clone());
        }
        match Pod::reduce(metadata, data) {
            Some(pod) => inner.pods.insert((told, uid), Arc::new(pod)),
            None => inner.pods.remove(&(told, uid)),
        };
    }

    /// A pod is gone.
    pub fn gone(&self, told: Told, metadata: &ObjectMeta) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.pods.remove(&(told, metadata.uid.clone().unwrap_or_default()));
    }

    /// A list begins.
    pub fn begin(&self, told: Told) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.listing.insert(told, HashSet::new());
    }

    /// A list has ended: what it did not name is gone.
    pub fn end(&self, told: Told) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let Some(listed) = inner.listing.remove(&told) else { return };
        inner.pods.retain(|(by, uid), _| *by != told || listed.contains(uid));
    }

    /// How many pods each node carries, and what they ask for together.
    pub fn by_node(&self) -> HashMap<String, (u64, Asked)> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let mut sums: HashMap<String, (u64, Asked)> = HashMap::new();
        for pod in inner.pods.values() {
            let Some(node) = &pod.node else { continue };
            if !sums.contains_key(node) {
                sums.insert(node.clone(), Default::default());
            }
            if let Some((count, sum)) = sums.get_mut(node) {
                *count += 1;
                *sum = sum.plus(pod.requests);
            }
        }
        sums
    }

    /// The pods of instances, by namespace and name.
    pub fn of_instances(&self) -> BTreeMap<(String, String), Arc<Pod>> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let ours = inner.pods.values().filter(|pod| pod.instance.is_some());
        ours.map(|pod| ((pod.namespace.clone(), pod.name.clone()), Arc::clone(pod))).collect()
    }

    /// The namespaces and uids of the instances that have a pod on a node.
    pub fn instances_on(&self, node: &str) -> HashSet<(String, String)> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let there = inner.pods.values().filter(|pod| pod.node.as_deref() == Some(node));
        there.filter_map(|pod| Some((pod.namespace.clone(), pod.instance.as_ref()?.uid.clone()))).collect()
    }

    /// How many are kept.
    pub fn count(&self) -> usize {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).pods.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asks(cpu: &str) -> Value {
        json!({"requests": {"cpu": cpu, "memory": "1Gi"}})
    }

    fn asked(spec: &Value) -> (i64, i64) {
        let asked = requests(spec);
        (asked.cpu.millis(), asked.memory.units() >> 20)
    }

    #[test]
    fn what_a_pod_asks_for_is_counted_as_the_scheduler_does() {
        let container = |cpu: &str| json!({"name": "c", "resources": asks(cpu)});
        let sidecar = |cpu: &str| json!({"name": "s", "restartPolicy": "Always", "resources": asks(cpu)});
        for (spec, sum) in [
            (json!({"containers": [container("1"), container("500m")]}), (1500, 2048)),
            (json!({"containers": [container("1")], "initContainers": [container("3")]}), (3000, 1024)),
            (
                json!({"containers": [container("1")], "initContainers": [sidecar("1"), container("3")]}),
                (4000, 2048),
            ),
            (
                json!({"containers": [container("4")], "initContainers": [container("3"), sidecar("1")]}),
                (5000, 2048),
            ),
            (json!({"containers": [container("1")], "overhead": {"cpu": "250m"}}), (1250, 1024)),
            (json!({"containers": [container("1")], "resources": {"requests": {"cpu": "2"}}}), (2000, 1024)),
            (json!({"containers": [{"name": "c"}]}), (0, 0)),
        ] {
            assert_eq!(asked(&spec), sum, "{spec}");
        }
    }

    fn metadata(name: &str, instance: Option<&str>) -> ObjectMeta {
        let labels = instance.map(|uid| {
            [(labels::INSTANCE.to_owned(), uid.to_owned()), (labels::COMPONENT.to_owned(), "db".to_owned())]
                .into()
        });
        ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some("customer-a".to_owned()),
            uid: Some(format!("uid-{name}")),
            labels,
            ..ObjectMeta::default()
        }
    }

    fn on(node: &str, phase: &str) -> Value {
        json!({
            "spec": {"nodeName": node, "containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}}]},
            "status": {"phase": phase},
        })
    }

    #[test]
    fn a_node_is_asked_for_by_whatever_has_not_ended() {
        let pods = Pods::default();
        pods.seen(Told::OfInstances, &metadata("a", Some("i")), &on("n", "Running"));
        pods.seen(Told::OfOthers, &metadata("b", None), &on("n", "Pending"));
        pods.seen(Told::OfOthers, &metadata("c", None), &on("m", "Succeeded"));
        let sums = pods.by_node();
        assert_eq!(sums.len(), 1);
        assert_eq!((sums["n"].0, sums["n"].1.cpu), (2, Quantity::from_units(2)));
        assert_eq!(pods.instances_on("n"), [("customer-a".to_owned(), "i".to_owned())].into());
    }

    #[test]
    fn of_instances_pods_the_containers_are_kept() {
        let pods = Pods::default();
        pods.seen(Told::OfInstances, &metadata("a", Some("i")), &on("n", "Running"));
        pods.seen(Told::OfOthers, &metadata("b", None), &on("n", "Running"));
        let ours = pods.of_instances();
        let [pod] = &ours.values().collect::<Vec<_>>()[..] else { panic!("{ours:?}") };
        let of = pod.instance.as_ref().unwrap();
        assert_eq!((of.component.as_str(), of.containers[0].cpu_limit), ("db", None));
        assert_eq!(of.containers[0].memory_limit, Some(Quantity::from_units(1 << 30)));
    }

    #[test]
    fn a_list_forgets_what_it_does_not_name_and_nothing_of_the_other_watch() {
        let pods = Pods::default();
        for name in ["a", "b"] {
            pods.seen(Told::OfOthers, &metadata(name, None), &on("n", "Running"));
        }
        pods.seen(Told::OfInstances, &metadata("c", Some("i")), &on("n", "Running"));
        pods.begin(Told::OfOthers);
        pods.seen(Told::OfOthers, &metadata("b", None), &on("n", "Running"));
        pods.end(Told::OfOthers);
        assert_eq!(pods.count(), 2);
        pods.gone(Told::OfOthers, &metadata("b", None));
        assert_eq!(pods.count(), 1);
    }
}
