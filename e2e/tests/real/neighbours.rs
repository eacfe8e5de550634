//! One tenant tries to reach another across the network.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use crds::{TenantQuota, conditions, managers, names};
use e2e::wait;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::app::{Running, must};
use crate::house::{BOUND, House};
use crate::matrix::Matrix;

/// Has a shell and `nc`.
const IMAGE: &str = "nakhoda.local/busybox:1";
const NEIGHBOUR: &str = "neighbour";

/// Tries to connect to an app of PostgreSQL from another tenant's namespace and from its own; and to DNS, which all may ask.
pub async fn are_kept_apart(house: &House, running: &Running, matrix: &mut Matrix) -> Result<()> {
    let theirs = tenant(house).await?;
    let pod = running.pods(house).await?.pop().context("it has a pod")?;
    let address = pod.status.and_then(|status| status.pod_ip).context("a pod has an address")?;
    let connect = format!("nc -w 3 {address} 5432 </dev/null");
    matrix
        .step("neighbours", "another tenant connects to the database", async {
            let reached = runs(house, &theirs, &connect).await?;
            must(!reached, if reached { "REACHED IT" } else { "no connection" })
        })
        .await?;
    matrix
        .step("neighbours", "a pod of the same tenant connects to it", async {
            let reached = runs(house, &running.namespace, &connect).await?;
            Ok(if reached { "connected" } else { "no connection" }.to_owned())
        })
        .await?;
    matrix
        .step("neighbours", "another tenant asks DNS for its name", async {
            let name = format!("{}.{}.svc.cluster.local", running.name, running.namespace);
            let known = runs(house, &theirs, &format!("nslookup {name} 10.96.0.10")).await?;
            Ok(if known { "answered" } else { "not answered" }.to_owned())
        })
        .await
}

/// A tenant of its own; its namespace.
async fn tenant(house: &House) -> Result<String> {
    let tenants: Api<TenantQuota> = Api::all(house.admin.clone());
    let body = json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "TenantQuota", "metadata": {"name": NEIGHBOUR},
        "spec": {"owner": "00000000-0000-7000-8000-000000000001"}});
    tenants.patch(NEIGHBOUR, &PatchParams::apply(managers::TENANT).force(), &Patch::Apply(body)).await?;
    let ready = await_condition(tenants, NEIGHBOUR, |found: Option<&TenantQuota>| {
        let status = found.and_then(|tenant| Some((tenant.status.as_ref()?, tenant.metadata.generation)));
        status.is_some_and(|(status, generation)| {
            conditions::is_true(&status.conditions, conditions::READY, generation)
        })
    });
    wait::within("the neighbour to be Ready", BOUND, ready).await?;
    Ok(names::tenant_namespace(NEIGHBOUR))
}

/// Runs a command in a pod of that namespace; whether it succeeds.
async fn runs(house: &House, namespace: &str, command: &str) -> Result<bool> {
    let pods: Api<Pod> = Api::namespaced(house.admin.clone(), namespace);
    let little: BTreeMap<&str, &str> = [("cpu", "50m"), ("memory", "32Mi")].into();
    let pod: Pod = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "try-"},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "try", "image": IMAGE, "command": ["/bin/sh", "-c", command],
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                "resources": {"requests": little, "limits": little},
            }],
        },
    }))?;
    let name = pods.create(&PostParams::default(), &pod).await?.name_any();
    let ended = await_condition(pods.clone(), &name, |pod: Option<&Pod>| {
        phase(pod).is_some_and(|phase| ["Succeeded", "Failed"].contains(&phase))
    });
    let ended = match wait::within(&format!("the pod {name} to end"), BOUND, ended).await {
        Ok(ended) => ended,
        Err(error) => bail!("{error:#}: {:?}", pods.get(&name).await?.status),
    };
    pods.delete(&name, &DeleteParams::default().grace_period(0)).await?;
    match phase(ended.as_ref()) {
        Some("Succeeded") => Ok(true),
        Some("Failed") => Ok(false),
        other => bail!("it ended as {other:?}"),
    }
}

fn phase(pod: Option<&Pod>) -> Option<&str> {
    pod?.status.as_ref()?.phase.as_deref()
}
