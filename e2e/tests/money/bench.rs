//! The measurement of wallets and books, tried on little: that floors run what the API runs, and that all of it is done.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::bench::wallet::{self, Plan};
use e2e::story::Story;
use e2e::{api_process, scratch};

use crate::block_on;

#[test]
fn debits_and_their_floors_run_and_large_books_verify() -> Result<()> {
    block_on(async {
        let home = scratch::folder("test-bench-wallet")?;
        let plan = Plan {
            program: api_process::program()?,
            this: env!("CARGO_BIN_EXE_dev").into(),
            dir: home.clone(),
            rounds: 1,
            part: Duration::from_millis(300),
            clients: 4,
            wallets: 20,
            transfers: 25_000,
            later: 1_000,
        };
        let report = Box::pin(wallet::run(&plan, Story::quiet())).await?;
        println!("{}", report.table());
        let figure = |what| report.figure(what).with_context(|| format!("there is a figure {what:?}"));
        let none = figure("refused or failed")?.value;
        ensure!(none == 0.0, "{none} debits failed");
        let transfers = figure("L8 transfers")?.value;
        ensure!((transfers - 26_000.0).abs() < 0.5, "{transfers} transfers");
        for what in ["L1 one wallet, one client", "L2 many wallets, many clients", "L8 verified in full"] {
            ensure!(figure(what)?.floor.is_some(), "{what}: {:?}", figure(what)?);
        }
        ensure!(report.statements.iter().any(|sql| sql.contains("transfers")), "{:?}", report.statements);
        Ok(std::fs::remove_dir_all(&home)?)
    })
}
