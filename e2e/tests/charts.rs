//! The chart as Helm renders it, without a cluster: what the operator is told is what was set.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use e2e::operator_process::program;
use e2e::repository;
use e2e::story::Story;
use e2e::tools::Tools;
use serde_json::Value;

/// `helm template` of the chart with these values over its own.
fn render(values: &str) -> Result<Output> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("values.yaml");
    fs::write(&file, values)?;
    let mut helm = Command::new(Tools::find_or_build_helm(Story::quiet())?);
    helm.args(["template", "nakhoda"]).arg(repository::root().join("charts/nakhoda"));
    helm.args(["--namespace", "nakhoda-system", "--values"]).arg(&file);
    for kind in ["CACHE", "CONFIG", "DATA"] {
        helm.env(format!("HELM_{kind}_HOME"), folder.path().join(kind));
    }
    Ok(helm.env_remove("KUBECONFIG").output()?)
}

/// The settings file that the operator would be given.
fn settings_in(rendered: &Output) -> Result<String> {
    ensure!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
    for document in String::from_utf8_lossy(&rendered.stdout).split("\n---\n") {
        let object: Value = serde_yaml::from_str(document)?;
        if object["kind"] == "ConfigMap" && object["metadata"]["name"] == "nakhoda-operator" {
            return Ok(object["data"]["config.yaml"].as_str().context("it has a config.yaml")?.to_owned());
        }
    }
    anyhow::bail!("there is no ConfigMap of the operator")
}

/// What the operator itself reads in a settings file.
fn in_force(file: &Path) -> Result<Value> {
    let output = Command::new(program()?).arg("check-settings").arg(file).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_yaml::from_str(&String::from_utf8_lossy(&output.stdout))?)
}

#[test]
fn what_is_set_under_config_is_in_force() -> Result<()> {
    let values = "zone: apps.example.com
config:
  unsubscribed: allow
  storageClassName: fast
  concurrency: {tenants: 3}
  network: {closedRanges: [10.0.0.0/8, fd00::/8]}
";
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("config.yaml");
    fs::write(&file, settings_in(&render(values)?)?)?;
    let settings = in_force(&file)?;
    assert_eq!(settings["zone"], "apps.example.com");
    assert_eq!(settings["unsubscribed"], "allow");
    assert_eq!(settings["storageClassName"], "fast");
    assert_eq!(settings["concurrency"], serde_json::json!({"tenants": 3, "instances": 16}));
    assert_eq!(settings["network"]["closedRanges"], serde_json::json!(["10.0.0.0/8", "fd00::/8"]));
    assert!(settings["ingress"]["from"].is_array(), "what the chart's own values say stays: {settings}");
    Ok(())
}

#[test]
fn helm_refuses_what_the_operator_would_refuse() -> Result<()> {
    for (values, part) in [
        ("config: {unsubscribd: allow}", "unsubscribd"),
        ("config: {unsubscribed: maybe}", "unsubscribed"),
        ("config: {concurrency: {tenants: 0}}", "tenants"),
        ("config: {ingress: {from: [{podSelectr: {}}]}}", "podSelectr"),
        ("config: {zone: other.example.com}", "zone"),
        ("zone: UPPER.example.com", "zone"),
        ("operatr: {}", "operatr"),
    ] {
        let rendered = render(values)?;
        let said = String::from_utf8_lossy(&rendered.stderr);
        assert!(!rendered.status.success() && said.contains(part), "{values}: {said}");
    }
    Ok(())
}
