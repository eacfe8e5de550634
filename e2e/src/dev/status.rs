//! `cargo dev status`.

use std::process::ExitCode;

use anyhow::Result;
use crds::ServiceInstance;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::state;
use crate::cluster::Cluster;

/// Prints what runs and where; fails when nothing does.
pub(super) async fn run() -> Result<ExitCode> {
    let dir = state::dir();
    let Some(pid) = state::holder(&dir)? else {
        println!("nothing runs here; `cargo dev up` starts it");
        return Ok(ExitCode::FAILURE);
    };
    println!("up (process {pid})");
    for (entry, alive) in state::recorded(&dir) {
        println!("  {:24} {:>8}  {}", entry.name, entry.pid, if alive { "runs" } else { "has ended" });
    }
    let cluster = Cluster::attach(&dir)?;
    let version = cluster.admin().await?.apiserver_version().await?;
    println!("API server {} at {}", version.git_version, cluster.server().url);
    println!("KUBECONFIG {}", cluster.kubeconfig("admin").display());
    println!("logs       {}", cluster.logs().display());
    let instances = Api::<ServiceInstance>::all(cluster.admin().await?).list(&ListParams::default()).await;
    for instance in instances.into_iter().flatten() {
        let phase = instance.status.as_ref().and_then(|status| status.phase);
        let phase = phase.map_or_else(|| "without a status".to_owned(), |phase| format!("{phase:?}"));
        let namespace = instance.namespace().unwrap_or_default();
        println!("instance   {namespace}/{} {phase} (on simulated nodes)", instance.name_any());
    }
    Ok(ExitCode::SUCCESS)
}
