//! Access from outside for an app that speaks TCP: by a port of the nodes or a load balancer, as the platform offers it, to those
//! ranges that are allowed.

use std::time::Duration;

use anyhow::{Context as _, Result};
use crds::instance::Phase;
use crds::{ServiceInstance, conditions};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::world::{BOUND, Instance, Tenant, World, block_on};

/// For how long nothing may be written once all is as it should be.
const QUIET: Duration = Duration::from_secs(6);

fn settings(access: &Value) -> Value {
    json!({"zone": "apps.example.test", "access": access})
}

fn says(reason: &str) -> impl Fn(&ServiceInstance) -> bool + use<> {
    let reason = reason.to_owned();
    move |instance| {
        let said = instance.status.as_ref();
        let said = said.and_then(|status| conditions::find(&status.conditions, conditions::ACCESS_READY));
        said.is_some_and(|said| said.reason == reason)
    }
}

fn external(instance: &ServiceInstance) -> Option<String> {
    instance.status.as_ref()?.endpoints.as_ref()?.external.clone()
}

async fn service(world: &World, tenant: &Tenant, kind: &str) -> Result<Option<Service>> {
    let api: Api<Service> = Api::namespaced(world.admin(), tenant.namespace());
    let all = api.list(&ListParams::default()).await?.items;
    Ok(all.into_iter().find(|one| one.spec.as_ref().is_some_and(|spec| spec.type_.as_deref() == Some(kind))))
}

/// A database that asks for access from outside, by these ranges.
async fn database(tenant: &Tenant) -> Result<Instance> {
    let access = json!({"external": true, "allowedCidrs": ["203.0.113.7/24", "198.51.100.1/32"]});
    let db = tenant.instance("db", json!({"planRef": "postgresql-small", "access": access})).await?;
    db.entitle().await?;
    db.settled_in(Phase::Running, BOUND).await?;
    Ok(db)
}

/// Open by a port of the nodes; and what the API server filled in is not written over, by a restarted operator neither.
async fn by_a_port_of_the_nodes(world: &World, tenant: &Tenant, db: &Instance) -> Result<()> {
    let nodes = json!({"type": "NodePort", "nodeHost": "nodes.example.test"});
    let operator = world.operator_with("a", &settings(&nodes)).await?;
    let open = db.wait_for("open", BOUND, says("Open")).await?;
    let outside = service(world, tenant, "NodePort").await?.context("a Service")?;
    let spec = outside.spec.clone().context("a spec")?;
    let port = spec.ports.and_then(|ports| ports.first()?.node_port).context("a port of the nodes")?;
    assert_eq!(external(&open), Some(format!("nodes.example.test:{port}")));
    assert_eq!(spec.external_traffic_policy.as_deref(), Some("Local"));
    let policies: Api<NetworkPolicy> = Api::namespaced(world.admin(), tenant.namespace());
    let policies = policies.list(&ListParams::default()).await?.items;
    let policy = policies.iter().find(|one| one.name_any().contains("-access-")).context("a policy")?;
    assert_eq!(
        serde_json::to_value(&policy.spec)?["ingress"],
        json!([{
            "from": [{"ipBlock": {"cidr": "198.51.100.1/32"}}, {"ipBlock": {"cidr": "203.0.113.0/24"}}],
            "ports": [{"port": 5432, "protocol": "TCP"}],
        }])
    );
    let writes = operator.own_calls();
    world.proxy().log().wait_quiet(&writes, QUIET, BOUND).await?;
    operator.restart().await?;
    world.proxy().log().wait_quiet(&writes, QUIET, BOUND).await?;
    let again = service(world, tenant, "NodePort").await?.context("a Service")?;
    assert_eq!(again.resource_version(), outside.resource_version());
    Ok(())
}

/// Open once the load balancer has an address, and closed once nobody asks for it any more.
async fn by_a_load_balancer(world: &World, tenant: &Tenant, db: &Instance) -> Result<()> {
    let class = json!({"type": "LoadBalancer", "loadBalancerClass": "example.test/balancer"});
    let _operator = world.operator_with("a", &settings(&class)).await?;
    db.wait_for("waiting for an address", BOUND, says("AccessPending")).await?;
    let made = service(world, tenant, "LoadBalancer").await?.context("a Service")?;
    assert_eq!(
        made.spec.as_ref().and_then(|spec| spec.load_balancer_source_ranges.clone()),
        Some(vec!["198.51.100.1/32".to_owned(), "203.0.113.0/24".to_owned()])
    );
    assert!(service(world, tenant, "NodePort").await?.is_none(), "the other way is closed");
    let api: Api<Service> = Api::namespaced(world.admin(), tenant.namespace());
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.99"}]}}});
    api.patch_status(&made.name_any(), &PatchParams::default(), &Patch::Merge(status)).await?;
    let open = db.wait_for("open", BOUND, says("Open")).await?;
    assert_eq!(external(&open).as_deref(), Some("203.0.113.99:5432"));
    assert!(open.is(conditions::ACCESS_READY));

    db.patch_spec(json!({"access": null})).await?;
    let closed = |it: &ServiceInstance| external(it).is_none() && it.is(conditions::READY);
    db.wait_for("closed", BOUND, closed).await?;
    assert!(service(world, tenant, "LoadBalancer").await?.is_none());
    Ok(())
}

#[test]
fn a_database_is_reached_from_outside_as_the_platform_offers_it_and_by_whom_its_owner_allows() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let operator = world.operator("a").await?;
        let limits = json!({"instances": 5, "cpu": "20", "memory": "40Gi", "storage": "400Gi"});
        let tenant = world.tenant("outside", limits).await?;
        let db = database(&tenant).await?;
        let said = db.wait_for("told", BOUND, says("AccessNotOffered")).await?;
        assert!(said.is(conditions::READY) && external(&said).is_none());
        let inside = service(&world, &tenant, "ClusterIP").await?.context("the Service within")?;
        drop(operator);
        by_a_port_of_the_nodes(&world, &tenant, &db).await?;
        by_a_load_balancer(&world, &tenant, &db).await?;
        let still = service(&world, &tenant, "ClusterIP").await?.context("the Service within")?;
        assert_eq!(still.uid(), inside.uid(), "the address within stays");
        let _operator = world.operator("a").await?;
        db.delete().await?;
        db.gone(BOUND).await
    })
}
