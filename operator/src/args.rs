//! The command line.

use crate::{
    lint::command::LintTemplate,
    settings::command::{CheckSettings, SettingsSchema},
};
use clap::{Args, Parser, Subcommand};
use std::{net::SocketAddr, path::PathBuf};

/// Nakhoda's Kubernetes operator.
#[derive(Debug, Parser)]
#[command(name = "operator", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Converge tenants and instances until stopped.
    Run(Run),
    /// Say what is wrong, dangerous or unwise in templates and plans, without a cluster.
    LintTemplate(LintTemplate),
    /// Print the settings that a file puts in force, or everything that is wrong with it.
    CheckSettings(CheckSettings),
    /// Print the settings' JSON Schema.
    SettingsSchema(SettingsSchema),
}

/// How to run.
#[derive(Debug, Args)]
pub struct Run {
    /// The settings file.
    #[arg(long, env = "NAKHODA_CONFIG", default_value = "config/default.yaml")]
    pub config: PathBuf,
    /// Where health and metrics are served.
    #[arg(long, env = "NAKHODA_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// The name of this replica in the leader election; in a cluster, the pod's.
    #[arg(long, env = "POD_NAME")]
    pub identity: String,
    /// The namespace that the operator lives in.
    #[arg(long, env = "POD_NAMESPACE", default_value = "nakhoda-system")]
    pub namespace: String,
    /// Moves the operator's clock by so many seconds: only for tests of a wrong clock.
    #[arg(long, hide = true, default_value_t = 0, allow_negative_numbers = true)]
    pub clock_offset_seconds: i64,
    /// Stands for a newer operator that builds pods otherwise: only for tests of an upgrade.
    #[arg(long, hide = true)]
    pub pod_note: Option<String>,
}
