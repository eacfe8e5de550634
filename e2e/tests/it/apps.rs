//! Every app of the catalogue, from its sample: up, with as many writes as it has parts, and left alone then.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use crds::ServiceInstance;
use crds::instance::Phase;
use e2e::proxy::{Call, Mark};
use e2e::{apply, repository};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::world::{BOUND, Instance, RunningOperator, Tenant, World, block_on, sell};

/// The apps, and how many pods each has had when it is up: those of its jobs stay, ended.
const APPS: [(&str, usize); 4] = [("postgresql", 1), ("wordpress", 2), ("ghost", 3), ("n8n", 2)];
/// The finalizer, and at most three status patches.
const OF_THE_INSTANCE: usize = 4;
/// Longer than plans and templates gather before they write.
const QUIET: Duration = Duration::from_millis(2500);

/// A sample's spec, entitled. What the catalogue has disabled is sold under another name.
async fn order(world: &World, tenant: &Tenant, app: &str) -> Result<Instance> {
    let sample = apply::read(&repository::root().join(format!("config/samples/{app}.yaml")))?;
    let sample = sample.into_iter().next().context("a sample is an instance")?;
    let mut spec = sample.data["spec"].clone();
    spec["entitlement"] = json!({"paidUntil": "2098-12-31T17:00:00Z", "suspendAt": "2099-01-03T17:00:00Z"});
    let name = format!("{app}-of-the-story");
    sell(&world.admin(), app, &name, None).await?;
    spec["planRef"] = json!(name);
    world.instance(tenant, &sample.name_any(), spec).await
}

fn writes(world: &World, operator: &RunningOperator, since: Mark, tenant: &Tenant) -> Vec<Call> {
    let mut all = world.proxy().log().writes(since, &operator.own_calls());
    all.retain(|call| call.request.namespace.as_deref() == Some(tenant.namespace()));
    all
}

/// Each child once; of its own an instance takes a few.
fn are_counted(calls: &[Call], instances: usize) -> Result<()> {
    let mut counts = BTreeMap::new();
    for call in calls {
        *counts.entry((call.request.resource == "serviceinstances", call.object())).or_insert(0_usize) += 1;
    }
    let (own, children): (BTreeMap<_, _>, BTreeMap<_, _>) =
        counts.into_iter().partition(|((own, _), _)| *own);
    println!(
        "{instances} apps: {} children, each written at most {} times; of its own an instance took at most {} writes",
        children.len(),
        children.values().max().unwrap_or(&0),
        own.values().max().unwrap_or(&0),
    );
    ensure!(children.values().all(|count| *count == 1), "written more than once: {children:?}");
    ensure!(own.len() == instances && own.values().all(|count| *count <= OF_THE_INSTANCE), "{own:?}");
    Ok(())
}

/// Nobody came in before the init job had done its work.
fn is_let_in_last(calls: &[Call], ghost: &str) -> Result<()> {
    let first = |resource: &str, part: &str| {
        calls.iter().position(|call| {
            let name = call.object().name.unwrap_or_default();
            call.request.resource == resource && name.contains(ghost) && name.contains(part)
        })
    };
    let (job, entrance, ingress) =
        (first("jobs", ""), first("networkpolicies", "entrance"), first("ingresses", ""));
    ensure!(job.is_some() && job < entrance && job < ingress, "{job:?} {entrance:?} {ingress:?}");
    Ok(())
}

async fn pods_are_restricted(world: &World, tenant: &Tenant, instances: &[(Instance, usize)]) -> Result<()> {
    let namespace = Api::<Namespace>::all(world.admin()).get(tenant.namespace()).await?;
    let enforced = namespace.labels().get("pod-security.kubernetes.io/enforce").map(String::as_str);
    ensure!(enforced == Some("restricted"), "the namespace admits other pods: {enforced:?}");
    for (instance, wanted) in instances {
        let selector = format!("nakhoda.dev/instance={}", instance.uid().await?);
        let pods = Api::<Pod>::namespaced(world.admin(), tenant.namespace());
        let count = pods.list(&ListParams::default().labels(&selector)).await?.items.len();
        ensure!(count == *wanted, "{instance} has {count} pods, not {wanted}");
    }
    Ok(())
}

#[test]
fn every_app_becomes_available_and_is_left_alone_then() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let operator = world.operator("a").await?;
        let limits = json!({"instances": 10, "cpu": "20", "memory": "40Gi", "storage": "400Gi"});
        let tenant = world.tenant("apps", limits).await?;
        let mark = world.proxy().log().mark();
        let orders = APPS.map(|(app, _)| order(&world, &tenant, app));
        let instances = try_join_all(orders).await?;
        try_join_all(instances.iter().map(|one| one.settled_in(Phase::Running, BOUND * 2))).await?;
        quiet(&world, &operator).await?;
        for (app, _) in APPS {
            println!("{app}: Available (simulated nodes)");
        }
        let calls = writes(&world, &operator, mark, &tenant);
        are_counted(&calls, APPS.len())?;
        is_let_in_last(&calls, instances[2].name())?;
        let ingresses = Api::<Ingress>::namespaced(world.admin(), tenant.namespace());
        ensure!(
            ingresses.list(&ListParams::default()).await?.items.len() == 3,
            "one for each app that speaks HTTP"
        );
        let with_pods: Vec<(Instance, usize)> =
            instances.iter().cloned().zip(APPS).map(|(instance, (_, pods))| (instance, pods)).collect();
        pods_are_restricted(&world, &tenant, &with_pods).await?;
        nothing_is_written_then(&world, &operator, &tenant, &instances).await?;
        for instance in &instances {
            instance.delete().await?;
        }
        try_join_all(instances.iter().map(|one| one.gone(BOUND * 2))).await?;
        Ok(())
    })
}

async fn nothing_is_written_then(
    world: &World,
    operator: &RunningOperator,
    tenant: &Tenant,
    instances: &[Instance],
) -> Result<()> {
    let size = u64::try_from(instances.len())?;
    let api: Api<ServiceInstance> = Api::namespaced(world.admin(), tenant.namespace());
    let (mark, before) = (world.proxy().log().mark(), operator.reconciles("instance").await?);
    let looked_at: Value = json!({"metadata": {"annotations": {"example.com/looked-at": "once"}}});
    for instance in instances {
        api.patch(instance.name(), &PatchParams::default(), &Patch::Merge(&looked_at)).await?;
    }
    operator.wait_reconciles("instance", before + size, BOUND).await?;
    quiet(world, operator).await?;
    let calls = writes(world, operator, mark, tenant);
    ensure!(calls.is_empty(), "after an annotation: {calls:?}");
    operator.restart().await?;
    operator.wait_reconciles("instance", size, BOUND).await?;
    quiet(world, operator).await?;
    let calls = writes(world, operator, mark, tenant);
    ensure!(calls.is_empty(), "after a restart of the operator: {calls:?}");
    println!("{size} reconciles with nothing to do, and a restart of the operator: 0 writes");
    Ok(())
}

async fn quiet(world: &World, operator: &RunningOperator) -> Result<()> {
    world.proxy().log().wait_quiet(&operator.own_calls(), QUIET, BOUND).await?;
    Ok(())
}
