//! The undisturbed run: what every step writes, and what is there after it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use crds::labels;
use e2e::proxy::Call;
use e2e::wait;
use futures::future::try_join_all;
use tokio::sync::OnceCell;

use super::life::{Life, Step};
use super::operator;
use crate::world::{BOUND, RunningOperator, World, Write, block_on};

/// How many lives are compared: what differs between them is chance.
const LIVES: usize = 3;
/// Longer than plans and templates gather before they write.
const QUIET: Duration = Duration::from_millis(2500);

/// What a step does when nothing disturbs it.
pub(super) struct Undisturbed {
    /// The longest of the traces.
    pub(super) writes: Vec<Write>,
    /// Those of them that every trace has.
    common: Vec<Write>,
    /// What the API server refused; it is in no trace.
    refused: Vec<String>,
    /// The masked state after it.
    pub(super) state: String,
}

impl Undisturbed {
    /// How often a status is written depends on what the cluster tells when; what else every life has is certain.
    pub(super) fn is_certain(&self, write: &Write) -> bool {
        !write.is_of_status() && self.common.contains(write)
    }
}

/// All steps.
pub(super) type Reference = BTreeMap<Step, Undisturbed>;

static REFERENCE: OnceCell<Reference> = OnceCell::const_new();

/// The undisturbed run, made once in this process.
pub(super) async fn reference(world: &World, operator: &RunningOperator) -> Result<&'static Reference> {
    REFERENCE.get_or_try_init(|| Box::pin(run(world, operator))).await
}

async fn run(world: &World, operator: &RunningOperator) -> Result<Reference> {
    let names: Vec<String> = (1..=LIVES).map(|number| format!("calm-{number:03}")).collect();
    let lives: Vec<Life> = try_join_all(names.iter().map(|name| Life::begin(world, name))).await?;
    let mut reference = Reference::new();
    world.proxy().log().wait_quiet(&operator.own_calls(), QUIET, BOUND).await?;
    for step in Step::ALL {
        let before = world.proxy().log().mark();
        try_join_all(lives.iter().map(|life| life.perform(step))).await?;
        try_join_all(lives.iter().map(|life| life.settled(step, BOUND))).await?;
        try_join_all(lives.iter().map(|life| life.is_counted(step))).await?;
        world.proxy().log().wait_quiet(&operator.own_calls(), QUIET, BOUND).await?;
        let state = common_state(&lives, step).await?;
        let mut refused = Vec::new();
        let mut traces: Vec<Vec<Write>> = Vec::new();
        for life in &lives {
            let calls = life.writes(world, operator, before);
            let (done, not): (Vec<Call>, Vec<Call>) = calls.into_iter().partition(Call::is_committed);
            refused.extend(not.iter().map(ToString::to_string));
            traces.push(Write::all(&done, life.place()));
        }
        traces.sort_by_key(Vec::len);
        let writes = traces.pop().unwrap_or_default();
        let is_common = |write: &&Write| traces.iter().all(|trace| trace.contains(write));
        let common = writes.iter().filter(is_common).cloned().collect();
        reference.insert(step, Undisturbed { writes, common, refused, state });
    }
    Ok(reference)
}

/// The state that all lives have come to; after a deletion, once all is collected that is not data.
async fn common_state(lives: &[Life], step: Step) -> Result<String> {
    wait::until(&format!("all lives to be alike after {step:?}"), BOUND, async || {
        let states = try_join_all(lives.iter().map(Life::state)).await?;
        let alike = states.windows(2).all(|two| two[0] == two[1]);
        let collected = step != Step::Delete || !states[0].contains(labels::INSTANCE);
        Ok((alike && collected).then(|| states[0].clone()))
    })
    .await
}

#[test]
fn every_step_of_an_undisturbed_life_ends_settled_and_writes_little() -> Result<()> {
    block_on(async {
        let world = World::shared_faults().await?;
        let operator = operator(&world).await?;
        let reference = reference(&world, &operator).await?;
        println!("\nwrites of the operator, leases and events left out:");
        for (step, undisturbed) in reference {
            let writes: Vec<String> = undisturbed.writes.iter().map(ToString::to_string).collect();
            println!("{:8} {:2}  {}", format!("{step:?}"), writes.len(), writes.join(", "));
            undisturbed.refused.iter().for_each(|call| println!("{:12}refused: {call}", ""));
        }
        ensure!(reference[&Step::Stop].writes.len() <= 6, "stopping is one change of a workload");
        Ok(())
    })
}
