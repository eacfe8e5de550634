//! Calls cargo: to build what is run here, and to run the tests.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use tokio::process::Command;

use crate::repository;

/// Builds the operator, with the features the tests' build has so that nothing is built twice, and returns the program's path. Cargo's own lines are shown.
pub(super) async fn build_operator() -> Result<PathBuf> {
    let mut built = build(&["--bin", "operator"], &["operator"]).await?;
    built.pop().context("cargo built the operator and does not say where")
}

/// Builds the API server and returns the program's path.
pub(super) async fn build_api_server() -> Result<PathBuf> {
    let mut built = build(&["--bin", "api-server"], &["api-server"]).await?;
    built.pop().context("cargo built the API server and does not say where")
}

/// Builds the operator and this program as they are shipped, and returns their paths in this order.
pub(super) async fn build_optimised() -> Result<[PathBuf; 2]> {
    let built = build(&["--release", "--bin", "operator", "--bin", "dev"], &["operator", "dev"]).await?;
    built.try_into().map_err(|_| anyhow!("cargo built operator and dev and does not say where"))
}

/// Builds the API server and this program as they are shipped, and returns their paths in this order.
pub(super) async fn build_optimised_api() -> Result<[PathBuf; 2]> {
    let built = build(&["--release", "--bin", "api-server", "--bin", "dev"], &["api-server", "dev"]).await?;
    built.try_into().map_err(|_| anyhow!("cargo built api-server and dev and does not say where"))
}

/// Builds programs of the workspace; the paths of those named, in their order.
async fn build(arguments: &[&str], programs: &[&str]) -> Result<Vec<PathBuf>> {
    let mut command = cargo(&["build", "--workspace", "--locked"]);
    command.args(arguments);
    command.arg("--message-format=json-render-diagnostics").stdout(Stdio::piped());
    let built = command.spawn().context("cannot run cargo")?.wait_with_output().await?;
    if !built.status.success() {
        bail!("{} does not build: see above", programs.join(" and "));
    }
    let text = String::from_utf8_lossy(&built.stdout);
    let messages: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let path = |program: &&str| {
        messages.iter().find_map(|message| {
            let ours = message["target"]["name"] == **program && message["target"]["kind"][0] == "bin";
            ours.then(|| message["executable"].as_str().map(PathBuf::from)).flatten()
        })
    };
    Ok(programs.iter().filter_map(path).collect())
}

/// Runs all tests of the workspace; the runner's own summary is the last thing printed.
pub(super) async fn test(arguments: &[OsString], env: &[(&str, OsString)]) -> Result<ExitStatus> {
    let mut command = cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
    // A test that looks for a cluster must not find somebody's own.
    command.env_remove("KUBECONFIG");
    command.args(arguments).envs(env.iter().map(|(name, value)| (name, value)));
    command.status().await.context("cannot run cargo")
}

/// Checks a package of the workspace, with variables of its own.
pub(super) async fn check(package: &str, env: &[(&str, OsString)]) -> Result<ExitStatus> {
    let mut command = cargo(&["check", "--locked", "--package", package]);
    command.envs(env.iter().map(|(name, value)| (name, value)));
    command.status().await.context("cannot run cargo")
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(repository::root()).stdin(Stdio::null()).kill_on_drop(true);
    // Set for `cargo dev` itself; tests of another package must not see them.
    command.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_PKG_NAME");
    command
}
