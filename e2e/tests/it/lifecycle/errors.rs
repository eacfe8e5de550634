//! Every write of every step refused, reset, left hanging, or done with its reply lost, once.

use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::proxy::{Action, Lost, Outcome, Reply};
use futures::stream::{StreamExt as _, iter};

use super::cost::{Cost, Table, report};
use super::life::{Life, Step};
use super::reference::{Reference, reference};
use super::{operator, proves, stays_quiet};
use crate::world::{RunningOperator, World, block_on};

/// So many lives go on at the same time: as many as two processors bear beside the control plane, or the operator loses its lease.
const PARALLEL: usize = 12;
/// Without `NAKHODA_PROVE`, every so manieth write has its turn with each fault.
const SAMPLE: usize = 4;
/// How long it may take from the end of a fault until this gives up. The goal is 30 s; the table shows the slowest, and how busy the
/// machine is decides nothing here.
const CONVERGES: Duration = Duration::from_secs(90);

/// The faults, by the name that the table gives them.
fn faults() -> Vec<(&'static str, Action)> {
    vec![
        ("403", Action::reply(403)),
        ("409", Action::reply(409)),
        ("410", Action::reply(410)),
        ("422", Action::reply(422)),
        ("429", Action::reply(429)),
        ("500", Action::reply(500)),
        ("503", Action::reply(503)),
        ("504", Action::reply(504)),
        ("reset", Action::Reset),
        ("hang", Action::Hang),
        ("done, then 504", Action::CommitThen(Lost::Reply(Reply::code(504)))),
        ("done, then reset", Action::CommitThen(Lost::Reset)),
    ]
}

/// One life, in each step of which the write of this number meets the fault.
#[derive(Clone)]
struct Plan {
    name: String,
    fault: &'static str,
    action: Action,
    index: usize,
}

impl Plan {
    /// How long the fault itself keeps the operator: it gives a call up, and waits where trying again can't help.
    fn lasts(&self) -> Duration {
        match self.fault {
            "hang" => Duration::from_secs(10),
            "422" => Duration::from_secs(20),
            _ => Duration::ZERO,
        }
    }
}

#[test]
fn after_any_error_at_any_write_it_ends_in_the_same_state() -> Result<()> {
    block_on(async {
        let world = World::shared_faults().await?;
        let operator = operator(&world).await?;
        let reference = reference(&world, &operator).await?;
        let begun = Instant::now();
        let lives = iter(plans(reference)).map(async |plan| {
            let cost = live(&world, &operator, reference, &plan).await;
            (plan.fault, cost.unwrap_or_else(|error| Cost::failed(format!("{}: {error:#}", plan.name))))
        });
        let mut table = Table::new();
        let mut lives = pin!(lives.buffer_unordered(PARALLEL));
        while let Some((fault, cost)) = lives.next().await {
            table.entry(fault).or_default().add(cost);
        }
        report(&table, begun.elapsed());
        let failed: Vec<_> = table.values().flat_map(|cost| &cost.failed).collect();
        ensure!(failed.is_empty(), "{} lives did not come to the same state: {failed:#?}", failed.len());
        stays_quiet(&world, &operator).await?;
        let wasteful: Vec<_> = table.values().flat_map(|cost| &cost.wasteful).collect();
        ensure!(wasteful.is_empty(), "more than 1.5 times the writes of the undisturbed run: {wasteful:#?}");
        Ok(())
    })
}

fn plans(reference: &Reference) -> Vec<Plan> {
    let most = reference.values().map(|undisturbed| undisturbed.writes.len()).max().unwrap_or_default();
    let mut plans = Vec::new();
    for (number, (fault, action)) in faults().into_iter().enumerate() {
        for index in (0..most).filter(|index| proves() || (index + number) % SAMPLE == 0) {
            let name = format!("fail-{:03}", plans.len());
            plans.push(Plan { name, fault, action: action.clone(), index });
        }
    }
    plans
}

/// Lives one life.
async fn live(world: &World, operator: &RunningOperator, reference: &Reference, plan: &Plan) -> Result<Cost> {
    let life = Life::begin(world, &plan.name).await?;
    let mut cost = Cost::default();
    for step in Step::ALL {
        let said = || format!("{} at write {} of {step:?}", plan.fault, plan.index + 1);
        cost.add(one_step(world, operator, reference, &life, plan, step).await.with_context(said)?);
    }
    life.end().await?;
    Ok(cost)
}

async fn one_step(
    world: &World,
    operator: &RunningOperator,
    reference: &Reference,
    life: &Life,
    plan: &Plan,
    step: Step,
) -> Result<Cost> {
    let undisturbed = &reference[&step];
    let (data, mark, begun) = (life.data().await?, world.proxy().log().mark(), Instant::now());
    let write = undisturbed.writes.get(plan.index);
    let rule = write.map(|write| world.proxy().add_rule(write.rule(life.place(), plan.action.clone())));
    life.perform(step).await?;
    life.is_as(step, &undisturbed.state, plan.lasts() + CONVERGES).await?;
    life.is_counted(step).await?;
    life.still_has(&data).await?;
    let mut cost = Cost::default();
    let (Some(rule), Some(write)) = (rule, write) else { return Ok(cost) };
    rule.remove();
    let at = format!("{} at {write} of {step:?}", plan.fault);
    if rule.hits() == 0 {
        ensure!(!undisturbed.is_certain(write), "{at}: the write did not come");
        cost.missed.push(at);
        return Ok(cost);
    }
    (cost.cases, cost.longest) = (1, begun.elapsed());
    cost.longest_at = format!("{write} of {step:?}");
    let calls = life.writes(world, operator, mark);
    let failed =
        |outcome| matches!(outcome, Outcome::Injected(_) | Outcome::ReplyLost(_) | Outcome::Abandoned);
    // The failed call itself does not count; what was done anyway and is done again, does.
    let writes = calls.iter().filter(|call| !failed(call.outcome)).count();
    cost.extra = writes.saturating_sub(undisturbed.writes.len());
    cost.extra_at.clone_from(&cost.longest_at);
    if writes * 2 > undisturbed.writes.len() * 3 {
        let calls: Vec<String> = calls.iter().map(ToString::to_string).collect();
        cost.wasteful.push(format!("{at}: {writes} for {}: {}", undisturbed.writes.len(), calls.join("; ")));
    }
    Ok(cost)
}
