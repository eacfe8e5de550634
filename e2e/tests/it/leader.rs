//! Several operators: who leads, how fast the next one goes on, and what a leader that comes back may still do.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use crds::instance::Phase;
use crds::{GROUP, ServiceInstance};
use e2e::charts::NAMESPACE;
use e2e::proxy::{Action, CallLog, Mark, Matcher, Rule, Verb};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::world::{BOUND, Instance, RunningOperator, Tenant, World, block_on, is_settled_in};

/// Until the next leader's first child write, at most.
const TAKES_OVER: Duration = Duration::from_secs(10);
/// The same after a leader that gave its lease back.
const HANDED_OVER: Duration = Duration::from_secs(3);
/// For how long a leader is stopped.
const AWAY: Duration = Duration::from_secs(20);
/// For how long nothing may be written at the end.
const QUIET: Duration = Duration::from_secs(5);

fn limits() -> Value {
    json!({"instances": 5, "cpu": "10", "memory": "10Gi", "storage": "1Ti"})
}

fn power(state: &str) -> Value {
    json!({"powerState": state})
}

/// Its writes to what belongs to an instance: no lease, no event, none of our own kinds.
fn child_writes(operator: &RunningOperator) -> Matcher {
    let own = ["serviceinstances", "tenantquotas", "servicetemplates", "serviceplans"];
    let matcher = Matcher::writes().actor(operator.name()).without_leases().without_events();
    own.into_iter().fold(matcher, |matcher, kind| matcher.except(GROUP, kind))
}

fn lease_renewals(operator: &RunningOperator) -> Matcher {
    Matcher::any().actor(operator.name()).verb(Verb::Update).resource("coordination.k8s.io", "leases")
}

async fn running(world: &World, tenant: &str) -> Result<(Tenant, Instance)> {
    let tenant = world.tenant(tenant, limits()).await?;
    let db = world.instance(&tenant, "db", json!({"planRef": "postgresql-small"})).await?;
    db.entitle().await?;
    db.settled_in(Phase::Running, BOUND).await?;
    Ok((tenant, db))
}

async fn holder(world: &World) -> Result<String> {
    let leases: Api<Lease> = Api::namespaced(world.admin(), NAMESPACE);
    let spec = leases.get("nakhoda-operator").await?.spec.context("a lease has a spec")?;
    spec.holder_identity.context("somebody holds the lease")
}

/// The time from `begun` to the first of these calls after `mark`, as the proxy saw it arrive.
async fn first(log: &CallLog, mark: Mark, matcher: &Matcher, begun: Duration) -> Result<Duration> {
    let call = log.wait_for_call(mark, matcher, BOUND).await?;
    ensure!(call.status.is_some_and(|status| status < 300), "the first one was refused: {call}");
    Ok(call.started.saturating_sub(begun))
}

#[test]
fn a_killed_leader_is_followed_within_ten_seconds_though_it_had_just_renewed() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let (a, b) = (world.operator("a").await?, world.operator("b").await?);
        let (_tenant, db) = running(&world, "killed").await?;
        let log = world.proxy().log();
        let mut took = Vec::new();
        for (leader, next, state, phase) in
            [(&a, &b, "Stopped", Phase::Stopped), (&b, &a, "Running", Phase::Running)]
        {
            ensure!(holder(&world).await? == leader.name(), "{} leads", leader.name());
            // A change that it has begun and can't end.
            let stuck = Rule::new(child_writes(leader), Action::Hang).every();
            let stuck = world.proxy().add_rule(stuck);
            db.patch_spec(power(state)).await?;
            stuck.wait_hits(1, BOUND).await?;
            // The worst moment: the lease is as fresh as it can be.
            log.wait_for_call(log.mark(), &lease_renewals(leader), BOUND).await?;
            let mark = log.mark();
            leader.kill();
            let begun = log.now();
            world.proxy().clear_rules();
            let lease = first(log, mark, &lease_renewals(next), begun).await?;
            took.push((lease, first(log, mark, &child_writes(next), begun).await?));
            db.settled_in(phase, BOUND).await?;
            ensure!(holder(&world).await? == next.name(), "{} leads now", next.name());
            leader.restart().await?;
        }
        println!("leader killed: the next one's lease and first child write after {took:.1?}");
        assert!(took.iter().all(|(_, write)| *write <= TAKES_OVER), "{took:?}");
        Ok(())
    })
}

#[test]
fn a_leader_that_is_told_to_stop_hands_over_at_once() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let (a, b) = (world.operator("a").await?, world.operator("b").await?);
        let (_tenant, db) = running(&world, "handed").await?;
        let log = world.proxy().log();
        let mut took = Vec::new();
        for (leader, next, state, phase) in
            [(&a, &b, "Stopped", Phase::Stopped), (&b, &a, "Running", Phase::Running)]
        {
            ensure!(holder(&world).await? == leader.name(), "{} leads", leader.name());
            let (mark, begun) = (log.mark(), log.now());
            leader.stop();
            db.patch_spec(power(state)).await?;
            took.push(first(log, mark, &child_writes(next), begun).await?);
            db.settled_in(phase, BOUND).await?;
            assert_eq!(log.writes(mark, &child_writes(leader)).len(), 0, "it began nothing any more");
            leader.restart().await?;
        }
        println!("leader told to stop: the next one's first child write after {took:.1?}");
        assert!(took.iter().all(|took| *took < HANDED_OVER), "{took:?}");
        Ok(())
    })
}

/// What must not differ once all is done.
fn outcome(instance: &ServiceInstance) -> (Option<i64>, Option<Phase>) {
    (instance.metadata.generation, instance.status.as_ref().and_then(|status| status.phase))
}

#[test]
fn a_leader_that_was_away_for_20_seconds_ends_what_was_in_flight_and_no_more() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let (a, b) = (world.operator("a").await?, world.operator("b").await?);
        let (tenant, db) = running(&world, "away").await?;
        let log = world.proxy().log();
        ensure!(holder(&world).await? == a.name(), "the first one leads");
        // One call in flight: it stops the database, and arrives long after its owner has changed his mind.
        let late = Rule::new(child_writes(&a).resource("apps", "statefulsets"), Action::Hang);
        let late = world.proxy().add_rule(late);
        let changed = log.mark();
        db.patch_spec(power("Stopped")).await?;
        late.wait_hits(1, BOUND).await?;
        let (mark, gone) = (log.mark(), log.now());
        a.signal(Signal::SIGSTOP);

        let took = first(log, mark, &child_writes(&b), gone).await?;
        db.settled_in(Phase::Stopped, BOUND).await?;
        let asked = db.patch_spec(power("Running")).await?;
        let running = is_settled_in(Phase::Running);
        let settled = db.wait_for("running again", BOUND, |one| {
            one.metadata.generation == asked.metadata.generation && running(one)
        });
        let settled = outcome(&settled.await?);
        let before = tenant.snapshot().await?;
        // What is left of the time: nothing has to happen in it.
        let left = (gone + AWAY).saturating_sub(log.now());
        log.wait_quiet(&child_writes(&b), left, left + BOUND).await?;

        let back = log.mark();
        world.proxy().clear_rules();
        let landed = log.wait_for_call(changed, &child_writes(&a), BOUND).await?;
        a.signal(Signal::SIGCONT);
        // It has seen that it leads no more once it asks for the lease again, or is gone.
        log.wait_quiet(&b.own_calls(), QUIET, BOUND).await?;
        log.wait_quiet(&a.own_calls(), QUIET, BOUND).await?;
        let late = log.writes(back, &child_writes(&a));
        assert!(late.is_empty(), "begun after it came back: {late:?}");
        db.settled_in(Phase::Running, BOUND).await?;
        assert_eq!(outcome(&db.get().await?), settled);
        assert_eq!(tenant.snapshot().await?, before);
        assert_eq!(holder(&world).await?, b.name());
        assert_eq!(
            landed.upstream_status,
            Some(409),
            "what was in flight is fenced off by the version it was meant for"
        );
        println!(
            "leader stopped for 20 s: the next one's first child write after {took:.1?}; back again, it began no write, and \
             the one in flight was refused"
        );
        Ok(())
    })
}
