//! Money that comes back for what could not be built, or was taken away: no plan, no room, no tenant.

use anyhow::{Context as _, Result, ensure};
use crds::{ServiceInstance, ServicePlan, TenantQuota, conditions, managers, names};
use e2e::wait;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::subscriptions::Buyer;
use crate::world::{BOUND, Instance, Setup, Tenant, World, block_on, now, sell_plan, small};

/// Makes a buyer's tenant before anything is bought, with limits.
async fn tenant(world: &World, buyer: &Buyer<'_>, limits: Value) -> Result<Tenant> {
    let name = names::tenant_of_user(&buyer.id);
    let body = json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "TenantQuota", "metadata": {"name": name},
        "spec": {"owner": buyer.id, "limits": limits}});
    let params = PatchParams::apply(managers::TENANT).force();
    Api::<TenantQuota>::all(world.admin()).patch(&name, &params, &Patch::Apply(&body)).await?;
    let tenant = world.tenant_of(&name);
    tenant
        .wait_for("Ready", BOUND, |tenant| {
            let said = tenant.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
            conditions::is_true(said, conditions::READY, tenant.metadata.generation)
        })
        .await?;
    Ok(tenant)
}

/// Waits until the resource of a subscription is so.
async fn is_so(
    world: &World,
    buyer: &Buyer<'_>,
    bought: &Value,
    what: &str,
    is_so: impl Fn(&ServiceInstance) -> bool,
) -> Result<ServiceInstance> {
    let name = bought["resource"].as_str().context("it has a resource")?;
    wait::until(what, BOUND, async || {
        Ok(buyer.instances(world).get_opt(name).await?.filter(|instance| is_so(instance)))
    })
    .await
}

fn says(reason: &str) -> impl Fn(&ServiceInstance) -> bool {
    move |instance| {
        let status = instance.status.as_ref();
        status.is_some_and(|status| {
            status.reason.as_deref() == Some(reason)
                && status.observed_generation == instance.metadata.generation
        })
    }
}

/// Waits until whatever is made from now on is younger: times of creation have whole seconds, and among those of one second
/// the uid decides, which nobody chooses.
async fn older_by_a_second(instance: &Instance) -> Result<()> {
    let made =
        instance.get().await?.metadata.creation_timestamp.context("what is kept has a time of creation")?;
    wait::until("the second to be over", BOUND, async || {
        Ok((now().as_second() > made.0.as_second()).then_some(()))
    })
    .await
}

/// Cancels what was never there: all of the money comes back, and nothing is left.
async fn gets_all_of_it_back(world: &World, buyer: &Buyer<'_>, bought: &Value) -> Result<()> {
    let cancelled = buyer.cancels(bought).await?;
    assert_eq!(cancelled["refund"]["amount"], bought["price"]);
    buyer.becomes(bought, "the money to come back", |now| now["refund"]["done"] == true).await?;
    assert_eq!(buyer.cash().await?, 500_000);
    let name = bought["resource"].as_str().context("it has a resource")?;
    wait::until("the resource to be gone", BOUND, async || {
        Ok(buyer.instances(world).get_opt(name).await?.is_none().then_some(()))
    })
    .await
}

#[test]
fn what_the_operator_cant_build_is_cancelled_and_all_of_its_money_comes_back() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let operator = world.operator("a").await?;
        let customers = world.customers("unbuilt").await?;
        let (lost, wide) = ("story-lost", "story-wide");
        let larger = json!({"cpu": "200m", "memory": "64Mi", "storage": "1Gi"});
        for (name, resources) in [(lost, small()), (wide, larger)] {
            sell_plan(&world.admin(), "postgresql", ("postgresql", name), Some(resources)).await?;
        }
        let limits = |cpu: &str| json!({"instances": 1, "cpu": cpu, "memory": "1Gi", "storage": "10Gi"});

        // One that was made by hand before takes the only place, once there is room for it.
        let crowded = Buyer::with(&customers, 500_000).await?;
        let home = tenant(&world, &crowded, limits("100m")).await?;
        let by_hand = home.instance("by-hand", json!({"planRef": wide})).await?;
        by_hand.wait_for("waiting for room", BOUND, says("QuotaExceeded")).await?;
        older_by_a_second(&by_hand).await?;
        crowded.may_buy(lost).await?;
        operator.stop();
        let no_room = crowded.buys(lost).await?;
        let is_entitled = |instance: &ServiceInstance| instance.spec.entitlement.is_some();
        is_so(&world, &crowded, &no_room, "it to be entitled", is_entitled).await?;
        home.patch_spec(json!({"limits": {"cpu": "1"}})).await?;
        operator.restart().await?;
        is_so(&world, &crowded, &no_room, "it to wait for room", says("QuotaExceeded")).await?;
        gets_all_of_it_back(&world, &crowded, &no_room).await?;
        by_hand.delete().await?;

        // A plan that is deleted right after it was bought.
        let unlucky = Buyer::with(&customers, 500_000).await?;
        tenant(&world, &unlucky, limits("1")).await?;
        unlucky.may_buy(lost).await?;
        operator.stop();
        let no_plan = unlucky.buys(lost).await?;
        is_so(&world, &unlucky, &no_plan, "it to be entitled", is_entitled).await?;
        Api::<ServicePlan>::all(world.admin()).delete(lost, &DeleteParams::default()).await?;
        operator.restart().await?;
        is_so(&world, &unlucky, &no_plan, "it to say that its plan is gone", says("PlanNotFound")).await?;
        gets_all_of_it_back(&world, &unlucky, &no_plan).await
    })
}

#[test]
fn of_a_tenant_that_was_offboarded_the_money_comes_back_when_the_subscription_is_cancelled() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let retention = json!({"retention": {"allowShortWaits": true, "offboardWaitSeconds": 1,
            "purgeGraceSeconds": 1, "purgeWaitSeconds": 1, "minimumAgeSeconds": 1}});
        let _operator = world.operator_as("a", Setup { settings: retention, ..Setup::default() }).await?;
        let customers = world.customers("offboarded").await?;
        let buyer = Buyer::with(&customers, 500_000).await?;
        let plan = buyer.may_buy("postgresql-small").await?;
        let bought = buyer.buys("postgresql-small").await?;
        buyer.becomes(&bought, "it to be active", |now| now["status"] == "ACTIVE").await?;
        let tenant = world.tenant_of(&names::tenant_of_user(&buyer.id));
        tenant.patch_spec(json!({"offboard": "DeleteData"})).await?;
        tenant.delete().await?;
        tenant.gone(BOUND * 2).await?;
        let left = buyer.instances(&world).list(&kube::api::ListParams::default()).await?;
        ensure!(
            left.items.is_empty(),
            "{:?}",
            left.iter().map(kube::ResourceExt::name_any).collect::<Vec<_>>()
        );
        buyer.cancels(&bought).await?;
        let ended =
            buyer.becomes(&bought, "the money to come back", |now| now["refund"]["done"] == true).await?;
        let total = plan["total"].as_i64().context("a quote has a total")?;
        let back = ended["refund"]["amount"].as_i64().context("something comes back")?;
        assert_eq!(buyer.cash().await?, 500_000 - total + back, "{ended}");
        Ok(())
    })
}
