//! The operator's program.

use anyhow::Context as _;
use clap::Parser as _;
use operator::{
    args::{Cli, Command, Run},
    lint, settings,
};
use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

fn main() -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    match Cli::parse().command {
        Command::Run(arguments) => {
            drop(out);
            run(arguments).map(|()| ExitCode::SUCCESS)
        }
        Command::LintTemplate(arguments) => lint::command::run(&arguments, &mut out),
        Command::CheckSettings(arguments) => settings::command::check(&arguments, &mut out),
        Command::SettingsSchema(arguments) => settings::command::write_schema(&arguments, &mut out),
    }
}

fn run(run: Run) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,kube_runtime=warn"));
    let registry = tracing_subscriber::registry().with(filter);
    if io::stderr().is_terminal() {
        registry.with(tracing_subscriber::fmt::layer().with_writer(io::stderr)).init();
    } else {
        registry.with(tracing_subscriber::fmt::layer().json().with_writer(io::stderr)).init();
    }
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.install_default().ok().context("a TLS provider was installed twice")?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(operator::run(run))
}
