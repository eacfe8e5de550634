//! The simulated nodes, and where their volumes come from.

use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::json;

use crate::wait;

/// The label of nodes that KWOK looks after, as a selector: one without it is never heard of.
pub const NODE_LABEL: &str = "type=kwok";

/// How many nodes there are, and what each has room for.
#[derive(Clone, Debug)]
pub struct Nodes {
    /// How many.
    pub count: usize,
    /// CPUs of each.
    pub cpu: u32,
    /// Memory of each, in GiB.
    pub memory: u32,
    /// Pods of each.
    pub pods: usize,
}

impl Default for Nodes {
    fn default() -> Self {
        Self { count: 3, cpu: 8, memory: 32, pods: 110 }
    }
}

/// Who wrote what is made here.
const MANAGER: &str = "nakhoda-dev";
const READY: Duration = Duration::from_mins(1);

/// The taint of simulated nodes where there are real ones: nothing that is to run goes there.
const TAINT: &str = "nakhoda.dev/simulated";

/// Declares the nodes, closed to ordinary pods where there are `real` ones, and the storage class of simulated volumes, which is
/// the default one where there are none.
pub(super) async fn declare(admin: &Client, declared: &Nodes, real: bool) -> Result<()> {
    let apply = PatchParams::apply(MANAGER).force();
    let nodes: Api<Node> = Api::all(admin.clone());
    let leases: Api<Lease> = Api::namespaced(admin.clone(), "kube-node-lease");
    for name in names(declared) {
        // A lease of the KWOK of an earlier run, which is dead, would keep the new one off the node.
        match leases.delete(&name, &DeleteParams::default()).await {
            Ok(_) => {}
            Err(error) if is_not_found(&error) => {}
            Err(error) => return Err(error.into()),
        }
        nodes.patch(&name, &apply, &Patch::Apply(node(&name, real))).await?;
        nodes.patch_status(&name, &apply, &Patch::Apply(status(declared))).await?;
    }
    let classes: Api<StorageClass> = Api::all(admin.clone());
    classes.patch("standard", &apply, &Patch::Apply(storage_class(!real))).await?;
    Ok(())
}

/// Returns when every node is Ready.
pub(super) async fn until_ready(admin: &Client, declared: &Nodes) -> Result<()> {
    for name in names(declared) {
        let ready = await_condition(Api::<Node>::all(admin.clone()), &name, |node: Option<&Node>| {
            let conditions =
                node.and_then(|node| node.status.as_ref()).and_then(|status| status.conditions.as_ref());
            conditions.into_iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True")
        });
        wait::within(&format!("node {name} to be Ready"), READY, ready).await?;
    }
    Ok(())
}

fn names(declared: &Nodes) -> impl Iterator<Item = String> + use<> {
    (1..=declared.count).map(|number| format!("simulated-{number}"))
}

fn node(name: &str, tainted: bool) -> serde_json::Value {
    let spec = if tainted { json!({"taints": [{"key": TAINT, "effect": "NoSchedule"}]}) } else { json!({}) };
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "type": "kwok",
            },
            "annotations": {
                "kwok.x-k8s.io/node": "fake",
                // KWOK answers for all kubelets at one port.
                "metrics.k8s.io/resource-metrics-path": format!("/metrics/nodes/{name}/metrics/resource"),
            },
        },
        "spec": spec,
    })
}

fn status(declared: &Nodes) -> serde_json::Value {
    let Nodes { count: _, cpu, memory, pods } = declared;
    let room = json!({
        "cpu": cpu.to_string(), "memory": format!("{memory}Gi"), "ephemeral-storage": "100Gi", "pods": pods.to_string(),
    });
    json!({ "apiVersion": "v1", "kind": "Node", "status": { "capacity": room, "allocatable": room } })
}

fn storage_class(default: bool) -> serde_json::Value {
    json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "standard",
            "annotations": { "storageclass.kubernetes.io/is-default-class": default.to_string() },
        },
        "provisioner": "kubernetes.io/host-path",
        "reclaimPolicy": "Delete",
        "allowVolumeExpansion": true,
        "volumeBindingMode": "Immediate",
    })
}

fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
