//! Who has a place in a tenant's quota, and what the operator does about things that are not its own.

pub(crate) mod foreign;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use crds::quota::Admitted;
use crds::{ServiceInstance, TenantQuota, TenantQuotaStatus, conditions};
use e2e::apply::is_not_counted_yet;
use e2e::wait;
use futures::{StreamExt as _, TryStreamExt as _, future};
use kube::api::{DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::world::{BOUND, Tenant, World, block_on};

/// How many are ordered.
const ORDERED: usize = 200;
/// Who orders them, all at once.
const WRITERS: usize = 4;
/// How long it may take until each of them has been told.
const ALL_TOLD: Duration = Duration::from_mins(2);

fn limit(instances: usize) -> Value {
    json!({"instances": instances, "cpu": "1k", "memory": "2Ti", "storage": "64Ti"})
}

/// Orders them by writers of their own, none of whom waits for another; nobody entitles them, so no pod is made.
async fn order_all(world: &World, tenant: &Tenant) -> Result<()> {
    let writers = (0..WRITERS).map(|writer| async move {
        let api: Api<ServiceInstance> = Api::namespaced(world.cluster().admin().await?, tenant.namespace());
        let orders = (writer..ORDERED).step_by(WRITERS).map(|number| {
            let object = json!({
                "apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServiceInstance",
                "metadata": {"name": format!("db-{number}")}, "spec": {"planRef": "postgresql-small"},
            });
            let api = api.clone();
            async move {
                let object = serde_json::from_value(object)?;
                wait::until("an order to be counted", BOUND, async || {
                    match api.create(&PostParams::default(), &object).await {
                        Err(kube::Error::Api(status)) if is_not_counted_yet(&status.message) => Ok(None),
                        created => Ok(Some(created?)),
                    }
                })
                .await
            }
        });
        future::try_join_all(orders).await
    });
    future::try_join_all(writers).await?;
    Ok(())
}

/// Every state of the tenant from now on, as the API server tells them one by one, up to the one that `last` holds of.
async fn follow(
    tenant: TenantQuota,
    api: Api<TenantQuota>,
    last: impl Fn(&TenantQuotaStatus) -> bool,
) -> Result<Vec<TenantQuotaStatus>> {
    let params = WatchParams::default().fields(&format!("metadata.name={}", tenant.name_any()));
    let version = tenant.resource_version().context("what the API server keeps has a version")?;
    let mut states = vec![tenant.status.unwrap_or_default()];
    let mut events = api.watch(&params, &version).await?.boxed();
    while let Some(event) = events.try_next().await? {
        match event {
            WatchEvent::Modified(tenant) | WatchEvent::Added(tenant) => {
                states.extend(tenant.status);
                if states.last().is_some_and(&last) {
                    return Ok(states);
                }
            }
            other => bail!("the watch says {other:?}"),
        }
    }
    bail!("the watch ended")
}

/// Never more than the limit, and nobody who was there once is gone.
fn check_states(states: &[TenantQuotaStatus], most: usize) {
    let mut before: Vec<&Admitted> = Vec::new();
    for state in states {
        assert!(state.admitted.len() <= most, "{} have a place", state.admitted.len());
        let now: BTreeSet<&str> = state.admitted.iter().map(|one| one.uid.as_str()).collect();
        assert_eq!(now.len(), state.admitted.len(), "nobody twice");
        assert!(before.iter().all(|one| now.contains(one.uid.as_str())), "a place was withdrawn");
        before = state.admitted.iter().collect();
    }
}

/// The uids of its instances by age, equals by uid: the order in which places are due.
async fn due(world: &World, tenant: &Tenant) -> Result<Vec<String>> {
    let api: Api<ServiceInstance> = Api::namespaced(world.admin(), tenant.namespace());
    let mut all = api.list(&ListParams::default()).await?.items;
    all.sort_by_key(|one| (one.creation_timestamp().map(|time| time.0), one.uid()));
    Ok(all.into_iter().filter_map(|one| one.uid()).collect())
}

fn uids(status: &TenantQuotaStatus) -> Vec<&str> {
    status.admitted.iter().map(|one| one.uid.as_str()).collect()
}

/// Each instance says itself whether it has a place.
async fn all_are_told(world: &World, tenant: &Tenant, most: usize) -> Result<()> {
    let api: Api<ServiceInstance> = Api::namespaced(world.admin(), tenant.namespace());
    let mut counts = (0, 0);
    let told = wait::until("every instance to be told", ALL_TOLD, async || {
        let all = api.list(&ListParams::default()).await?.items;
        let with = |reason: &str| {
            let said = all
                .iter()
                .filter_map(|one| conditions::find(&one.status.as_ref()?.conditions, conditions::ADMITTED));
            said.filter(|condition| condition.reason == reason && !condition.message.is_empty()).count()
        };
        counts = (with("Admitted"), with("QuotaExceeded"));
        Ok((counts == (most, all.len() - most)).then_some(()))
    });
    let told = told.await;
    told.with_context(|| format!("told so far: {counts:?}"))
}

/// Takes the crowd away again: the world is others' as well.
async fn clear(world: &World, tenant: &Tenant) -> Result<()> {
    let api: Api<ServiceInstance> = Api::namespaced(world.admin(), tenant.namespace());
    let (all, by_name) = (ListParams::default(), DeleteParams::default());
    api.delete_collection(&by_name, &all).await?;
    wait::until("the crowd to be gone", ALL_TOLD, async || {
        Ok(api.list(&all).await?.items.is_empty().then_some(()))
    })
    .await
}

#[test]
fn of_200_that_four_writers_order_at_once_never_more_than_50_have_a_place() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let _operator = world.operator("a").await?;
        let tenant = world.tenant("crowd", limit(50)).await?;
        let begun = Instant::now();
        let full =
            |status: &TenantQuotaStatus| status.admitted.len() == 50 && status.waiting.len() == ORDERED - 50;
        let states = follow(tenant.get().await?, Api::all(world.admin()), full);
        let states = wait::within("the quota to be full and all others to wait", ALL_TOLD, states);
        let (states, ordered) = future::join(states, order_all(&world, &tenant)).await;
        ordered?;
        let states = states?;
        let settled = begun.elapsed();
        check_states(&states, 50);
        all_are_told(&world, &tenant, 50).await?;
        println!(
            "200 orders by 4 writers, limit 50: {} states of the list, the last after {:.1} s, all told after {:.1} s",
            states.len(),
            settled.as_secs_f64(),
            begun.elapsed().as_secs_f64(),
        );
        clear(&world, &tenant).await
    })
}

#[test]
fn of_those_ordered_before_the_operator_starts_the_oldest_have_a_place_and_the_next_in_turn_move_up()
-> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let operator = world.operator("a").await?;
        let tenant = world.tenant("queue", limit(50)).await?;
        operator.stop();
        order_all(&world, &tenant).await?;
        let due = due(&world, &tenant).await?;
        ensure!(due.len() == ORDERED, "{} were made", due.len());

        let full =
            |status: &TenantQuotaStatus| status.admitted.len() == 50 && status.waiting.len() == ORDERED - 50;
        let states = follow(tenant.get().await?, Api::all(world.admin()), full);
        let begun = Instant::now();
        let (states, started) =
            future::join(wait::within("the quota to be full", ALL_TOLD, states), operator.restart()).await;
        started?;
        let states = states?;
        check_states(&states, 50);
        let last = states.last().context("a state")?;
        assert_eq!(uids(last), due[..50], "the first 50 by creation time and uid, in this order");
        all_are_told(&world, &tenant, 50).await?;
        println!(
            "200 before the start: {} states, all told {:.1} s after it",
            states.len(),
            begun.elapsed().as_secs_f64()
        );

        let more = follow(tenant.get().await?, Api::all(world.admin()), |status| status.admitted.len() == 60);
        let (more, limited) =
            future::join(wait::within("ten more", BOUND, more), tenant.limit(limit(60))).await;
        limited?;
        let more = more?;
        check_states(&more, 60);
        assert_eq!(uids(more.last().context("a state")?), due[..60]);

        let leaves = tenant.named(&more.last().context("a state")?.admitted[17].name);
        let gone = due[17].clone();
        leaves.delete().await?;
        let moved = tenant.wait_for("full again", BOUND, |found| {
            found
                .status
                .as_ref()
                .is_some_and(|status| status.admitted.len() == 60 && !uids(status).contains(&gone.as_str()))
        });
        let moved = moved.await?.status.context("a status")?;
        assert_eq!(uids(&moved)[59], due[60], "the next in turn");
        clear(&world, &tenant).await
    })
}
