//! The watches of Nodes, of their Leases, and of the pods that belong to no instance.

use super::{Nodes, pods::Told};
use crate::metrics::Metrics;
use crds::labels;
use futures::StreamExt as _;
use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Node, Pod},
};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::DynamicObject,
    core::ApiResource,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;
use std::{collections::HashSet, fmt::Debug, sync::Arc, time::Instant};

/// The namespace of nodes' leases.
pub const LEASES: &str = "kube-node-lease";
/// After how many seconds a watch is renewed, so that one that silently died is noticed.
const WATCH_SECONDS: u32 = 60;

/// Starts the watches. They end with the runtime. Where a right is missing or the kind is not there they try again and again, and
/// nothing else waits for them.
pub fn start(client: &Client, nodes: &Arc<Nodes>, metrics: &Arc<Metrics>, foreign_pods: bool) {
    tokio::spawn(follow_nodes(client.clone(), Arc::clone(nodes), Arc::clone(metrics)));
    tokio::spawn(follow_leases(client.clone(), Arc::clone(nodes), Arc::clone(metrics)));
    if foreign_pods {
        tokio::spawn(follow_pods(client.clone(), Arc::clone(nodes), Arc::clone(metrics)));
    }
}

/// What a watch told, with the names that a list held.
enum Heard<K> {
    Is(K),
    Gone(K),
    Begins,
    Listed(HashSet<String>),
}

async fn hear<K>(
    api: Api<K>,
    config: watcher::Config,
    kind: &'static str,
    metrics: Arc<Metrics>,
    mut take: impl FnMut(Heard<K>),
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut events = watcher::watcher(api, config.timeout(WATCH_SECONDS)).default_backoff().boxed();
    let mut present = HashSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(object)) => take(Heard::Is(object)),
            Ok(Event::Delete(object)) => take(Heard::Gone(object)),
            Ok(Event::Init) => {
                metrics.listed(kind);
                present.clear();
                take(Heard::Begins);
            }
            Ok(Event::InitApply(object)) => {
                present.insert(object.name_any());
                take(Heard::Is(object));
            }
            Ok(Event::InitDone) => take(Heard::Listed(std::mem::take(&mut present))),
            Err(error) => {
                metrics.watch_failed(kind);
                tracing::warn!(kind, %error, "a watch failed and is renewed");
            }
        }
    }
}

async fn follow_nodes(client: Client, nodes: Arc<Nodes>, metrics: Arc<Metrics>) {
    hear(Api::<Node>::all(client), watcher::Config::default(), "Node", metrics, |heard| match heard {
        Heard::Is(node) => nodes.node_seen(&node.name_any(), &node),
        Heard::Gone(node) => nodes.node_gone(&node.name_any()),
        Heard::Begins => {}
        Heard::Listed(present) => nodes.nodes_listed(&present),
    })
    .await;
}

async fn follow_leases(client: Client, nodes: Arc<Nodes>, metrics: Arc<Metrics>) {
    let api = Api::<Lease>::namespaced(client, LEASES);
    hear(api, watcher::Config::default(), "Lease", metrics, |heard| match heard {
        Heard::Is(lease) => nodes.lease_seen(&lease.name_any(), &lease, Instant::now()),
        Heard::Gone(lease) => nodes.lease_gone(&lease.name_any(), Instant::now()),
        Heard::Begins => {}
        Heard::Listed(present) => nodes.leases_listed(&present, Instant::now()),
    })
    .await;
}

async fn follow_pods(client: Client, nodes: Arc<Nodes>, metrics: Arc<Metrics>) {
    let api = Api::<DynamicObject>::all_with(client, &ApiResource::erase::<Pod>(&()));
    let config = watcher::Config::default().labels(&format!("!{}", labels::INSTANCE));
    hear(api, config, "ForeignPod", metrics, |heard| match heard {
        Heard::Is(pod) => nodes.pods.seen(Told::OfOthers, &pod.metadata, &pod.data),
        Heard::Gone(pod) => nodes.pods.gone(Told::OfOthers, &pod.metadata),
        Heard::Begins => nodes.pods.begin(Told::OfOthers),
        Heard::Listed(_) => nodes.pods.end(Told::OfOthers),
    })
    .await;
}

/// Takes what the watch of instances' pods told: it is the instances' own, so that no pod is listed twice.
pub fn take_pod(nodes: &Nodes, event: &Event<DynamicObject>) {
    match event {
        Event::Apply(pod) | Event::InitApply(pod) => {
            nodes.pods.seen(Told::OfInstances, &pod.metadata, &pod.data);
        }
        Event::Delete(pod) => nodes.pods.gone(Told::OfInstances, &pod.metadata),
        Event::Init => nodes.pods.begin(Told::OfInstances),
        Event::InitDone => nodes.pods.end(Told::OfInstances),
    }
}
