//! The operator's program.

use anyhow::Context as _;
use clap::Parser as _;
use operator::args::{Cli, Command};
use std::io::IsTerminal as _;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

fn main() -> anyhow::Result<()> {
    let Command::Run(run) = Cli::parse().command;
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,kube_runtime=warn"));
    let registry = tracing_subscriber::registry().with(filter);
    if std::io::stderr().is_terminal() {
        registry.with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr)).init();
    } else {
        registry.with(tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr)).init();
    }
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.install_default().ok().context("a TLS provider was installed twice")?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(operator::run(run))
}
