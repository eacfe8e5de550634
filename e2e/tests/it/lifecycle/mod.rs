//! The life of an instance, undisturbed and with every fault at every write.

mod catalogue;
mod cost;
mod counts;
mod crashes;
mod data;
mod errors;
mod life;
mod reference;

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::world::{Dns, RunningOperator, World};

/// Set (by `just prove`), every case is tried; without it, those that fit into a few minutes.
const PROVE: &str = "NAKHODA_PROVE";
/// Longer than the operator's sweep, so that one is within.
const QUIET: Duration = Duration::from_secs(50);
/// What began before it was asked for may still end.
const GRACE: Duration = Duration::from_secs(4);

/// For how long what the name server says counts, in seconds: no story here takes as long.
const TTL: u32 = 3600;

/// The name server of all stories here. A life's record is there before anybody asks for it, and stays.
static DNS: OnceCell<Dns> = OnceCell::const_new();

/// The name server, started by whoever needs it first.
async fn dns() -> Result<&'static Dns> {
    DNS.get_or_try_init(|| Dns::start(TTL)).await
}

/// Starts the operator, which asks that name server.
async fn operator(world: &World) -> Result<RunningOperator> {
    let settings = json!({"domains": {"nameservers": [dns().await?.address()]}});
    world.operator_with("a", &settings).await
}

/// Limits that no story here reaches.
fn roomy() -> Value {
    json!({"instances": 100, "cpu": "100", "memory": "400Gi", "storage": "4Ti"})
}

/// Whether every case is to be tried.
fn proves() -> bool {
    std::env::var_os(PROVE).is_some_and(|value| value == "1")
}

/// Waits for a long time without a write: what has converged is left alone.
async fn stays_quiet(world: &World, operator: &RunningOperator) -> Result<()> {
    world.proxy().log().wait_quiet(&operator.own_calls(), QUIET, QUIET + GRACE).await?;
    prints(&format!("and 0 writes in the {} s after it", QUIET.as_secs()));
    Ok(())
}

/// A line of a table, for whoever runs the tests with `--nocapture`.
fn prints(line: &str) {
    println!("{line}");
}
