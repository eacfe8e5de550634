//! Nodes that have no room, are closed, or are not heard of.

use anyhow::Result;
use crds::instance::Phase::{Degraded, Provisioning};
use crds::managers::CATALOGUE;
use crds::reasons;
use e2e::apply;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use super::row::{Row, seen, serves};
use super::{Stage, pods};

/// The node whose kubelet is this test.
const OURS: &str = "ours";

async fn close(nodes: &Api<Node>, yes: bool) -> Result<()> {
    for node in nodes.list(&ListParams::default()).await?.items {
        let closed = Patch::Merge(json!({"spec": {"unschedulable": yes}}));
        nodes.patch(&node.name_any(), &PatchParams::default(), &closed).await?;
    }
    Ok(())
}

/// A node that somebody else than the simulation keeps, and that is heard of once.
async fn open_ours(stage: Stage<'_>, nodes: &Api<Node>, now: Timestamp) -> Result<()> {
    let leases: Api<Lease> = Api::namespaced(stage.world.admin(), "kube-node-lease");
    let lease = json!({
        "metadata": {"name": OURS},
        "spec": {"holderIdentity": "the-test", "leaseDurationSeconds": 3600, "renewTime": format!("{now:.6}")},
    });
    leases.create(&PostParams::default(), &serde_json::from_value(lease)?).await?;
    let node = json!({"metadata": {"name": OURS, "labels": {"kubernetes.io/hostname": OURS}}});
    nodes.create(&PostParams::default(), &serde_json::from_value(node)?).await?;
    let room = json!({"cpu": "8", "memory": "32Gi", "pods": "110", "ephemeral-storage": "100Gi"});
    let ready = json!([{
        "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "the test says so",
        "lastHeartbeatTime": now.to_string(), "lastTransitionTime": now.to_string(),
    }]);
    let status =
        Patch::Merge(json!({"status": {"capacity": room, "allocatable": room, "conditions": ready}}));
    nodes.patch_status(OURS, &PatchParams::default(), &status).await?;
    Ok(())
}

/// The time by the API server's clock.
async fn time(stage: Stage<'_>) -> Result<Timestamp> {
    let tenant = stage.tenant.get().await?;
    let written = tenant.metadata.managed_fields.into_iter().flatten().filter_map(|one| one.time).max();
    Ok(written.map_or(Timestamp::UNIX_EPOCH, |time| time.0))
}

pub(super) async fn case(stage: Stage<'_>) -> Result<Vec<Row>> {
    let nodes: Api<Node> = Api::all(stage.world.admin());
    let mut rows = vec![no_room(stage).await?];
    close(&nodes, true).await?;
    let one = stage.order("nowhere", "told-small").await?;
    let how = "every node closed (cordoned)";
    rows.push(seen(&one, reasons::NO_NODE_FITS, Provisioning, how).await?.cured("a node opens"));
    open_ours(stage, &nodes, time(stage).await?).await?;
    let pod = pods::scheduled(stage, &one, "db").await?;
    pods::tell(stage, &pod, pods::ready("db")).await?;
    serves(&one).await?;
    // From here on nobody hears of the node again.
    let row = seen(&one, reasons::NODE_LOST, Degraded, "the lease of its node, no longer renewed").await?;
    nodes.delete(OURS, &DeleteParams::default()).await?;
    close(&nodes, false).await?;
    pods::is_replaced(stage, &pod, OURS).await?;
    let again = pods::scheduled(stage, &one, "db").await?;
    pods::tell(stage, &again, pods::ready("db")).await?;
    serves(&one).await?;
    rows.push(row.cured("an administrator removes the node"));
    Ok(rows)
}

async fn no_room(stage: Stage<'_>) -> Result<Row> {
    let plan = |name: &str, cpu: &str| {
        json!({
            "apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServicePlan", "metadata": {"name": name},
            "spec": {
                "templateRef": "plain", "displayName": "Odd", "price": {"amount": 1000, "period": "Monthly"},
                "resources": {"cpu": cpu, "memory": "512Mi", "storage": "5Gi"},
            },
        })
    };
    for (name, cpu) in [("plain-huge", "64"), ("plain-fitting", "1")] {
        apply::object(&stage.world.admin(), &serde_json::from_value(plan(name, cpu))?, CATALOGUE).await?;
    }
    let one = stage.order("huge", "plain-huge").await?;
    let how = "a plan larger than every node";
    let row = seen(&one, reasons::NO_ROOM_ON_NODES, Provisioning, how).await?;
    one.patch_spec(json!({"planRef": "plain-fitting"})).await?;
    serves(&one).await?;
    Ok(row.cured("the plan fits (or nodes are added)"))
}
