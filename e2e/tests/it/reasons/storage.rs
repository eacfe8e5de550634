//! Volumes that are not made, not reached, lost, deleted, or can't grow.

use anyhow::{Context as _, Result};
use crds::instance::Phase::{Degraded, Failed, Provisioning};
use crds::{labels, reasons};
use e2e::wait;
use futures::FutureExt as _;
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use super::row::{PATIENCE, Row, seen, serves};
use super::{Case, Stage, pods};
use crate::broken::catalogue;
use crate::world::{Instance, World};

pub(super) fn cases(stage: Stage<'_>) -> Vec<Case<'_>> {
    vec![
        no_class(stage).boxed_local(),
        no_name_of_a_class(stage).boxed_local(),
        not_provisioned(stage).boxed_local(),
        elsewhere(stage).boxed_local(),
        not_expandable(stage).boxed_local(),
        lost(stage).boxed_local(),
        deleted(stage).boxed_local(),
    ]
}

/// A plan whose volumes are of a class.
async fn plan(world: &World, name: &str, class: &str, storage: &str) -> Result<()> {
    catalogue::plan_of_class(world, name, "plain", storage, Some(class)).await
}

async fn class(world: &World, name: &str, more: Value) -> Result<()> {
    let mut class = json!({"metadata": {"name": name}, "provisioner": "kubernetes.io/host-path"});
    for (key, value) in more.as_object().into_iter().flatten() {
        class[key] = value.clone();
    }
    let classes: Api<StorageClass> = Api::all(world.admin());
    classes.create(&PostParams::default(), &serde_json::from_value(class)?).await?;
    Ok(())
}

async fn no_class(stage: Stage<'_>) -> Result<Vec<Row>> {
    plan(stage.world, "plain-nowhere", "nowhere", "5Gi").await?;
    let one = stage.order("classless", "plain-nowhere").await?;
    let how = "a plan whose storage class does not exist";
    let row = seen(&one, reasons::STORAGE_CLASS_MISSING, Provisioning, how).await?;
    class(stage.world, "nowhere", json!({})).await?;
    serves(&one).await?;
    Ok(vec![row.cured("the class is made")])
}

/// What a pattern lets through and the API server does not: a part of a name that is empty.
async fn no_name_of_a_class(stage: Stage<'_>) -> Result<Vec<Row>> {
    plan(stage.world, "plain-refused", "no..name", "5Gi").await?;
    let one = stage.order("refused", "plain-refused").await?;
    let how = "a plan whose storage class has a name that no class can have";
    let row = seen(&one, reasons::REJECTED, Failed, how).await?;
    class(stage.world, "a.name", json!({})).await?;
    plan(stage.world, "plain-refused", "a.name", "5Gi").await?;
    serves(&one).await?;
    Ok(vec![row.cured("the plan is corrected")])
}

/// What makes the volumes knows no mount options, so asking for some fails.
async fn not_provisioned(stage: Stage<'_>) -> Result<Vec<Row>> {
    plan(stage.world, "plain-mounted", "mounted", "5Gi").await?;
    class(stage.world, "mounted", json!({"mountOptions": ["noatime"]})).await?;
    let one = stage.order("unmade", "plain-mounted").await?;
    let row = seen(&one, reasons::VOLUME_NOT_PROVISIONED, Provisioning, "a storage class that fails").await?;
    let classes: Api<StorageClass> = Api::all(stage.world.admin());
    classes.delete("mounted", &DeleteParams::default()).await?;
    class(stage.world, "mounted", json!({})).await?;
    serves(&one).await?;
    Ok(vec![row.cured("the class is corrected")])
}

async fn elsewhere(stage: Stage<'_>) -> Result<Vec<Row>> {
    plan(stage.world, "plain-elsewhere", "elsewhere", "5Gi").await?;
    class(stage.world, "elsewhere", json!({"provisioner": "kubernetes.io/no-provisioner"})).await?;
    let place = json!({"key": "example.com/place", "operator": "In", "values": ["elsewhere"]});
    let volume = json!({
        "metadata": {"name": "elsewhere"},
        "spec": {
            "capacity": {"storage": "5Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "elsewhere",
            "persistentVolumeReclaimPolicy": "Retain", "local": {"path": "/elsewhere"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [place]}]}},
        },
    });
    let volumes: Api<PersistentVolume> = Api::all(stage.world.admin());
    volumes.create(&PostParams::default(), &serde_json::from_value(volume)?).await?;
    let one = stage.order("elsewhere", "plain-elsewhere").await?;
    let row = seen(&one, reasons::VOLUME_ELSEWHERE, Provisioning, "a volume that no node reaches").await?;
    let nodes: Api<Node> = Api::all(stage.world.admin());
    let there = Patch::Merge(json!({"metadata": {"labels": {"example.com/place": "elsewhere"}}}));
    nodes.patch("simulated-1", &PatchParams::default(), &there).await?;
    serves(&one).await?;
    Ok(vec![row.cured("a node reaches it")])
}

async fn not_expandable(stage: Stage<'_>) -> Result<Vec<Row>> {
    plan(stage.world, "plain-fixed", "fixed", "5Gi").await?;
    plan(stage.world, "plain-fixed-more", "fixed", "10Gi").await?;
    class(stage.world, "fixed", json!({"allowVolumeExpansion": false})).await?;
    let one = stage.running("fixed", "plain-fixed").await?;
    one.patch_spec(json!({"planRef": "plain-fixed-more"})).await?;
    let how = "a plan with more storage, of a class that can't grow";
    let row = seen(&one, reasons::VOLUME_NOT_EXPANDABLE, Degraded, how).await?;
    let classes: Api<StorageClass> = Api::all(stage.world.admin());
    let grow = Patch::Merge(json!({"allowVolumeExpansion": true}));
    classes.patch("fixed", &PatchParams::default(), &grow).await?;
    serves(&one).await?;
    Ok(vec![row.cured("the class can grow")])
}

async fn claim(stage: Stage<'_>, one: &Instance) -> Result<PersistentVolumeClaim> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(stage.world.admin(), stage.tenant.namespace());
    let selector = format!("{}={}", labels::INSTANCE, one.uid().await?);
    let found = claims.list(&ListParams::default().labels(&selector)).await?.items;
    found.into_iter().next().context("it has a claim")
}

async fn lost(stage: Stage<'_>) -> Result<Vec<Row>> {
    let one = stage.running("lost", "plain-small").await?;
    let claim = claim(stage, &one).await?;
    let name = claim.spec.and_then(|spec| spec.volume_name).context("it is bound")?;
    let volumes: Api<PersistentVolume> = Api::all(stage.world.admin());
    volumes.delete(&name, &DeleteParams::default()).await?;
    let unprotected = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    volumes.patch(&name, &PatchParams::default(), &unprotected).await?;
    Ok(vec![seen(&one, reasons::VOLUME_LOST, Degraded, "its volume, deleted by force").await?])
}

/// A claim that is deleted goes once no pod uses it.
async fn deleted(stage: Stage<'_>) -> Result<Vec<Row>> {
    let one = stage.running("deleted", "plain-small").await?;
    let claim = claim(stage, &one).await?.name_any();
    let pod = pods::scheduled(stage, &one, "db").await?;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(stage.world.admin(), stage.tenant.namespace());
    claims.delete(&claim, &DeleteParams::default()).await?;
    let how = "its claim, deleted while it is used";
    let ending = seen(&one, reasons::VOLUME_BEING_DELETED, Degraded, how).await?;
    let pods: Api<Pod> = Api::namespaced(stage.world.admin(), stage.tenant.namespace());
    pods.delete(&pod, &DeleteParams::default()).await?;
    wait::until("the claim to be gone", PATIENCE, async || {
        Ok(claims.get_opt(&claim).await?.is_none().then_some(()))
    })
    .await?;
    let gone = seen(&one, reasons::VOLUME_MISSING, Failed, "the same, and its pod gone").await?;
    Ok(vec![ending, gone])
}
