//! How many writes a healthy operator makes: few for what is new, none for what is as it should be.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use crds::instance::Phase;
use crds::{ServiceInstance, ServiceTemplate};
use e2e::proxy::{Call, Mark};
use futures::future::try_join_all;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::catalogue::sell;
use super::{prints, roomy};
use crate::world::{BOUND, Instance, RunningOperator, Tenant, World, block_on};

/// How many instances are made.
const CROWD: usize = 50;
/// The finalizer, and at most three status patches.
const OF_THE_INSTANCE: usize = 4;
/// Longer than plans and templates gather before they write.
const QUIET: Duration = Duration::from_millis(2500);

/// Instances of one tenant, all of them running.
struct Crowd {
    tenant: Tenant,
    instances: Vec<Instance>,
    /// The writes that they took.
    writes: Vec<Call>,
}

impl Crowd {
    async fn gather(world: &World, operator: &RunningOperator, name: &str, size: usize) -> Result<Self> {
        let tenant = world.tenant(name, roomy()).await?;
        sell(&world.admin(), name).await?;
        quiet(world, operator).await?;
        let mark = world.proxy().log().mark();
        let until = json!({"paidUntil": "2098-12-31T17:00:00Z", "suspendAt": "2099-01-03T17:00:00Z"});
        let spec = json!({"planRef": name, "entitlement": until});
        let names: Vec<String> = (1..=size).map(|number| format!("db-{number}")).collect();
        let orders = names.iter().map(|name| world.instance(&tenant, name, spec.clone()));
        let instances = try_join_all(orders).await?;
        try_join_all(instances.iter().map(|one| one.settled_in(Phase::Running, BOUND * 2))).await?;
        quiet(world, operator).await?;
        Ok(Self { tenant, instances, writes: writes(world, operator, mark) })
    }
}

#[test]
fn a_new_instance_takes_one_write_for_each_child_and_at_most_four_of_its_own() -> Result<()> {
    block_on(async {
        let world = World::shared_faults().await?;
        let operator = world.operator("a").await?;
        let crowd = Crowd::gather(&world, &operator, "counted", CROWD).await?;
        let here = crowd
            .writes
            .iter()
            .filter(|call| call.request.namespace.as_deref() == Some(crowd.tenant.namespace()));
        let (own, children): (Vec<&Call>, Vec<&Call>) =
            here.partition(|call| call.request.resource == "serviceinstances");
        let of_each = |calls: &[&Call]| {
            let mut counts = BTreeMap::new();
            for call in calls {
                *counts.entry(call.object()).or_insert(0_usize) += 1;
            }
            counts
        };
        let (own, children) = (of_each(&own), of_each(&children));
        let apart = crowd.writes.len() - own.values().sum::<usize>() - children.values().sum::<usize>();
        prints(&format!(
            "{CROWD} new instances: {} children, each written at most {} times; of its own an instance took {} to {} writes; \
             admission list and use counts, counted apart: {apart}",
            children.len(),
            children.values().max().unwrap_or(&0),
            own.values().min().unwrap_or(&0),
            own.values().max().unwrap_or(&0),
        ));
        let twice: Vec<_> = children.iter().filter(|(_, count)| **count > 1).collect();
        ensure!(twice.is_empty(), "written more than once: {twice:?}");
        let many: Vec<_> = own.iter().filter(|(_, count)| **count > OF_THE_INSTANCE).collect();
        ensure!(many.is_empty() && own.len() == CROWD, "more than {OF_THE_INSTANCE} writes: {many:?}");
        Ok(())
    })
}

#[test]
fn a_reconcile_with_nothing_to_do_writes_nothing() -> Result<()> {
    block_on(async {
        let world = World::shared_faults().await?;
        let operator = world.operator("a").await?;
        let crowd = Crowd::gather(&world, &operator, "content", 10).await?;
        let size = u64::try_from(crowd.instances.len())?;

        let (mark, before) = (world.proxy().log().mark(), operator.reconciles("instance").await?);
        let api: Api<ServiceInstance> = Api::namespaced(world.admin(), crowd.tenant.namespace());
        let looked_at = json!({"metadata": {"annotations": {"example.com/looked-at": "once"}}});
        for instance in &crowd.instances {
            api.patch(instance.name(), &PatchParams::default(), &Patch::Merge(&looked_at)).await?;
        }
        operator.wait_reconciles("instance", before + size, BOUND).await?;
        quiet(&world, &operator).await?;
        ensure!(writes(&world, &operator, mark).is_empty(), "{:?}", writes(&world, &operator, mark));

        let (mark, before) = (world.proxy().log().mark(), operator.reconciles("instance").await?);
        let templates: Api<ServiceTemplate> = Api::all(world.admin());
        let described = json!({"spec": {"description": "The same app in other words."}});
        templates.patch(crowd.tenant.name(), &PatchParams::default(), &Patch::Merge(&described)).await?;
        operator.wait_reconciles("instance", before + size, BOUND).await?;
        quiet(&world, &operator).await?;
        let mut writes = writes(&world, &operator, mark);
        // It says of itself which generation it has judged.
        writes.retain(|call| call.request.resource != "servicetemplates");
        ensure!(writes.is_empty(), "{writes:?}");
        prints(&format!(
            "{size} reconciles after an annotation, {size} after another description: 0 writes each"
        ));
        Ok(())
    })
}

#[test]
fn an_operator_that_is_started_again_writes_nothing() -> Result<()> {
    block_on(async {
        let world = World::shared_faults().await?;
        let operator = world.operator("a").await?;
        let crowd = Crowd::gather(&world, &operator, "restarted", CROWD).await?;
        for way in ["stopped", "killed"] {
            let mark = world.proxy().log().mark();
            if way == "killed" {
                operator.kill();
            }
            operator.restart().await?;
            operator.wait_reconciles("instance", u64::try_from(crowd.instances.len())?, BOUND).await?;
            quiet(&world, &operator).await?;
            let writes = writes(&world, &operator, mark);
            ensure!(writes.is_empty(), "{way} and started again: {writes:?}");
            prints(&format!("{way} and started again beside {CROWD} instances: 0 writes"));
        }
        Ok(())
    })
}

/// Waits until the operator has written nothing for a while.
async fn quiet(world: &World, operator: &RunningOperator) -> Result<()> {
    world.proxy().log().wait_quiet(&operator.own_calls(), QUIET, BOUND).await?;
    Ok(())
}

/// The operator's writes since then, leases and events left out.
fn writes(world: &World, operator: &RunningOperator, since: Mark) -> Vec<Call> {
    world.proxy().log().writes(since, &operator.own_calls())
}
