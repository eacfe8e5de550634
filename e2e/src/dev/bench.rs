//! `cargo dev bench`.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use super::{cargo, preflight, state};
use crate::bench::{self, Plan};
use crate::story::Story;
use crate::{disk, repository, scratch};

/// Free space that a run wants, in bytes: most of it is the audit log.
const ROOM: u64 = 6 * disk::GIB;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// How many instances
    #[arg(long, default_value_t = 1000)]
    instances: usize,
    /// How many tenants they belong to
    #[arg(long, default_value_t = 100)]
    tenants: usize,
    /// The plans that they are ordered by, in turn
    #[arg(long, value_delimiter = ',', default_value = "postgresql-small")]
    plans: Vec<String>,
    /// How many writers the floor has; the operator's own number of reconciles at once is 16
    #[arg(long, default_value_t = 16)]
    writers: usize,
    /// For how many seconds the idle operator is looked at
    #[arg(long, default_value_t = 60)]
    idle: u64,
    /// Measure this operator in the place of the one that is built here
    #[arg(long)]
    program: Option<PathBuf>,
    /// Write the figures to this file, too, as JSON
    #[arg(long)]
    output: Option<PathBuf>,
}

/// Free space that large books want for each transfer, in bytes: its rows and indexes, and what is written on the way.
const ROOM_OF_BOOKS: u64 = 1200;

#[derive(Debug, clap::Args)]
pub(super) struct Wallet {
    /// How often each rate is taken, in turn with its floor; the middle one counts; 0 leaves debits out
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// For how many seconds it is taken each time
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How many clients are many
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// How many wallets are many
    #[arg(long, default_value_t = 10_000)]
    wallets: usize,
    /// How many transfers the books have; 0 leaves them out
    #[arg(long, default_value_t = 10_000_000)]
    transfers: u64,
    /// How many come after the checkpoint
    #[arg(long, default_value_t = 100_000)]
    later: u64,
    /// Measure this API server in the place of the one that is built here
    #[arg(long, env = "NAKHODA_API_SERVER")]
    program: Option<PathBuf>,
    /// Write the figures to this file, too, as JSON
    #[arg(long)]
    output: Option<PathBuf>,
}

/// Builds the programs as they are shipped, measures, and prints the table. A figure fails nothing.
pub(super) async fn run(options: Options) -> Result<ExitCode> {
    let [program, this] = cargo::build_optimised().await?;
    become_optimised(&this)?;
    let story = Story::aloud();
    let dir = repository::root().join(".dev/bench");
    let _lock = state::Lock::take(&dir)?;
    preflight::check(story)?;
    disk::require_free(&dir, ROOM, "the audit log of a long run")?;
    let data = dir.join("data");
    if data.exists() {
        std::fs::remove_dir_all(&data).with_context(|| format!("cannot remove {}", data.display()))?;
    }
    let plan = Plan {
        instances: options.instances,
        tenants: options.tenants,
        plans: options.plans,
        writers: options.writers.max(1),
        idle: Duration::from_secs(options.idle),
        program: options.program.unwrap_or(program),
        dir: data.clone(),
    };
    let report = Box::pin(bench::run(&plan, story)).await?;
    println!("\n{}", report.table());
    write(options.output.as_deref(), &report)?;
    // Kept when something failed: the logs say why.
    std::fs::remove_dir_all(&data).with_context(|| format!("cannot remove {}", data.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Goes on as the optimised build of this program: what was not optimised would slow down the floor, and not what is measured.
fn become_optimised(this: &Path) -> Result<()> {
    if !cfg!(debug_assertions) {
        return Ok(());
    }
    let error = Command::new(this).args(std::env::args_os().skip(1)).exec();
    Err(error).context("cannot run the program that was built to measure with")
}

/// Builds the API server as it is shipped, floods it with logins, and prints the table. A figure fails nothing.
pub(super) async fn logins(part: Duration) -> Result<ExitCode> {
    let [program, this] = cargo::build_optimised_api().await?;
    become_optimised(&this)?;
    let story = Story::aloud();
    preflight::check(story)?;
    let home = scratch::folder("bench-logins")?;
    let table = bench::logins::run(&program, &home, bench::logins::Plan { part }, story).await;
    std::fs::remove_dir_all(&home).with_context(|| format!("cannot remove {}", home.display()))?;
    println!("\n{}", table?);
    Ok(ExitCode::SUCCESS)
}

/// Measures wallets and books, and prints the table. A figure fails nothing.
pub(super) async fn wallet(options: Wallet) -> Result<ExitCode> {
    let [program, this] = match options.program {
        // All that is measured is there already.
        Some(program) if !cfg!(debug_assertions) => [program, std::env::current_exe()?],
        other => {
            let [built, this] = cargo::build_optimised_api().await?;
            become_optimised(&this)?;
            [other.unwrap_or(built), this]
        }
    };
    let story = Story::aloud();
    preflight::check(story)?;
    let home = scratch::folder("bench-wallet")?;
    disk::require_free(&home, disk::GIB + options.transfers * ROOM_OF_BOOKS, "large books")?;
    let plan = bench::wallet::Plan {
        program,
        this,
        dir: home.clone(),
        rounds: options.rounds,
        part: Duration::from_secs(options.seconds.max(1)),
        clients: options.clients.max(1),
        wallets: options.wallets.max(1),
        transfers: options.transfers,
        later: options.later,
    };
    let report = Box::pin(bench::wallet::run(&plan, story)).await;
    std::fs::remove_dir_all(&home).with_context(|| format!("cannot remove {}", home.display()))?;
    let report = report?;
    println!("\n{}", report.table());
    write(options.output.as_deref(), &report)?;
    Ok(ExitCode::SUCCESS)
}

/// Serves as the floor of debits, until it is killed.
pub(super) async fn wallet_floor(settings: PathBuf) -> Result<ExitCode> {
    bench::wallet::serve_floor(settings).await?;
    Ok(ExitCode::SUCCESS)
}

/// Writes what was measured to a file, where one is wanted.
fn write(path: Option<&Path>, report: &impl Serialize) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let text = serde_json::to_string_pretty(report)? + "\n";
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[derive(Debug, clap::Args)]
pub(super) struct JobsOptions {
    /// How many jobs are pending
    #[arg(long, default_value_t = 100_000)]
    jobs: usize,
    /// Measure this API server in the place of the one that is built here
    #[arg(long)]
    program: Option<PathBuf>,
}

/// Builds the API server as it is shipped, lets it do many jobs, and prints the table. A figure fails nothing.
pub(super) async fn jobs(options: JobsOptions) -> Result<ExitCode> {
    let program = match options.program {
        Some(program) => program,
        None => cargo::build_optimised_api().await?[0].clone(),
    };
    let story = Story::aloud();
    preflight::check(story)?;
    let home = scratch::folder("bench-jobs")?;
    let table =
        bench::jobs::run(&program, &home, bench::jobs::Plan { jobs: options.jobs.max(1) }, story).await;
    std::fs::remove_dir_all(&home).with_context(|| format!("cannot remove {}", home.display()))?;
    println!("\n{}", table?);
    Ok(ExitCode::SUCCESS)
}
