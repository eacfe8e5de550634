//! The operator killed before and after every write of a purge, started again, left alone.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use crds::quota::RetainedState;
use e2e::proxy::{Action, Call, Matcher, Rule};
use futures::future::try_join_all;
use serde_json::json;

use super::data::{DAY, Data};
use super::{is_in, limits, listed, order, quick};
use crate::world::{BOUND, RunningOperator, Tenant, World, block_on};

/// How many kills there are room for.
const MOST: usize = 26;
/// How long a write may take to come.
const COMES: Duration = Duration::from_secs(10);

/// A write of the reference's purge, and which of its kind it is.
struct Write {
    call: Call,
    nth: u64,
}

impl Write {
    /// A rule that means this write in the purge of other data.
    fn rule(&self, reference: &str, id: &str, action: Action) -> Rule {
        let request = &self.call.request;
        let matcher = Matcher::writes()
            .actor(self.call.actor.to_string())
            .verb(request.verb)
            .resource(request.group.as_str(), request.resource.as_str());
        let matcher = match &request.subresource {
            Some(subresource) => matcher.subresource(subresource.as_str()),
            None => matcher.main_resource(),
        };
        let name = self.call.name().unwrap_or_default().replace(reference, id);
        Rule::new(matcher.name(name), action).nth(self.nth)
    }
}

fn id(number: usize) -> String {
    format!("d{number:011}")
}

/// What the undisturbed purge writes.
async fn reference(
    world: &World,
    operator: &RunningOperator,
    tenant: &Tenant,
    id: &str,
) -> Result<Vec<Write>> {
    let log = world.proxy().log();
    log.wait_quiet(&operator.own_calls(), Duration::from_secs(2), BOUND).await?;
    let mark = log.mark();
    purge(world, tenant, id).await?;
    log.wait_quiet(&operator.own_calls(), Duration::from_secs(2), BOUND).await?;
    let mut writes: Vec<Write> = Vec::new();
    for call in log.writes(mark, &operator.own_calls()).into_iter().filter(Call::is_committed) {
        let alike = |one: &&Write| {
            let (a, b) = (&one.call.request, &call.request);
            one.call.object() == call.object() && a.verb == b.verb && a.subresource == b.subresource
        };
        let nth = 1 + writes.iter().filter(alike).count() as u64;
        writes.push(Write { call, nth });
    }
    Ok(writes)
}

/// Orders it, and waits until it is gone and no longer listed.
async fn purge(world: &World, tenant: &Tenant, id: &str) -> Result<()> {
    tenant.patch_spec(order(id, &json!({"purge": true}))).await?;
    gone(world, tenant, id).await
}

async fn gone(world: &World, tenant: &Tenant, id: &str) -> Result<()> {
    Data::of(world, tenant, id).gone(BOUND).await?;
    tenant.wait_for("listing it no more", BOUND, |tenant| listed(tenant, id).is_none()).await?;
    Ok(())
}

#[test]
fn killed_before_or_after_any_write_of_a_purge_it_is_finished_and_nothing_else_is_touched() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let operator = world.operator_as("a", quick()).await?;
        let tenant = world.tenant("purged", limits()).await?;
        let all: Vec<Data> = (0..=MOST).map(|number| Data::of(&world, &tenant, &id(number))).collect();
        try_join_all(all.iter().map(|data| data.put(-DAY, 30 * DAY))).await?;
        tenant.wait_for("listing all", BOUND, |tenant| listed(tenant, &id(MOST)).is_some()).await?;
        let writes = reference(&world, &operator, &tenant, &id(0)).await?;
        let names: Vec<String> = writes.iter().map(|write| write.call.to_string()).collect();
        println!("a purge writes {}: {}", writes.len(), names.join("; "));
        ensure!(writes.len() * 2 < MOST, "more writes than data to try them on");
        let (mut number, mut missed) = (0, Vec::new());
        for write in &writes {
            for action in [Action::CrashBefore, Action::CrashAfter] {
                number += 1;
                let (what, id) = (format!("{action:?} at {}", write.call), id(number));
                let rule = world.proxy().add_rule(write.rule(&self::id(0), &id, action));
                tenant.patch_spec(order(&id, &json!({"purge": true}))).await?;
                let killed = rule.wait_hits(1, COMES).await.is_ok();
                rule.remove();
                if killed {
                    operator.crashed().await?;
                    let lacks = Data::of(&world, &tenant, &id).lacks_its_secret().await?;
                    ensure!(!lacks, "{what}: volumes without their Secret");
                    operator.restart().await?;
                } else {
                    // How often a status is written depends on what the cluster tells when.
                    ensure!(write.call.request.subresource.is_some(), "{what}: the write did not come");
                    missed.push(what.clone());
                }
                gone(&world, &tenant, &id).await.with_context(|| what)?;
            }
        }
        println!("{number} kills, {} did not come: {missed:?}", missed.len());
        let now = tenant.get().await?;
        for (other, data) in all.iter().enumerate().skip(number + 1) {
            let untouched = is_in(&id(other), RetainedState::Kept)(&now) && data.there().await?.len() == 3;
            ensure!(untouched, "{} was touched", id(other));
        }
        Ok(())
    })
}
