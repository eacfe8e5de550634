//! The operator killed before and after every write of every step, started again, left alone.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::proxy::Action;
use futures::future::try_join_all;

use super::life::{Life, Step};
use super::reference::{Reference, reference};
use super::{operator, prints, stays_quiet};
use crate::world::{BOUND, RunningOperator, World, Write, block_on};

/// How long a write may take to come.
const COMES: Duration = Duration::from_secs(10);
/// How long after the last write of a step no further one comes.
const QUIET: Duration = Duration::from_secs(4);
/// How long it may take from the start after a kill.
const CONVERGES: Duration = Duration::from_secs(30);

/// One kill.
#[derive(Clone)]
struct Case {
    write: Write,
    action: Action,
}

/// What became of the cases.
#[derive(Default)]
struct Count {
    killed: usize,
    missed: Vec<String>,
    took: Duration,
}

#[test]
fn killed_before_or_after_any_write_it_ends_in_the_same_state() -> Result<()> {
    block_on(async {
        let world = World::shared_faults().await?;
        let operator = operator(&world).await?;
        let reference = reference(&world, &operator).await?;
        let begun = Instant::now();
        let lives = Step::ALL.iter().map(|step| cases(reference, *step).len()).max().unwrap_or_default();
        let names: Vec<String> = (1..=lives).map(|number| format!("kill-{number:03}")).collect();
        let lives: Vec<Life> = try_join_all(names.iter().map(|name| Life::begin(&world, name))).await?;
        prints("killed before and after a write:");
        let mut all = Count::default();
        for step in Step::ALL {
            let count = step_by_step(&world, &operator, &lives, reference, step).await?;
            let name = format!("{step:?}");
            let (killed, missed, took) = (count.killed, count.missed.len(), count.took.as_secs());
            prints(&format!("{name:8} {killed:3} kills in {took:2} s, {missed} did not come"));
            all.killed += count.killed;
            all.missed.extend(count.missed);
        }
        try_join_all(lives.iter().map(|life| life.is_counted(Step::Restore))).await?;
        let took = begun.elapsed().as_secs();
        prints(&format!("in all   {:3} kills in {took} s; did not come: {:?}", all.killed, all.missed));
        stays_quiet(&world, &operator).await?;
        ensure!(all.missed.len() * 10 <= all.killed, "too many writes did not come: {:?}", all.missed);
        Ok(())
    })
}

/// The cases of a step.
fn cases(reference: &Reference, step: Step) -> Vec<Case> {
    let writes = reference[&step].writes.iter();
    let both = writes.flat_map(|write| {
        [Action::CrashBefore, Action::CrashAfter].map(|action| Case { write: write.clone(), action })
    });
    both.collect()
}

/// Takes every life through the step: one case each, one after the other, for there is one operator; the others
/// undisturbed.
async fn step_by_step(
    world: &World,
    operator: &RunningOperator,
    lives: &[Life],
    reference: &Reference,
    step: Step,
) -> Result<Count> {
    let cases = cases(reference, step);
    let (expected, begun) = (reference[&step].state.as_str(), Instant::now());
    let mut count = Count::default();
    for (life, case) in lives.iter().zip(&cases) {
        let what = format!("{step:?}: {:?} at {}", case.action, case.write);
        if killed(world, operator, life, step, case, expected).await.with_context(|| what.clone())? {
            count.killed += 1;
        } else {
            ensure!(!reference[&step].is_certain(&case.write), "{what}: the write did not come");
            count.missed.push(what);
        }
    }
    let rest = &lives[cases.len()..];
    try_join_all(rest.iter().map(|life| life.perform(step))).await?;
    try_join_all(rest.iter().map(|life| life.is_as(step, expected, BOUND))).await?;
    count.took = begun.elapsed();
    Ok(count)
}

/// Whether the kill took place. Either way the life has come to the expected state, with all its data.
async fn killed(
    world: &World,
    operator: &RunningOperator,
    life: &Life,
    step: Step,
    case: &Case,
    expected: &str,
) -> Result<bool> {
    let before = life.data().await?;
    let rule = world.proxy().add_rule(case.write.rule(life.place(), case.action.clone()));
    life.perform(step).await?;
    tokio::select! {
        // Counted below.
        _ = rule.wait_hits(1, COMES) => {}
        Ok(()) = is_over(world, operator, life, step) => {}
    }
    rule.remove();
    let killed = rule.hits() > 0;
    let mut data = before;
    if killed {
        operator.crashed().await?;
        data.extend(life.data().await?);
        operator.restart().await?;
    }
    life.is_as(step, expected, CONVERGES).await?;
    life.still_has(&data).await?;
    Ok(killed)
}

/// Waits until a step is done and nothing follows.
async fn is_over(world: &World, operator: &RunningOperator, life: &Life, step: Step) -> Result<()> {
    life.settled(step, COMES).await?;
    world.proxy().log().wait_quiet(&operator.own_calls(), QUIET, COMES).await?;
    Ok(())
}
