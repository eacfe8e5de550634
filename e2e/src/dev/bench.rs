//! `cargo dev bench`.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result};

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
    if let Some(path) = options.output {
        let text = serde_json::to_string_pretty(&report)? + "\n";
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
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
