//! An instance that can't be built any more lets go the host that its owner dropped, and serves on with the others.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use crds::instance::DnsRecord;
use crds::{ServiceInstance, conditions, names, reasons};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::networking::v1::Ingress;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use super::{is_ready, limits, reason, routes, settings, site};
use crate::world::{BOUND, Dns, Instance, RunningOperator, Tenant, World, block_on};

/// The host that the instance calls itself by.
const KEPT: &str = "a.example.com";
/// The one that its owner drops.
const DROPPED: &str = "b.example.com";
/// Longer than plans and templates gather before they write.
const QUIET: Duration = Duration::from_millis(2500);

#[test]
fn what_cant_be_built_lets_a_dropped_host_go_keeps_the_others_and_is_as_before_once_it_can() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let dns = Dns::start(1).await?;
        let mut settings = settings(&dns);
        // One certificate for all hosts of an instance: it must stay for those that are left.
        settings["ingress"]["tls"] = json!({"clusterIssuer": "letters", "customHosts": "PerInstance"});
        let operator = world.operator_with("a", &settings).await?;
        let (first, second) =
            (world.tenant("unbuilt", limits()).await?, world.tenant("heir", limits()).await?);
        for (tenant, host) in [(&first, KEPT), (&first, DROPPED), (&second, DROPPED)] {
            let (name, value) = (names::verification_name(host), names::verification_value(tenant.name()));
            dns.add(&DnsRecord { type_: "TXT".to_owned(), name, value })?;
        }
        let shop = site(&first, "shop", &[KEPT, DROPPED]).await?;
        shop.wait_for("routed", BOUND, is_ready).await?;
        let heir = site(&second, "heir", &[DROPPED]).await?;
        heir.wait_for("told", BOUND, |it| reason(it, DROPPED) == reasons::HOST_TAKEN).await?;
        let platform = names::platform_host(&shop.uid().await?, "apps.example.test");
        let (before, pods) = (ingress(&world, &first).await?, pods(&world, &first).await?);
        assert_eq!(hosts(&before), [platform.as_str(), KEPT, DROPPED]);

        // Which parameters there are only the template knows, so nobody but the operator refuses this one.
        shop.patch_spec(json!({"parameters": {"colour": "blue"}, "domains": [KEPT]})).await?;
        shop.wait_for("refused", BOUND, is_refused).await?;
        heir.wait_for("given the host", BOUND, is_ready).await?;
        let meanwhile = ingress(&world, &first).await?;
        assert_eq!(hosts(&meanwhile), [platform.as_str(), KEPT]);
        assert_eq!(certified(&meanwhile), [KEPT]);
        assert_eq!(routes(&world, DROPPED).await?, [second.namespace()]);
        assert_eq!(reason(&shop.get().await?, KEPT), reasons::DOMAIN_VERIFIED, "it still leads to the app");
        writes_nothing(&world, &operator, &first, &shop).await?;

        shop.patch_spec(json!({"parameters": {"colour": null}})).await?;
        shop.wait_for("built and routed again", BOUND, is_ready).await?;
        let after = ingress(&world, &first).await?;
        assert_eq!(
            (after.metadata.uid.as_ref(), hosts(&after)),
            (before.metadata.uid.as_ref(), hosts(&meanwhile))
        );
        assert_eq!(certified(&after), [KEPT]);
        assert_eq!(annotations(&after), annotations(&before), "what the ingress controller is told");
        assert_eq!(self::pods(&world, &first).await?, pods, "the app was not restarted");
        writes_nothing(&world, &operator, &first, &shop).await?;

        // And it may have the host back, once the other lets it go.
        shop.patch_spec(json!({"domains": [KEPT, DROPPED]})).await?;
        shop.wait_for("told", BOUND, |it| reason(it, DROPPED) == reasons::HOST_TAKEN).await?;
        heir.delete().await?;
        heir.gone(BOUND).await?;
        shop.wait_for("given the host back", BOUND, is_ready).await?;
        let back = ingress(&world, &first).await?;
        assert_eq!((&back.spec, hosts(&back)), (&before.spec, hosts(&before)));
        shop.delete().await?;
        shop.gone(BOUND).await
    })
}

fn is_refused(instance: &ServiceInstance) -> bool {
    let conditions = instance.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let stalled = conditions::find(conditions, conditions::STALLED);
    instance.is(conditions::STALLED)
        && stalled.is_some_and(|condition| condition.reason == reasons::PARAMETER_INVALID)
}

/// The tenant's one Ingress.
async fn ingress(world: &World, tenant: &Tenant) -> Result<Ingress> {
    let api: Api<Ingress> = Api::namespaced(world.admin(), tenant.namespace());
    let mut all = api.list(&ListParams::default()).await?.items;
    ensure!(all.len() == 1, "{} has {} Ingresses", tenant.name(), all.len());
    all.pop().context("there is one")
}

fn hosts(ingress: &Ingress) -> Vec<&str> {
    let rules = ingress.spec.as_ref().and_then(|spec| spec.rules.as_ref());
    rules.into_iter().flatten().filter_map(|rule| rule.host.as_deref()).collect()
}

/// The hosts that a certificate is for.
fn certified(ingress: &Ingress) -> Vec<&str> {
    let entries = ingress.spec.as_ref().and_then(|spec| spec.tls.as_ref());
    let hosts = entries.into_iter().flatten().flat_map(|entry| entry.hosts.iter().flatten());
    hosts.map(String::as_str).collect()
}

/// The annotations, without those by which the operator knows its own work again.
fn annotations(ingress: &Ingress) -> Vec<(&String, &String)> {
    let all = ingress.metadata.annotations.iter().flatten();
    all.filter(|(key, _)| !key.starts_with("nakhoda.dev/")).collect()
}

/// How often the specs of its Deployments have changed, by name.
async fn pods(world: &World, tenant: &Tenant) -> Result<Vec<(Option<String>, Option<i64>)>> {
    let api: Api<Deployment> = Api::namespaced(world.admin(), tenant.namespace());
    let all = api.list(&ListParams::default()).await?.items.into_iter();
    Ok(all.map(|one| (one.metadata.name, one.metadata.generation)).collect())
}

/// Has the operator look at it once more, and fails where it writes anything in the tenant's namespace.
async fn writes_nothing(
    world: &World,
    operator: &RunningOperator,
    tenant: &Tenant,
    instance: &Instance,
) -> Result<()> {
    let (log, calls) = (world.proxy().log(), operator.own_calls());
    log.wait_quiet(&calls, QUIET, BOUND).await?;
    let (mark, before) = (log.mark(), operator.reconciles("instance").await?);
    let api: Api<ServiceInstance> = Api::namespaced(world.admin(), tenant.namespace());
    let at = instance.get().await?.metadata.resource_version;
    let looked_at = json!({"metadata": {"annotations": {"example.com/looked-at": at}}});
    api.patch(instance.name(), &PatchParams::default(), &Patch::Merge(&looked_at)).await?;
    operator.wait_reconciles("instance", before + 1, BOUND).await?;
    log.wait_quiet(&calls, QUIET, BOUND).await?;
    let mut writes = log.writes(mark, &calls);
    writes.retain(|call| call.request.namespace.as_deref() == Some(tenant.namespace()));
    ensure!(writes.is_empty(), "there was nothing to do: {writes:?}");
    Ok(())
}
