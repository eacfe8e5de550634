//! Orders that can't be carried out, and what somebody decided about them.

use anyhow::{Context as _, Result};
use crds::instance::Phase::{Degraded, Failed, Pending, Running, Stopped, Stopping, Suspended, Terminating};
use crds::{ServiceInstance, labels, names, reasons};
use futures::FutureExt as _;
use k8s_openapi::api::core::v1::{Namespace, Secret, Service};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::row::{PATIENCE, Row, seen, serves};
use super::{Case, Stage, pods, spec};
use crate::broken::catalogue;
use crate::world::{Instance, World};

pub(super) fn cases(stage: Stage<'_>) -> Vec<Case<'_>> {
    vec![
        held(stage).boxed_local(),
        entitlement(stage).boxed_local(),
        unentitled(stage).boxed_local(),
        ended(stage).boxed_local(),
        no_plan(stage).boxed_local(),
        wrong_change(stage).boxed_local(),
        restored(stage).boxed_local(),
        no_place(stage).boxed_local(),
        no_room_to_grow(stage.world).boxed_local(),
        name_taken(stage).boxed_local(),
        earlier(stage).boxed_local(),
        secret_gone(stage).boxed_local(),
        no_tenant(stage.world).boxed_local(),
        hands_off(stage).boxed_local(),
    ]
}

async fn held(stage: Stage<'_>) -> Result<Vec<Row>> {
    let one = stage.running("held", "plain-small").await?;
    let hold = json!({"reason": "Somebody decided so", "since": "2026-01-05T09:00:00Z"});
    let mut rows = Vec::new();
    for (who, reason, how) in [
        ("billing", reasons::HELD_BY_BILLING, "a hold of billing"),
        ("admin", reasons::HELD_BY_ADMINISTRATOR, "a hold of an administrator, beside billing's"),
        ("abuse", reasons::HELD_FOR_ABUSE, "a hold for abuse, beside both"),
    ] {
        one.patch_spec(json!({"holds": {who: hold}})).await?;
        rows.push(seen(&one, reason, Suspended, how).await?.cured("every hold is released"));
    }
    one.patch_spec(json!({"holds": null})).await?;
    serves(&one).await?;
    Ok(rows)
}

async fn entitlement(stage: Stage<'_>) -> Result<Vec<Row>> {
    let one = stage.running("lapsed", "plain-small").await?;
    let past = json!({"paidUntil": "2026-01-01T00:00:00Z", "suspendAt": "2026-01-04T00:00:00Z"});
    one.patch_spec(json!({"entitlement": past})).await?;
    let row = seen(&one, reasons::ENTITLEMENT_ENDED, Suspended, "a paid period that is over").await?;
    one.patch_spec(json!({"entitlement": spec("plain-small")["entitlement"]})).await?;
    serves(&one).await?;
    Ok(vec![row.cured("it is paid for")])
}

async fn unentitled(stage: Stage<'_>) -> Result<Vec<Row>> {
    let one = stage.tenant.instance("unpaid", json!({"planRef": "plain-small"})).await?;
    let row = seen(&one, reasons::NOT_ENTITLED, Suspended, "an order without an entitlement").await?;
    one.entitle().await?;
    serves(&one).await?;
    Ok(vec![row.cured("it is entitled")])
}

/// Stopped, and deleted, while a pod can't end.
async fn ended(stage: Stage<'_>) -> Result<Vec<Row>> {
    let one = stage.running("ended", "plain-small").await?;
    one.patch_spec(json!({"powerState": "Stopped"})).await?;
    let stopped = seen(&one, reasons::STOPPED, Stopped, "powerState: Stopped").await?;
    one.patch_spec(json!({"powerState": "Running"})).await?;
    serves(&one).await?;
    let pod = pods::scheduled(stage, &one, "db").await?;
    pods::hold(stage, &pod, true).await?;
    one.patch_spec(json!({"powerState": "Stopped"})).await?;
    let stopping = seen(&one, reasons::STOPPING, Stopping, "the same, and a pod that does not end").await?;
    one.delete().await?;
    let deleted =
        seen(&one, reasons::TERMINATING, Terminating, "a deletion, and a pod that does not end").await?;
    pods::hold(stage, &pod, false).await?;
    one.gone(PATIENCE).await?;
    Ok(vec![
        stopped.cured("powerState: Running"),
        stopping.cured("the pod ends"),
        deleted.cured("the pod ends (it is gone)"),
    ])
}

async fn no_plan(stage: Stage<'_>) -> Result<Vec<Row>> {
    let one = stage.order("no-plan", "plain-later").await?;
    let row = seen(&one, reasons::PLAN_NOT_FOUND, Failed, "an order by a plan that does not exist").await?;
    catalogue::plan(stage.world, "plain-later", "plain", "5Gi").await?;
    serves(&one).await?;
    Ok(vec![row.cured("the plan is made")])
}

/// Changes that make no sense to what runs: it serves on.
async fn wrong_change(stage: Stage<'_>) -> Result<Vec<Row>> {
    catalogue::app(stage.world, "other", |_| {}).await?;
    catalogue::plan(stage.world, "plain-tiny", "plain", "1Gi").await?;
    let one = stage.running("changed", "plain-small").await?;
    let mut rows = Vec::new();
    for (change, back, reason, how) in [
        (
            json!({"planRef": "other-small"}),
            json!({"planRef": "plain-small"}),
            reasons::PLAN_OF_ANOTHER_APP,
            "a plan of another app",
        ),
        (
            json!({"planRef": "plain-tiny"}),
            json!({"planRef": "plain-small"}),
            reasons::STORAGE_TOO_SMALL,
            "a plan with less storage",
        ),
        (
            json!({"parameters": {"maxConnections": "9"}}),
            json!({"parameters": null}),
            reasons::PARAMETER_INVALID,
            "a parameter out of its bounds",
        ),
    ] {
        one.patch_spec(change).await?;
        rows.push(seen(&one, reason, Degraded, how).await?.cured("the change is taken back"));
        one.patch_spec(back).await?;
        serves(&one).await?;
    }
    Ok(rows)
}

async fn restored(stage: Stage<'_>) -> Result<Vec<Row>> {
    let data = async |name| -> Result<(Instance, String)> {
        let one = stage.running(name, "plain-small").await?;
        let status = one.get().await?.status.context("a status")?;
        Ok((one, status.data_id.context("a data id")?))
    };
    let ((_used, in_use), (donor, released)) = (data("used").await?, data("donor").await?);
    donor.delete().await?;
    donor.gone(PATIENCE).await?;
    catalogue::app(stage.world, "twin", |_| {}).await?;
    let mut rows = Vec::new();
    for (name, plan, from, reason, how) in [
        (
            "from-nothing",
            "plain-small",
            "aaaaaaaaaaaa",
            reasons::RETAINED_DATA_NOT_FOUND,
            "restoreFrom of data that is not there",
        ),
        (
            "from-used",
            "plain-small",
            &in_use,
            reasons::RETAINED_DATA_IN_USE,
            "restoreFrom of data that an instance has",
        ),
        (
            "from-other",
            "twin-small",
            &released,
            reasons::RETAINED_DATA_OF_ANOTHER_APP,
            "restoreFrom of another app's data",
        ),
    ] {
        let mut spec = spec(plan);
        spec["restoreFrom"] = json!(from);
        let one = stage.tenant.instance(name, spec).await?;
        rows.push(seen(&one, reason, Failed, how).await?);
    }
    Ok(rows)
}

/// No room in the quota; and once there is, somebody else's Secret in the way.
async fn no_place(stage: Stage<'_>) -> Result<Vec<Row>> {
    let limits =
        |instances: i32| json!({"instances": instances, "cpu": "2", "memory": "4Gi", "storage": "50Gi"});
    let tenant = stage.world.tenant("reasons-full", limits(0)).await?;
    let one = tenant.instance("db", spec("plain-small")).await?;
    let full = seen(&one, reasons::QUOTA_EXCEEDED, Pending, "an order beyond the tenant's limits").await?;
    let name = names::data_secret(&names::short_id(&one.uid().await?));
    let secrets: Api<Secret> = Api::namespaced(stage.world.admin(), tenant.namespace());
    let foreign = json!({"metadata": {"name": name}, "stringData": {"password": "known"}});
    secrets.create(&PostParams::default(), &serde_json::from_value(foreign)?).await?;
    tenant.limit(limits(1)).await?;
    let taken =
        seen(&one, reasons::SECRET_NAME_TAKEN, Failed, "somebody else's Secret of the data's name").await?;
    secrets.delete(&name, &DeleteParams::default()).await?;
    serves(&one).await?;
    Ok(vec![full.cured("the limits are raised"), taken.cured("that Secret is removed")])
}

async fn no_room_to_grow(world: &World) -> Result<Vec<Row>> {
    let limits = |cpu: &str| json!({"instances": 2, "cpu": cpu, "memory": "8Gi", "storage": "100Gi"});
    let tenant = world.tenant("reasons-grow", limits("600m")).await?;
    let one = tenant.instance("db", spec("postgresql-small")).await?;
    serves(&one).await?;
    one.patch_spec(json!({"planRef": "postgresql-medium"})).await?;
    let row = seen(&one, reasons::UPGRADE_AWAITS_QUOTA, Running, "a larger plan beyond the tenant's limits")
        .await?;
    tenant.limit(limits("4")).await?;
    serves(&one).await?;
    Ok(vec![row.cured("the limits are raised")])
}

async fn name_taken(stage: Stage<'_>) -> Result<Vec<Row>> {
    let services: Api<Service> = Api::namespaced(stage.world.admin(), stage.tenant.namespace());
    let foreign = json!({"metadata": {"name": "squatted"}, "spec": {"clusterIP": "None"}});
    services.create(&PostParams::default(), &serde_json::from_value(foreign)?).await?;
    let one = stage.order("squatted", "plain-small").await?;
    let row =
        seen(&one, reasons::NAME_TAKEN, Failed, "somebody else's Service of the instance's name").await?;
    services.delete("squatted", &DeleteParams::default()).await?;
    serves(&one).await?;
    Ok(vec![row.cured("that Service is removed")])
}

async fn earlier(stage: Stage<'_>) -> Result<Vec<Row>> {
    let services: Api<Service> = Api::namespaced(stage.world.admin(), stage.tenant.namespace());
    let labels = json!({labels::MANAGED_BY: labels::MANAGER, labels::INSTANCE: "an-earlier-one"});
    let left = json!({"metadata": {"name": "again", "labels": labels}, "spec": {"clusterIP": "None"}});
    services.create(&PostParams::default(), &serde_json::from_value(left)?).await?;
    let one = stage.order("again", "plain-small").await?;
    let how = "a Service that an earlier instance of the name has left";
    let row = seen(&one, reasons::WAITING_FOR_DELETION, Pending, how).await?;
    services.delete("again", &DeleteParams::default()).await?;
    serves(&one).await?;
    Ok(vec![row.cured("it is gone")])
}

async fn secret_gone(stage: Stage<'_>) -> Result<Vec<Row>> {
    let one = stage.running("keyless", "plain-small").await?;
    let name = names::data_secret(&names::short_id(&one.uid().await?));
    let secrets: Api<Secret> = Api::namespaced(stage.world.admin(), stage.tenant.namespace());
    let mut kept = secrets.get(&name).await?;
    secrets.delete(&name, &DeleteParams::default()).await?;
    // Secrets are not watched: it is noticed at the next look.
    one.patch_spec(json!({"displayName": "Look"})).await?;
    let row = seen(&one, reasons::SECRET_MISSING, Degraded, "the Secret of its passwords, deleted").await?;
    kept.metadata.resource_version = None;
    kept.metadata.uid = None;
    kept.metadata.managed_fields = None;
    secrets.create(&PostParams::default(), &kept).await?;
    serves(&one).await?;
    Ok(vec![row.cured("the very Secret is put back")])
}

async fn no_tenant(world: &World) -> Result<Vec<Row>> {
    // A namespace that somebody labelled by hand, without a tenant behind it.
    let namespaces: Api<Namespace> = Api::all(world.admin());
    let namespace =
        json!({"metadata": {"name": "customer-reasons-none", "labels": {labels::PAAS_MANAGED: "true"}}});
    namespaces.create(&PostParams::default(), &serde_json::from_value(namespace)?).await?;
    let one = world.nobodys("reasons-none", "db");
    one.apply(&spec("plain-small")).await?;
    let row =
        seen(&one, reasons::TENANT_MISSING, Failed, "an order in a namespace without a TenantQuota").await?;
    one.delete().await?;
    one.gone(PATIENCE).await?;
    Ok(vec![row])
}

async fn hands_off(stage: Stage<'_>) -> Result<Vec<Row>> {
    let one = stage.running("untouched", "plain-small").await?;
    let api: Api<ServiceInstance> = Api::namespaced(stage.world.admin(), stage.tenant.namespace());
    let annotate = |value: Value| json!({"metadata": {"annotations": {labels::RECONCILE: value}}});
    api.patch(one.name(), &PatchParams::default(), &Patch::Merge(annotate(json!("disabled")))).await?;
    let events: Api<Event> = Api::namespaced(stage.world.admin(), stage.tenant.namespace());
    let about = ListParams::default().fields(&format!("regarding.uid={}", one.uid().await?));
    e2e::wait::until("the event about hands off", PATIENCE, async || {
        let all = events.list(&about).await?.items;
        Ok(all.iter().any(|event| event.reason.as_deref() == Some(reasons::RECONCILE_DISABLED)).then_some(()))
    })
    .await?;
    let how = "the annotation nakhoda.dev/reconcile: disabled (an event says it)";
    let row = Row::event(reasons::RECONCILE_DISABLED, how, &one.get().await?);
    api.patch(one.name(), &PatchParams::default(), &Patch::Merge(annotate(Value::Null))).await?;
    serves(&one).await?;
    Ok(vec![row.cured("it is removed")])
}
