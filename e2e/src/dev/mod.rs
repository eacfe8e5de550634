//! The verbs of `cargo dev`.

mod bench;
mod cargo;
mod down;
mod logs;
mod own_cluster;
mod preflight;
mod sample;
mod sqlx;
mod stage;
mod state;
mod status;
mod story;
mod test;
mod up;
mod with_api;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

/// Nakhoda's development commands.
#[derive(Debug, Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev", version)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start everything, walk the main story once, and stay up until Ctrl-C
    Up(up::Options),
    /// Stop a running `up`; the data stays
    Down {
        /// Remove the data, the keys and the logs too
        #[arg(long)]
        purge: bool,
    },
    /// What runs, and where
    Status,
    /// Walk the main story once more beside a running `up`, as a new customer, and cancel in the end
    Story,
    /// The log of a program: operator, kube-apiserver, etcd, …
    Logs {
        /// The program; without it, the names there are
        name: Option<String>,
        /// Keep showing what is added
        #[arg(short, long)]
        follow: bool,
    },
    /// Measure the operator with many instances, beside what the same API server does without it
    Bench(bench::Options),
    /// Measure what a flood of logins does to everybody else
    BenchLogins {
        /// How many seconds each part takes
        #[arg(long, default_value_t = 20)]
        seconds: u64,
    },
    /// Measure debits of wallets and the verification of large books, beside what PostgreSQL takes for the same without the API
    BenchWallet(bench::Wallet),
    /// Serve as the floor of `bench-wallet`
    #[command(hide = true)]
    BenchWalletFloor {
        /// What it is to do
        settings: PathBuf,
    },
    /// Measure how fast background work is done
    BenchJobs(bench::JobsOptions),
    /// Write anew what is known of the API server's queries (.sqlx), from the migrations
    Sqlx {
        /// Change nothing; fail where it is not as it must be
        #[arg(long)]
        check: bool,
    },
    /// Run a command beside an API server of its own, with its address and mails in the environment
    WithApi {
        /// The command and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
    /// Run all that a contributor must: every test of the workspace
    Test {
        /// Passed on to `cargo test --workspace`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// What `up` is confined to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Only {
    /// The control plane and its nodes: no chart, no operator, no sample
    ControlPlane,
}

/// Does what was asked.
pub async fn run(args: Args) -> Result<ExitCode> {
    match args.verb {
        Verb::Up(options) => Box::pin(up::run(options)).await,
        Verb::Down { purge } => down::run(purge).await,
        Verb::Status => status::run().await,
        Verb::Story => Box::pin(story::run()).await,
        Verb::Logs { name, follow } => logs::run(name.as_deref(), follow),
        Verb::Bench(options) => Box::pin(bench::run(options)).await,
        Verb::BenchLogins { seconds } => Box::pin(bench::logins(Duration::from_secs(seconds))).await,
        Verb::BenchWallet(options) => Box::pin(bench::wallet(options)).await,
        Verb::BenchWalletFloor { settings } => bench::wallet_floor(settings).await,
        Verb::BenchJobs(options) => Box::pin(bench::jobs(options)).await,
        Verb::Sqlx { check } => sqlx::run(check).await,
        Verb::WithApi { command } => Box::pin(with_api::run(&command)).await,
        Verb::Test { arguments } => test::run(&arguments).await,
    }
}
