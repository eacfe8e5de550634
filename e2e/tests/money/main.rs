//! Money under fire: in a storm of notifications, and at the hands of many clients while everything is killed, not a rupiah is made or lost.
//!
//! A program of its own: beside the operator's stories it would keep two processors from renewing a lease.

mod bench;
mod planted;
mod toil;

use std::sync::LazyLock;

use anyhow::{Result, ensure};
use e2e::money::bank::{self, Run};
use e2e::money::checker;
use e2e::money::house::{House, Plan};
use e2e::money::storm::Storm;
use e2e::postgres::Durability;
use e2e::scratch;
use e2e::story::Story;
use tokio::runtime::Runtime;

/// Processes and clients outlive the test that made them, so they hang on no test's runtime.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().worker_threads(4).build().expect("a runtime can be had")
});

fn block_on<F: Future>(story: F) -> F::Output {
    RUNTIME.block_on(story)
}

/// Whether everything is to be proved (`just prove`), or only what fits into some minutes.
fn proves() -> bool {
    std::env::var_os("NAKHODA_PROVE").is_some_and(|value| value == "1")
}

/// The same run each time, but for ids.
const SEED: u64 = 20_261_121;

/// A number that may be set from outside.
fn setting(name: &str, usual: usize) -> Result<usize> {
    std::env::var(name).map_or(Ok(usual), |text| Ok(text.parse()?))
}

fn story() -> Story {
    if proves() { Story::aloud() } else { Story::quiet() }
}

#[test]
fn in_a_storm_of_notifications_every_wallet_is_what_the_gateways_own_book_says() -> Result<()> {
    block_on(async {
        let dir = scratch::folder("storm")?;
        let payments = setting("NAKHODA_STORM_PAYMENTS", if proves() { 200_000 } else { 600 })?;
        let customers = (payments / 15).clamp(1, 1_000);
        let plan = Plan { durability: Durability::Forgotten, customers, tells_across: false };
        let house = House::start(&dir, plan).await?;
        let (outcome, wrong) = Storm::new(&house, SEED).await?.blow(payments, story()).await?;
        println!("{outcome:#?}\n{}", outcome.rates());
        ensure!(wrong.is_empty(), "{}", checker::told(&wrong));
        ensure!(outcome.payments == payments && outcome.notifications > payments, "{outcome:?}");
        ensure!(outcome.late * 10 > outcome.payments, "{outcome:?}");
        ensure!(outcome.forged.0 * 20 >= payments && outcome.forged.1 > 0, "{outcome:?}");
        drop(house);
        std::fs::remove_dir_all(&dir)?;
        Ok(())
    })
}

#[test]
fn whatever_is_killed_nothing_acknowledged_is_lost_and_nothing_is_done_twice() -> Result<()> {
    block_on(async {
        let dir = scratch::folder("bank")?;
        let operations = setting("NAKHODA_BANK_OPERATIONS", if proves() { 1_000_000 } else { 100_000 })?;
        let house =
            House::start(&dir, Plan { durability: Durability::Kept, customers: 50, tells_across: true })
                .await?;
        let plan = bank::Plan { operations, clients: 32, kills: 5, seed: SEED };
        let run = Run::play(&house, plan, story()).await?;
        println!("{:#?}\n{}", run.outcome, run.outcome.rate());
        // Kept with the logs where something is wrong.
        run.write(&dir.join("history.jsonl"))?;
        let wrong = run.check(&house).await?;
        ensure!(wrong.is_empty(), "{} See {}", checker::told(&wrong), dir.display());
        house.verify().await?;
        ensure!(run.outcome.replicas_killed >= 2 && run.outcome.postgres_killed >= 2, "{:?}", run.outcome);
        ensure!(run.outcome.told[0] * 2 > operations, "most of it is done: {:?}", run.outcome);
        drop(house);
        std::fs::remove_dir_all(&dir)?;
        Ok(())
    })
}
