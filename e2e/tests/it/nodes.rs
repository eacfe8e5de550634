//! What administrators see of the nodes, and what the instances of a lost one are told.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use crds::NodeState;
use crds::instance::Phase;
use e2e::control_plane::NODE_LABEL;
use e2e::wait;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::world::{BOUND, Instance, RunningOperator, Tenant, World, block_on};

/// Until a watch has told of a change.
const SEEN: Duration = Duration::from_secs(10);
/// Until a silent node counts as offline: its lease lasts 40 s.
const LOST: Duration = Duration::from_secs(70);

fn nodes(world: &World) -> Api<Node> {
    Api::all(world.admin())
}

fn state(name: &str, state: NodeState) -> String {
    format!("nakhoda_operator_node_state{{node=\"{name}\",state=\"{state}\"}}")
}

async fn comes(operator: &RunningOperator, name: &str, to: NodeState, bound: Duration) -> Result<()> {
    operator.wait_sample(&state(name, to), bound, |value| value == Some(1.0)).await
}

async fn change(world: &World, name: &str, patch: Value) -> Result<()> {
    nodes(world).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

/// Whether its kubelet is heard of: KWOK plays it for as long as the node has the label.
async fn is_heard(world: &World, name: &str, yes: bool) -> Result<()> {
    let (label, value) = NODE_LABEL.split_once('=').context("the label has a value")?;
    let value = if yes { json!(value) } else { Value::Null };
    change(world, name, json!({"metadata": {"labels": {label: value}}})).await
}

/// The node that carries the one pod of a tenant.
async fn carrier(world: &World, tenant: &Tenant) -> Result<String> {
    let pods: Api<Pod> = Api::namespaced(world.admin(), tenant.namespace());
    let pods = pods.list(&ListParams::default()).await?;
    let pod = pods.items.into_iter().next().context("a running instance has a pod")?;
    pod.spec.and_then(|spec| spec.node_name).context("a running pod is on a node")
}

/// How often an instance was told so of a node, and of which. Where the loss lasts, its own condition says so in an event that
/// names no node: that is another tale.
async fn told(world: &World, db: &Instance, tenant: &Tenant, reason: &str) -> Result<Vec<String>> {
    let events: Api<Event> = Api::namespaced(world.admin(), tenant.namespace());
    let all = events.list(&ListParams::default()).await?;
    let of = all.items.into_iter().filter(|event| {
        event.reason.as_deref() == Some(reason)
            && event.regarding.as_ref().and_then(|of| of.name.as_deref()) == Some(db.name())
    });
    Ok(of
        .filter_map(|event| {
            let node = event.related.and_then(|node| node.name)?;
            let times = event.series.map_or(1, |series| series.count);
            Some(std::iter::repeat_n(node, usize::try_from(times).unwrap_or_default()))
        })
        .flatten()
        .collect())
}

async fn is_told(world: &World, db: &Instance, tenant: &Tenant, reason: &str, node: &str) -> Result<()> {
    wait::until(&format!("{db} to be told {reason}"), SEEN, async || {
        let told = told(world, db, tenant, reason).await?;
        Ok(told.contains(&node.to_owned()).then_some(()))
    })
    .await
}

#[test]
fn a_cordoned_node_is_in_maintenance_and_one_that_joins_is_pending_until_it_is_ready() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let operator = world.operator("a").await?;
        comes(&operator, "simulated-3", NodeState::Active, SEEN).await?;
        let cordon = |yes: bool| json!({"spec": {"unschedulable": yes}});
        change(&world, "simulated-3", cordon(true)).await?;
        comes(&operator, "simulated-3", NodeState::Maintenance, SEEN).await?;
        change(&world, "simulated-3", cordon(false)).await?;
        comes(&operator, "simulated-3", NodeState::Active, SEEN).await?;

        let joins = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "joining"}});
        nodes(&world).create(&PostParams::default(), &serde_json::from_value(joins)?).await?;
        comes(&operator, "joining", NodeState::Pending, SEEN).await?;
        is_heard(&world, "joining", true).await?;
        comes(&operator, "joining", NodeState::Active, BOUND).await?;
        let pending = "nakhoda_operator_nodes{state=\"PENDING\"}";
        operator.wait_sample(pending, SEEN, |value| value == Some(0.0)).await?;

        nodes(&world).delete("joining", &DeleteParams::default()).await?;
        wait::until("the node to be gone from the metrics", SEEN, async || {
            Ok((!operator.metrics().await?.contains("joining")).then_some(()))
        })
        .await
    })
}

#[test]
fn a_node_that_falls_silent_is_inactive_and_its_instance_is_told_once_of_the_loss_and_once_of_the_return()
-> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let operator = world.operator("a").await?;
        let (tenant, db) = world.tenant_with_db("nodes").await?;
        let node = carrier(&world, &tenant).await?;
        comes(&operator, &node, NodeState::Active, SEEN).await?;
        let asked = format!("nakhoda_operator_node_requested{{node=\"{node}\",resource=\"memory\"}}");
        ensure!(operator.sample(&asked).await?.is_some_and(|bytes| bytes > 0.0), "its pod asks for memory");

        is_heard(&world, &node, false).await?;
        comes(&operator, &node, NodeState::Inactive, LOST).await?;
        is_told(&world, &db, &tenant, "NodeLost", &node).await?;
        for other in nodes(&world).list(&ListParams::default()).await?.items {
            let name = other.name_any();
            let lost = operator.sample(&state(&name, NodeState::Inactive)).await?.is_some();
            ensure!(lost == (name == node), "{name} is lost: {lost}");
        }

        is_heard(&world, &node, true).await?;
        comes(&operator, &node, NodeState::Active, BOUND).await?;
        is_told(&world, &db, &tenant, "NodeBack", &node).await?;
        for reason in ["NodeLost", "NodeBack"] {
            assert_eq!(told(&world, &db, &tenant, reason).await?, std::slice::from_ref(&node), "{reason}");
        }
        let log = operator.log()?;
        assert!(log.contains("a node is in trouble") && log.contains(&node), "the log names it");
        // The node controller has called the pod unready, and KWOK says nothing more of a pod that it has started.
        let pods: Api<Pod> = Api::namespaced(world.admin(), tenant.namespace());
        pods.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
        db.settled_in(Phase::Running, BOUND).await?;
        Ok(())
    })
}
