//! Installs the charts as production does: with Helm.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt};
use tokio::process::Command;

use crate::cluster::Cluster;
use crate::{repository, wait};

/// The namespace of the operator and the API server.
pub const NAMESPACE: &str = "nakhoda-system";
/// How long one chart may take.
const BOUND: Duration = Duration::from_mins(2);
/// What the harness runs as processes of this machine, the chart must not deploy.
const VALUES: [&str; 2] = ["operator.deploy=false", "apiServer.deploy=false"];

/// Installs or upgrades the resource types, waits until they are served, then the rest.
pub async fn install(helm: &Path, cluster: &Cluster) -> Result<()> {
    install_types(helm, cluster).await?;
    upgrade(helm, cluster, "nakhoda", repository::root().join("charts/nakhoda"), &VALUES).await
}

/// Installs or upgrades the resource types alone, and waits until they are served.
pub async fn install_types(helm: &Path, cluster: &Cluster) -> Result<()> {
    upgrade(helm, cluster, "nakhoda-crds", repository::root().join("charts/nakhoda-crds"), &[]).await?;
    until_established(cluster).await
}

/// Forgets installations a killed `up` left half-way: Helm would refuse to go on. Only where nobody
/// else installs.
pub async fn forget_unfinished(cluster: &Cluster) -> Result<()> {
    let releases: Api<Secret> = Api::namespaced(cluster.admin().await?, NAMESPACE);
    let unfinished = "owner=helm,status in (pending-install,pending-upgrade,pending-rollback)";
    releases.delete_collection(&DeleteParams::default(), &ListParams::default().labels(unfinished)).await?;
    Ok(())
}

async fn upgrade(
    helm: &Path,
    cluster: &Cluster,
    release: &str,
    chart: PathBuf,
    values: &[&str],
) -> Result<()> {
    let mut command = Command::new(helm);
    command.args(["upgrade", "--install", release]).arg(&chart);
    command.args(["--namespace", NAMESPACE, "--create-namespace"]);
    command.arg("--kubeconfig").arg(cluster.kubeconfig("admin"));
    for value in values {
        command.args(["--set", value]);
    }
    // Helm's own settings of the user are left alone.
    for kind in ["CACHE", "CONFIG", "DATA"] {
        command.env(format!("HELM_{kind}_HOME"), cluster.dir().join("helm").join(kind.to_lowercase()));
    }
    command.env_remove("KUBECONFIG").stdin(Stdio::null()).kill_on_drop(true);
    let output = wait::within(&format!("helm to install {release}"), BOUND, command.output()).await?;
    if !output.status.success() {
        bail!(
            "helm could not install {}:\n{}",
            chart.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

async fn until_established(cluster: &Cluster) -> Result<()> {
    let types: Api<CustomResourceDefinition> = Api::all(cluster.admin().await?);
    let ours = types.list(&ListParams::default()).await.context("cannot list the resource types")?;
    for one in ours.items.iter().filter(|one| one.spec.group == crds::GROUP) {
        let name = one.name_any();
        let established = await_condition(types.clone(), &name, is_crd_established());
        wait::within(&format!("{name} to be served"), BOUND, established).await?;
    }
    Ok(())
}
