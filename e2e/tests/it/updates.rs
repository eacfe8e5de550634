//! Changes that are not the owner's own: an edited template, a new operator.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use crds::instance::Phase;
use crds::{ServiceInstance, ServiceTemplate, conditions};
use futures::future::try_join_all;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::world::{BOUND, Instance, Setup, Tenant, World, block_on, now, proves, sell, small};

/// The image that the template is edited to.
const EDITED: &str = "docker.io/library/postgres:17.12-bookworm";

/// How many instances there are: a hundred where everything is proved.
fn crowd() -> usize {
    if proves() { 100 } else { 20 }
}

/// The uid and image of every pod, by its instance's uid.
async fn pods(world: &World, tenant: &Tenant) -> Result<BTreeMap<String, (String, String)>> {
    let pods = Api::<Pod>::namespaced(world.admin(), tenant.namespace());
    let list = pods.list(&ListParams::default().labels("nakhoda.dev/instance")).await?;
    let of = |pod: Pod| {
        let image = pod.spec.as_ref().and_then(|spec| spec.containers.first()?.image.clone());
        let instance = pod.labels().get("nakhoda.dev/instance").cloned().unwrap_or_default();
        (instance, (pod.uid().unwrap_or_default(), image.unwrap_or_default()))
    };
    Ok(list.items.into_iter().map(of).collect())
}

fn waits(instance: &ServiceInstance) -> bool {
    let status = instance.status.as_ref();
    let said = status.and_then(|status| conditions::find(&status.conditions, conditions::UPDATE_PENDING));
    said.is_some_and(|said| said.status == "True")
}

fn is_up_to_date(instance: &ServiceInstance) -> bool {
    let status = instance.status.as_ref();
    let said = status.and_then(|status| conditions::find(&status.conditions, conditions::UPDATE_PENDING));
    said.is_some_and(|said| said.status == "False")
        && status.is_some_and(|status| status.phase == Some(Phase::Running))
        && instance.is(conditions::AVAILABLE)
}

async fn all(instances: &[Instance], what: &str, holds: fn(&ServiceInstance) -> bool) -> Result<()> {
    try_join_all(instances.iter().map(|one| one.wait_for(what, BOUND * 2, holds))).await?;
    Ok(())
}

/// A day-long window that opened so long ago that every instance's own moment in it has come.
fn open_window() -> serde_json::Value {
    let opened = now() - SignedDuration::from_hours(13);
    json!({"start": opened.strftime("%H:%M").to_string(), "durationMinutes": 1440, "timeZone": "UTC"})
}

#[test]
fn nothing_restarts_until_its_time_has_come() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let operator = world.operator("a").await?;
        let limits = json!({"instances": 200, "cpu": "100", "memory": "400Gi", "storage": "4Ti"});
        let tenant = world.tenant("updated", limits).await?;
        sell(&world.admin(), "postgresql", "updated", Some(small())).await?;
        let until = json!({"paidUntil": "2098-12-31T17:00:00Z", "suspendAt": "2099-01-03T17:00:00Z"});
        let names: Vec<String> = (1..=crowd()).map(|number| format!("db-{number}")).collect();
        let spec = json!({"planRef": "updated", "entitlement": until});
        let instances =
            try_join_all(names.iter().map(|name| world.instance(&tenant, name, spec.clone()))).await?;
        all(&instances, "up to date", is_up_to_date).await?;
        let before = pods(&world, &tenant).await?;
        ensure!(before.len() == instances.len(), "a pod each");

        operator
            .restart_with(Setup { args: vec!["--pod-note".into(), "newer".into()], ..Setup::default() })
            .await?;
        all(&instances, "waiting", waits).await?;
        ensure!(pods(&world, &tenant).await? == before, "a new operator restarted pods");
        println!(
            "a new operator that builds pods otherwise: {} wait, no pod template changed",
            instances.len()
        );
        operator.restart_with(Setup::default()).await?;
        all(&instances, "up to date", is_up_to_date).await?;
        ensure!(pods(&world, &tenant).await? == before, "going back restarted pods");

        let templates: Api<ServiceTemplate> = Api::all(world.admin());
        let mut template = templates.get("updated").await?;
        EDITED.clone_into(&mut template.spec.components[0].container.image);
        let edited = json!({"spec": {"components": template.spec.components}});
        templates.patch("updated", &PatchParams::default(), &Patch::Merge(&edited)).await?;
        all(&instances, "waiting", waits).await?;
        ensure!(pods(&world, &tenant).await? == before, "an edited template restarted pods");
        println!("an edited template: {} wait, nothing restarts", instances.len());

        let (first, rest) = instances.split_at(1);
        first[0].patch_spec(json!({"rolloutAt": "2026-01-01T00:00:00Z"})).await?;
        first[0].wait_for("rolled out", BOUND, is_up_to_date).await?;
        let uid = first[0].uid().await?;
        let after = pods(&world, &tenant).await?;
        ensure!(after[&uid].1 == EDITED && after[&uid].0 != before[&uid].0, "{:?}", after[&uid]);
        ensure!(after.iter().filter(|(instance, _)| **instance != uid).all(|(one, pod)| before[one] == *pod));
        println!("rolloutAt: one is rolled out, {} still wait", rest.len());

        for instance in rest {
            instance.patch_spec(json!({"maintenanceWindow": open_window()})).await?;
        }
        all(rest, "rolled out", is_up_to_date).await?;
        let after = pods(&world, &tenant).await?;
        ensure!(after.values().all(|(_, image)| image == EDITED), "{after:?}");
        println!("in their window: {} are rolled out", rest.len());
        for instance in &instances {
            instance.delete().await?;
        }
        try_join_all(instances.iter().map(|one| one.gone(BOUND * 2))).await?;
        Ok(())
    })
}
