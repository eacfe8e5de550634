//! The end of an entitlement: the operator alone keeps it, with nobody there who could tell it anything.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use crds::instance::Phase;
use crds::{ServiceInstance, conditions};
use e2e::{apply, repository};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::world::{BOUND, Instance, Tenant, World, block_on, now};

/// Long enough to come up before, short enough to wait for.
const PAID_FOR: SignedDuration = SignedDuration::from_secs(15);

/// The uids of what must outlive it: volumes, generated secrets, the address.
async fn kept(world: &World, tenant: &Tenant) -> Result<BTreeMap<String, String>> {
    let (admin, namespace) = (world.admin(), tenant.namespace());
    let params = ListParams::default().labels("nakhoda.dev/instance");
    let mut all = BTreeMap::new();
    for one in Api::<PersistentVolumeClaim>::namespaced(admin.clone(), namespace).list(&params).await? {
        all.insert(format!("volume {}", one.name_any()), one.uid().unwrap_or_default());
    }
    for one in Api::<Secret>::namespaced(admin.clone(), namespace).list(&params).await? {
        all.insert(format!("secret {}", one.name_any()), one.uid().unwrap_or_default());
    }
    for one in Api::<Ingress>::namespaced(admin, namespace).list(&params).await? {
        all.insert(format!("ingress {}", one.name_any()), one.uid().unwrap_or_default());
    }
    Ok(all)
}

async fn pods(world: &World, tenant: &Tenant) -> Result<usize> {
    let pods = Api::<Pod>::namespaced(world.admin(), tenant.namespace());
    Ok(pods.list(&ListParams::default().labels("nakhoda.dev/instance")).await?.items.len())
}

fn is_suspended(instance: &ServiceInstance) -> bool {
    let status = instance.status.as_ref();
    instance.is(conditions::SUSPENDED)
        && status.and_then(|status| status.reason.as_deref()) == Some("EntitlementEnded")
}

async fn shop(world: &World, tenant: &Tenant, ends: Timestamp) -> Result<Instance> {
    let sample = apply::read(&repository::root().join("config/samples/wordpress.yaml"))?;
    let mut spec = sample.into_iter().next().context("a sample is an instance")?.data["spec"].clone();
    spec["domains"] = json!([]);
    let end = ends.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    spec["entitlement"] = json!({"paidUntil": end, "suspendAt": end});
    world.instance(tenant, "shop", spec).await
}

#[test]
fn at_suspend_at_its_pods_go_and_its_data_stays_with_api_and_database_absent() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let operator = world.operator("a").await?;
        let limits = json!({"instances": 5, "cpu": "10", "memory": "20Gi", "storage": "100Gi"});
        let tenant = world.tenant("unpaid", limits).await?;
        let programs = Api::<Deployment>::namespaced(world.admin(), "nakhoda-system");
        ensure!(programs.list(&ListParams::default()).await?.items.is_empty(), "no API server runs here");

        let instance = shop(&world, &tenant, now() + PAID_FOR).await?;
        instance.settled_in(Phase::Running, BOUND).await?;
        let (before, running) = (kept(&world, &tenant).await?, pods(&world, &tenant).await?);
        ensure!(before.len() == 5 && running == 2, "{before:?}, {running} pods");
        instance.wait_for("suspended by the clock", BOUND, is_suspended).await?;
        ensure!(pods(&world, &tenant).await? == 0, "pods are left");
        ensure!(kept(&world, &tenant).await? == before, "data or address changed");
        println!("suspendAt passed with API and database absent: no pod is left, data and address stay");

        // What ends while no operator runs is noticed by the next one.
        instance.entitle().await?;
        instance.settled_in(Phase::Running, BOUND).await?;
        ensure!(kept(&world, &tenant).await? == before, "data or address changed");
        println!("entitled again: it runs, with the same data");
        operator.kill();
        let ended = json!({"entitlement": {"suspendAt": "2026-01-01T00:00:00Z", "paidUntil": null}});
        instance.patch_spec(ended).await?;
        operator.restart().await?;
        instance.wait_for("suspended by the next operator", BOUND, is_suspended).await?;
        ensure!(pods(&world, &tenant).await? == 0 && kept(&world, &tenant).await? == before);

        instance.delete().await?;
        instance.gone(BOUND).await?;
        restored(&world, &tenant, &before).await
    })
}

/// What was suspended and then deleted comes back with its data.
async fn restored(world: &World, tenant: &Tenant, before: &BTreeMap<String, String>) -> Result<()> {
    let is_listed =
        |tenant: &crds::TenantQuota| tenant.status.as_ref().is_some_and(|status| !status.retained.is_empty());
    let listed = tenant.wait_for("listing the retained data", BOUND, is_listed).await?;
    let retained = listed.status.unwrap_or_default().retained;
    let data_id = &retained.first().context("it lists what is retained")?.data_id;
    let sample = apply::read(&repository::root().join("config/samples/wordpress.yaml"))?;
    let mut spec = sample.into_iter().next().context("a sample is an instance")?.data["spec"].clone();
    spec["domains"] = json!([]);
    spec["restoreFrom"] = json!(data_id);
    spec["entitlement"] = json!({"paidUntil": "2098-12-31T17:00:00Z", "suspendAt": "2099-01-03T17:00:00Z"});
    let again = world.instance(tenant, "shop-again", spec).await?;
    again.settled_in(Phase::Running, Duration::from_secs(90)).await?;
    let after = kept(world, tenant).await?;
    let data = |all: &BTreeMap<String, String>| -> Vec<(String, String)> {
        let of_data = all.iter().filter(|(name, _)| name.contains(data_id.as_str()));
        of_data.map(|(name, uid)| (name.clone(), uid.clone())).collect()
    };
    ensure!(data(&after) == data(before) && data(before).len() == 3, "{after:?} {before:?}");
    println!("deleted and restored: the same volumes and secrets");
    let sets = Api::<StatefulSet>::namespaced(world.admin(), tenant.namespace());
    ensure!(sets.list(&ListParams::default()).await?.items.len() == 1, "one database");
    again.delete().await?;
    again.gone(BOUND).await
}
