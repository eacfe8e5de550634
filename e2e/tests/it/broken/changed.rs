//! Changes that make no sense, to apps that run: refused in a condition, the app serves on as it was, and taking the
//! change back is all it takes.

use std::time::Duration;

use anyhow::{Context as _, Result};
use crds::instance::Phase;
use crds::{conditions, labels};
use serde_json::{Value, json};

use super::catalogue;
use super::ordered::{CALLS, QUIET, limits};
use crate::admission::foreign::{contents, says};
use crate::world::{BOUND, Instance, Tenant, World, block_on};

/// A change to something that runs, what it is told, and the change that takes it back.
struct Change {
    name: &'static str,
    bad: Value,
    reason: &'static str,
    part: &'static str,
    back: Value,
}

fn changes() -> [Change; 4] {
    let plan = |plan: &str| json!({"planRef": plan});
    let parameter = |name: &str, value: Value| json!({"parameters": {name: value}});
    [
        Change {
            name: "immutable",
            bad: parameter("database", json!("shop")),
            reason: "ParameterInvalid",
            part: "The parameter database was fixed to \"app\" when the data was made",
            back: parameter("database", Value::Null),
        },
        Change {
            name: "out-of-bounds",
            bad: parameter("maxConnections", json!("9")),
            reason: "ParameterInvalid",
            part: "maxConnections must be from 10 to 200",
            back: parameter("maxConnections", Value::Null),
        },
        Change {
            name: "other-app",
            bad: plan("odd-other-small"),
            reason: "PlanOfAnotherApp",
            part: "another app",
            back: plan("odd-base-small"),
        },
        Change {
            name: "less-storage",
            bad: plan("odd-tiny"),
            reason: "StorageTooSmall",
            part: "volumes never shrink",
            back: plan("odd-base-small"),
        },
    ]
}

/// It says so, and serves on with the very parts that it had.
async fn is_refused(world: &World, tenant: &Tenant, one: &Instance, reason: &str, part: &str) -> Result<()> {
    let selector = format!("{}={}", labels::INSTANCE, one.uid().await?);
    let told = one.wait_for(reason, BOUND, |one| says(one, conditions::STALLED, "True", reason)).await?;
    let status = told.status.as_ref().context("it has a status")?;
    let said = |condition| conditions::find(&status.conditions, condition).context("the condition");
    assert!(
        said(conditions::STALLED)?.message.contains(part),
        "{one}: {}",
        said(conditions::STALLED)?.message
    );
    assert_eq!(said(conditions::READY)?.status, "False");
    assert_eq!(said(conditions::AVAILABLE)?.status, "True", "{one} serves on");
    assert_eq!(status.phase, Some(Phase::Degraded));
    assert!(!contents(world, tenant.namespace(), &selector).await?.is_empty());
    Ok(())
}

/// Its parts, but for what the cluster itself writes to them.
async fn parts(world: &World, tenant: &Tenant, one: &Instance) -> Result<Vec<String>> {
    let selector = format!("{}={}", labels::INSTANCE, one.uid().await?);
    Ok(contents(world, tenant.namespace(), &selector)
        .await?
        .into_iter()
        .map(|part| format!("{part:?}"))
        .collect())
}

/// One for each change and one whose template will go, with the parts that each of them has.
async fn all_running(
    world: &World,
    tenant: &Tenant,
    changes: &[Change],
) -> Result<(Vec<Instance>, Vec<Vec<String>>)> {
    let of_change = changes.iter().map(|change| (change.name, "odd-base-small"));
    let mut all = Vec::new();
    for (name, plan) in of_change.chain([("doomed", "odd-doomed-small")]) {
        let one = tenant.instance(name, json!({"planRef": plan})).await?;
        one.entitle().await?;
        all.push(one);
    }
    let mut before = Vec::new();
    for one in &all {
        one.settled_in(Phase::Running, BOUND).await?;
        before.push(parts(world, tenant, one).await?);
    }
    Ok((all, before))
}

#[test]
fn a_change_that_makes_no_sense_leaves_what_runs_as_it_is() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let operator = world.operator("a").await?;
        for app in ["odd-base", "odd-other", "odd-doomed"] {
            catalogue::app(&world, app, |_| {}).await?;
        }
        catalogue::plan(&world, "odd-tiny", "odd-base", "1Gi").await?;
        let tenant = world.tenant("changed", limits()).await?;
        let changes = changes();
        let (all, before) = all_running(&world, &tenant, &changes).await?;

        let (log, mark) = (world.proxy().log(), world.proxy().log().mark());
        for (change, one) in changes.iter().zip(&all) {
            one.patch_spec(change.bad.clone()).await?;
        }
        catalogue::remove(&world, "odd-doomed").await?;
        for (change, one) in changes.iter().zip(&all) {
            is_refused(&world, &tenant, one, change.reason, change.part).await?;
        }
        let doomed = all.last().context("the last one")?;
        is_refused(
            &world,
            &tenant,
            doomed,
            "TemplateNotFound",
            "The template odd-doomed of its plan does not exist",
        )
        .await?;
        let here = operator.own_calls().namespace(tenant.namespace());
        log.wait_quiet(&here, QUIET, BOUND).await?;
        for (one, before) in all.iter().zip(&before) {
            assert_eq!(parts(&world, &tenant, one).await?, *before, "{one}");
        }
        let busiest = log.busiest(mark, &here, Duration::from_secs(1)).context("there were calls")?;
        assert!(busiest.1 <= CALLS, "a hot loop: {busiest:?}");

        for (change, one) in changes.iter().zip(&all) {
            one.patch_spec(change.back.clone()).await?;
        }
        catalogue::app(&world, "odd-doomed", |_| {}).await?;
        for (one, before) in all.iter().zip(&before) {
            one.settled_in(Phase::Running, BOUND).await?;
            assert_eq!(parts(&world, &tenant, one).await?, *before, "{one}: nothing was made anew");
        }
        println!(
            "{} senseless changes to what runs: told why, served on, healed; busiest object {busiest:?}",
            all.len()
        );
        Ok(())
    })
}
