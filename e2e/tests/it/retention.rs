//! Data whose instance is gone: listed, restored, destroyed as it was ordered, and never by a clock alone.

mod crashes;
mod data;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use crds::instance::Phase;
use crds::quota::{Retained, RetainedState};
use crds::{ServiceInstance, TenantQuota, conditions, names, reasons};
use e2e::proxy::{Call, Mark, Matcher, Verb};
use e2e::wait;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::world::{BOUND, Instance, RunningOperator, Setup, Tenant, World, block_on};
use data::{DAY, Data, HOUR};

/// The plan of these stories.
const PLAN: &str = "postgresql-small";
/// For how long nothing may happen where nothing should.
const QUIET: Duration = Duration::from_secs(5);

fn limits() -> Value {
    json!({"instances": 20, "cpu": "20", "memory": "40Gi", "storage": "1Ti"})
}

/// An operator whose waits are over within seconds.
fn quick() -> Setup {
    let retention = json!({
        "allowShortWaits": true, "offboardWaitSeconds": 1, "purgeGraceSeconds": 1, "purgeWaitSeconds": 1,
        "minimumAgeSeconds": 1,
    });
    Setup { settings: json!({"retention": retention}), ..Setup::default() }
}

/// What the tenant lists of some data.
fn listed<'a>(tenant: &'a TenantQuota, id: &str) -> Option<&'a Retained> {
    tenant.status.as_ref()?.retained.iter().find(|one| one.data_id == id)
}

fn is_in(id: &str, state: RetainedState) -> impl Fn(&TenantQuota) -> bool {
    move |tenant| listed(tenant, id).is_some_and(|one| one.state == state)
}

/// Whether the condition about data gives this reason.
fn says(reason: &str) -> impl Fn(&TenantQuota) -> bool {
    move |tenant| {
        let said = tenant.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        conditions::find(said, conditions::DATA_RETAINED).is_some_and(|one| one.reason == reason)
    }
}

fn order(id: &str, order: &Value) -> Value {
    json!({"retained": {id: order}})
}

/// A running database, and the id of its data.
async fn database(tenant: &Tenant, name: &str, mut spec: Value) -> Result<(Instance, String)> {
    spec["planRef"] = json!(PLAN);
    let db = tenant.instance(name, spec).await?;
    db.entitle().await?;
    let status = db.settled_in(Phase::Running, BOUND).await?.status.unwrap_or_default();
    Ok((db, status.data_id.context("what runs has data")?))
}

/// The operator's deletions in the tenant's namespace that succeeded, by resource, in their order.
fn deletions(world: &World, operator: &RunningOperator, tenant: &Tenant, since: Mark) -> Vec<String> {
    let matcher = Matcher::writes().actor(operator.name()).verb(Verb::Delete).namespace(tenant.namespace());
    let calls = world.proxy().log().calls(since, &matcher).into_iter().filter(Call::is_committed);
    calls.map(|call| call.request.resource.clone()).filter(|one| one != "services").collect()
}

/// The reasons of the events about a tenant.
async fn events(world: &World, tenant: &Tenant) -> Result<Vec<String>> {
    let events: Api<Event> = Api::namespaced(world.admin(), "default");
    let all = events.list(&ListParams::default()).await?.items.into_iter();
    let about = all.filter(|event| {
        event.regarding.as_ref().and_then(|object| object.name.as_deref()) == Some(tenant.name())
    });
    Ok(about.filter_map(|event| event.reason).collect())
}

#[test]
fn data_is_listed_restored_with_its_passwords_and_destroyed_as_ordered_its_secret_last() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let operator = world.operator_as("a", quick()).await?;
        let tenant = world.tenant("kept", limits()).await?;
        let (db, id) = database(&tenant, "db", json!({})).await?;
        let data = Data::of(&world, &tenant, &id);
        let before = data.there().await?;
        db.delete().await?;
        db.gone(BOUND).await?;
        let tenant_now = tenant.wait_for("listing the data", BOUND, is_in(&id, RetainedState::Kept)).await?;
        let entry = listed(&tenant_now, &id).context("listed")?;
        ensure!(entry.template == "postgresql" && entry.keep_until.is_some() && entry.purge_at.is_some());
        ensure!(says("Retained")(&tenant_now), "{:?}", tenant_now.status);

        // An order about data that lives is none about its release.
        let (again, _) = database(&tenant, "again", json!({"restoreFrom": id})).await?;
        ensure!(data.there().await? == before, "volumes or passwords are others");
        tenant.wait_for("listing nothing", BOUND, says("NothingRetained")).await?;
        tenant.patch_spec(order(&id, &json!({"purge": true}))).await?;
        // The operator has seen it once it says so of the generation.
        let ordered = tenant.get().await?.metadata.generation;
        let seen =
            |tenant: &TenantQuota| tenant.status.as_ref().and_then(|s| s.observed_generation) == ordered;
        tenant.wait_for("observed", BOUND, seen).await?;
        again.delete().await?;
        again.gone(BOUND).await?;
        let void = |tenant: &TenantQuota| {
            listed(tenant, &id).is_some_and(|one| {
                one.state == RetainedState::Kept
                    && one.message.as_ref().is_some_and(|said| said.contains("anew"))
            })
        };
        tenant.wait_for("saying that the order is void", BOUND, void).await?;
        world.proxy().log().wait_quiet(&operator.own_calls(), Duration::from_secs(2), BOUND).await?;
        ensure!(data.there().await? == before, "an order from before the release destroyed it");

        let mark = world.proxy().log().mark();
        tenant.patch_spec(order(&id, &Value::Null)).await?;
        data.is_without(crds::labels::PURGE_ORDER_VOID).await?;
        tenant.patch_spec(order(&id, &json!({"purge": true}))).await?;
        data.gone(BOUND).await?;
        tenant.wait_for("listing nothing", BOUND, says("NothingRetained")).await?;
        let deleted = deletions(&world, &operator, &tenant, mark);
        ensure!(deleted == ["persistentvolumeclaims", "secrets"], "{deleted:?}");
        let told = wait::until("the event", BOUND, async || {
            Ok(events(&world, &tenant).await?.contains(&"DataPurged".to_owned()).then_some(()))
        });
        told.await?;
        println!("restored with its passwords; an earlier order void; ordered anew, gone: {deleted:?}");
        Ok(())
    })
}

#[test]
fn data_that_has_lost_a_volume_since_its_release_is_not_taken_up() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let operator = world.operator_as("a", quick()).await?;
        let tenant = world.tenant("lost", limits()).await?;
        let (db, id) = database(&tenant, "db", json!({})).await?;
        let data = Data::of(&world, &tenant, &id);
        let before = data.there().await?;
        db.delete().await?;
        db.gone(BOUND).await?;
        let volume = names::data_volume(&id, "db", "data");
        ensure!(data.noted_volumes().await?.as_ref() == Some(&volume), "its volumes are not noted");

        // As if it had had another one, which is gone.
        let gone = names::data_volume(&id, "db", "gone");
        data.note_volumes(&format!("{volume},{gone}")).await?;
        let again = tenant.instance("again", json!({"planRef": PLAN, "restoreFrom": id})).await?;
        again.entitle().await?;
        let is_told = |it: &ServiceInstance| {
            let said = it.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
            let stalled = conditions::find(said, conditions::STALLED);
            stalled.is_some_and(|one| one.reason == reasons::VOLUME_MISSING && one.message.contains(&gone))
        };
        again.wait_for("told which volume is gone", BOUND, is_told).await?;
        world.proxy().log().wait_quiet(&operator.own_calls(), Duration::from_secs(2), BOUND).await?;
        ensure!(data.there().await? == before, "something was made");
        tenant.wait_for("still listing the data", BOUND, |it| listed(it, &id).is_some()).await?;

        data.note_volumes(&volume).await?;
        again.settled_in(Phase::Running, BOUND * 2).await?;
        ensure!(data.there().await? == before, "volumes or passwords are others");
        ensure!(data.noted_volumes().await?.is_none(), "the note is about a release that is over");
        Ok(())
    })
}

#[test]
fn an_operator_whose_clock_is_a_day_ahead_destroys_nothing_and_says_why() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let ahead = quick().with_clock_ahead(86_400);
        let operator = world.operator_as("a", ahead).await?;
        let tenant = world.tenant("ahead", limits()).await?;
        let (by_time, by_order) = ("daaaaaaaaaaa", "dbbbbbbbbbbb");
        let kept = Data::of(&world, &tenant, by_time);
        kept.put(-DAY, HOUR).await?;
        let ordered = Data::of(&world, &tenant, by_order);
        ordered.put(-DAY, 30 * DAY).await?;
        tenant.patch_spec(order(by_order, &json!({"purge": true}))).await?;
        let said = tenant.wait_for("saying that clocks disagree", BOUND, says("ClockDisagrees")).await?;
        let both = |tenant: &TenantQuota| {
            [by_time, by_order].iter().all(|id| is_in(id, RetainedState::Blocked)(tenant))
        };
        tenant.wait_for("naming both", BOUND, both).await?;
        let log = world.proxy().log();
        log.wait_quiet(&operator.own_calls(), QUIET, BOUND).await.ok();
        ensure!(kept.there().await?.len() == 3 && ordered.there().await?.len() == 3, "data was destroyed");
        let conditions = said.status.unwrap_or_default().conditions;
        let condition = conditions::find(&conditions, conditions::DATA_RETAINED).context("said")?;
        println!("clock a day ahead: {} {}: {}", condition.type_, condition.reason, condition.message);

        // Set right, the order is noted and carried out; what is not over by the API server's clock stays.
        drop(operator);
        let operator = world.operator_as("a", quick()).await?;
        ordered.gone(BOUND).await?;
        let keeps_the_other =
            |tenant: &TenantQuota| is_in(by_time, RetainedState::Kept)(tenant) && says("Retained")(tenant);
        tenant.wait_for("keeping the other", BOUND, keeps_the_other).await?;
        let mark = log.mark();
        kept.keep_until(-HOUR).await?;
        kept.gone(BOUND).await?;
        let deleted = deletions(&world, &operator, &tenant, mark);
        ensure!(deleted == ["persistentvolumeclaims", "persistentvolumeclaims", "secrets"], "{deleted:?}");
        Ok(())
    })
}

#[test]
fn data_that_a_pod_mounts_or_an_instance_names_or_nobody_released_stays() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let _operator = world.operator_as("a", quick()).await?;
        let tenant = world.tenant("blocked", limits()).await?;
        let (named, mounted, nobodys) = ("dnamednamedn", "dmountedmoun", "dnobodysnobo");
        // Never entitled, so it never takes it up.
        tenant.instance("names-it", json!({"planRef": PLAN, "restoreFrom": named})).await?;
        for (id, end) in [(named, -HOUR), (mounted, HOUR)] {
            Data::of(&world, &tenant, id).put(-DAY, end).await?;
        }
        let data = Data::of(&world, &tenant, mounted);
        let pod = data.mount().await?;
        data.keep_until(-HOUR).await?;
        Data::of(&world, &tenant, nobodys).put_orphaned().await?;
        for id in [named, mounted] {
            tenant.wait_for("blocked", BOUND, is_in(id, RetainedState::Blocked)).await?;
        }
        let is_orphaned = |tenant: &TenantQuota| {
            let status = tenant.status.as_ref();
            status.is_some_and(|status| status.orphaned.iter().any(|one| one.data_id == nobodys))
        };
        tenant.wait_for("listing the orphan", BOUND, is_orphaned).await?;
        for id in [named, mounted, nobodys] {
            ensure!(Data::of(&world, &tenant, id).there().await?.len() == 3, "{id} was destroyed");
        }
        // Once nothing is in the way, it goes.
        tenant.named("names-it").delete().await?;
        Data::of(&world, &tenant, named).gone(BOUND).await?;
        data.unmount(&pod).await?;
        data.gone(BOUND * 2).await?;
        ensure!(Data::of(&world, &tenant, nobodys).there().await?.len() == 3, "data of nobody was destroyed");
        Ok(())
    })
}

#[test]
fn offboarding_destroys_instances_and_retained_data_at_once_when_it_was_ordered() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let _operator = world.operator_as("a", quick()).await?;
        let tenant = world.tenant("leaving", limits()).await?;
        for name in ["one", "two", "three", "four", "five"] {
            database(&tenant, name, json!({})).await?;
        }
        Data::of(&world, &tenant, "dretainedret").put(-DAY, 30 * DAY).await?;
        tenant.wait_for("listing the data", BOUND, is_in("dretainedret", RetainedState::Kept)).await?;
        let refused = tenant.delete().await.err().context("it was accepted")?.to_string();
        ensure!(refused.contains("offboard"), "{refused}");
        tenant.patch_spec(json!({"offboard": "DeleteData"})).await?;
        tenant.delete().await?;
        tenant.gone(BOUND * 2).await?;
        let namespaces: Api<Namespace> = Api::all(world.admin());
        wait::until("the namespace to be gone", BOUND, async || {
            Ok(namespaces.get_opt(tenant.namespace()).await?.is_none().then_some(()))
        })
        .await
    })
}
