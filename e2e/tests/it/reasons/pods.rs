//! Pods that do not serve. No container runs on simulated nodes, so what a kubelet would say of one is told to the API
//! server in its place.

use anyhow::{Context as _, Result};
use crds::instance::Phase::{Degraded, Provisioning};
use crds::{labels, reasons};
use e2e::wait;
use futures::FutureExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{EvictParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::row::{PATIENCE, Row, seen, serves};
use super::{Case, Stage};
use crate::world::Instance;

pub(super) fn cases(stage: Stage<'_>) -> Vec<Case<'_>> {
    let mut all: Vec<Case<'_>> =
        told().into_iter().map(|case| provisioning(stage, case).boxed_local()).collect();
    all.push(probe(stage).boxed_local());
    all.push(dependency(stage).boxed_local());
    all.push(drained(stage).boxed_local());
    all
}

/// What is told of the app's container or, by its name, of the init container.
struct Told {
    name: &'static str,
    init: bool,
    status: Value,
    reason: &'static str,
    how: &'static str,
}

fn waiting(reason: &str) -> Value {
    json!({"ready": false, "started": false, "restartCount": 0, "state": {"waiting": {"reason": reason}}})
}

fn crashed(reason: &str, message: &str) -> Value {
    let ended = json!({"exitCode": 137, "reason": reason, "message": message});
    let back_off = json!({"waiting": {"reason": "CrashLoopBackOff"}});
    json!({"ready": false, "started": false, "restartCount": 4, "state": back_off, "lastState": {"terminated": ended}})
}

fn told() -> Vec<Told> {
    let of = |name, init, status, reason, how| Told { name, init, status, reason, how };
    vec![
        of(
            "image-name",
            false,
            waiting("InvalidImageName"),
            reasons::IMAGE_NAME_INVALID,
            "InvalidImageName (told)",
        ),
        of("image", false, waiting("ImagePullBackOff"), reasons::IMAGE_NOT_PULLED, "ImagePullBackOff (told)"),
        of(
            "config",
            false,
            waiting("CreateContainerConfigError"),
            reasons::CONFIG_MISSING,
            "CreateContainerConfigError (told)",
        ),
        of(
            "start",
            false,
            waiting("RunContainerError"),
            reasons::CONTAINER_NOT_STARTED,
            "RunContainerError (told)",
        ),
        of("crash", false, crashed("Error", ""), reasons::CRASH_LOOPING, "CrashLoopBackOff (told)"),
        of("memory", false, crashed("OOMKilled", ""), reasons::OUT_OF_MEMORY, "OOMKilled (told)"),
        of(
            "disk",
            false,
            crashed("Error", "write: No space left on device"),
            reasons::VOLUME_FULL,
            "an end with `No space left on device` (told)",
        ),
        of(
            "init",
            true,
            crashed("Error", ""),
            reasons::INIT_CONTAINER_FAILING,
            "an init container in CrashLoopBackOff (told)",
        ),
    ]
}

async fn provisioning(stage: Stage<'_>, case: Told) -> Result<Vec<Row>> {
    let one = stage.order(&format!("told-{}", case.name), "told-small").await?;
    let pod = scheduled(stage, &one, "db").await?;
    let not_ready =
        json!([{"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": "False"}]);
    let mut status = json!({"phase": "Pending", "conditions": not_ready});
    let (list, name) =
        if case.init { ("initContainerStatuses", "set-aside") } else { ("containerStatuses", "db") };
    status[list] = json!([container(name, case.status)]);
    tell(stage, &pod, status).await?;
    let row = seen(&one, case.reason, Provisioning, case.how).await?;
    tell(stage, &pod, ready("db")).await?;
    serves(&one).await?;
    Ok(vec![row.cured("it runs (told)")])
}

/// What served, and does not answer any more.
async fn probe(stage: Stage<'_>) -> Result<Vec<Row>> {
    let one = stage.order("silent", "told-small").await?;
    let pod = scheduled(stage, &one, "db").await?;
    tell(stage, &pod, ready("db")).await?;
    serves(&one).await?;
    let silent = json!({"ready": false, "started": true, "restartCount": 0, "state": {"running": {}}});
    let not_ready =
        json!([{"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": "False"}]);
    tell(stage, &pod, json!({"conditions": not_ready, "containerStatuses": [container("db", silent)]}))
        .await?;
    let row =
        seen(&one, reasons::PROBE_FAILING, Degraded, "a probe that fails after it served (told)").await?;
    tell(stage, &pod, ready("db")).await?;
    serves(&one).await?;
    Ok(vec![row.cured("it answers (told)")])
}

async fn dependency(stage: Stage<'_>) -> Result<Vec<Row>> {
    let one = stage.order("pair", "told-pair-small").await?;
    let db = scheduled(stage, &one, "db").await?;
    let row =
        seen(&one, reasons::DEPENDENCY_NOT_READY, Provisioning, "a database that is not up yet").await?;
    tell(stage, &db, ready("db")).await?;
    let web = scheduled(stage, &one, "web").await?;
    tell(stage, &web, ready("web")).await?;
    serves(&one).await?;
    Ok(vec![row.cured("it is up (told)")])
}

/// An eviction as `kubectl drain` makes it, of a pod that does not end at once.
async fn drained(stage: Stage<'_>) -> Result<Vec<Row>> {
    let one = stage.running("drained", "plain-small").await?;
    let pod = scheduled(stage, &one, "db").await?;
    hold(stage, &pod, true).await?;
    pods(stage).evict(&pod, &EvictParams::default()).await?;
    let told = json!({"conditions": [{"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": "False"}]});
    tell(stage, &pod, told).await?;
    let row = seen(&one, reasons::DRAINED, Degraded, "an eviction of its pod, as a drain makes it").await?;
    hold(stage, &pod, false).await?;
    serves(&one).await?;
    Ok(vec![row.cured("the pod runs elsewhere")])
}

fn pods(stage: Stage<'_>) -> Api<Pod> {
    Api::namespaced(stage.world.admin(), stage.tenant.namespace())
}

/// The name of a component's pod, once it has a node.
pub(super) async fn scheduled(stage: Stage<'_>, one: &Instance, component: &str) -> Result<String> {
    let selector = format!("{}={},{}={component}", labels::INSTANCE, one.uid().await?, labels::COMPONENT);
    wait::until(&format!("a pod of {one} to have a node"), PATIENCE, async || {
        let all = pods(stage).list(&ListParams::default().labels(&selector)).await?;
        let placed = |pod: &Pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
        let lives = |pod: &Pod| pod.metadata.deletion_timestamp.is_none();
        Ok(all.items.iter().find(|pod| placed(pod) && lives(pod)).map(kube::ResourceExt::name_any))
    })
    .await
}

/// Waits until a pod of that name is not on that node any more.
pub(super) async fn is_replaced(stage: Stage<'_>, pod: &str, node: &str) -> Result<()> {
    wait::until(&format!("{pod} to have left {node}"), PATIENCE, async || {
        let there = pods(stage).get_opt(pod).await?.and_then(|pod| pod.spec).and_then(|spec| spec.node_name);
        Ok((there.as_deref() != Some(node)).then_some(()))
    })
    .await
}

fn container(name: &str, mut status: Value) -> Value {
    for (key, value) in [("name", name), ("image", "simulated"), ("imageID", "")] {
        status[key] = json!(value);
    }
    status
}

/// What a kubelet says of a pod that is well.
pub(super) fn ready(name: &str) -> Value {
    let all = ["PodScheduled", "Initialized", "ContainersReady", "Ready"];
    let conditions: Vec<Value> = all.iter().map(|type_| json!({"type": type_, "status": "True"})).collect();
    let well = json!({"ready": true, "started": true, "restartCount": 0, "state": {"running": {}}});
    json!({
        "phase": "Running", "conditions": conditions, "initContainerStatuses": null,
        "containerStatuses": [container(name, well)],
    })
}

/// Writes a pod's status as its kubelet would.
pub(super) async fn tell(stage: Stage<'_>, pod: &str, status: Value) -> Result<()> {
    let patch = Patch::Strategic(json!({"status": status}));
    let told = pods(stage).patch_status(pod, &PatchParams::default(), &patch).await;
    told.with_context(|| format!("the status of the pod {pod}"))?;
    Ok(())
}

/// Keeps a pod from ending, as a kubelet that is slow to end it does; or lets it end.
pub(super) async fn hold(stage: Stage<'_>, pod: &str, yes: bool) -> Result<()> {
    let finalizers = if yes { json!(["example.com/held"]) } else { Value::Null };
    let patch = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    pods(stage).patch(pod, &PatchParams::default(), &patch).await?;
    Ok(())
}
