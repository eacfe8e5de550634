//! containerd with runc, Debian's, and the images that are brought to it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::house::House;
use crate::process::Process;
use crate::wait;

/// The image of which each pod's first container is made; it does nothing but wait.
pub(super) const PAUSE: &str = "nakhoda.local/pause:1";
const SOCKET: &str = "/run/containerd/containerd.sock";
const READY: Duration = Duration::from_secs(30);
const SETTINGS: &str = include_str!("containerd.toml");
/// The bridge between pods, its addresses, and ports of the node.
const NETWORK: &str = include_str!("network.json");

/// Starts it, and returns when it answers.
pub(super) async fn start(house: &House) -> Result<Process> {
    house.write("cni/10-nakhoda.conflist", NETWORK)?;
    let settings = house.write("containerd.toml", &SETTINGS.replace("PAUSE", PAUSE))?;
    let process =
        house.start("containerd", Path::new("containerd"), vec!["--config".into(), settings.into()])?;
    wait::until("containerd", READY, async || {
        process.check()?;
        Ok(ctr(house, &["version"]).ok().map(drop))
    })
    .await?;
    Ok(process)
}

/// The socket, for a kubelet.
pub(super) fn endpoint() -> String {
    format!("unix://{SOCKET}")
}

/// The names of all images that are there.
pub(super) fn images(house: &House) -> Result<BTreeSet<String>> {
    Ok(ctr(house, &["images", "list", "--quiet"])?.lines().map(str::to_owned).collect())
}

/// Brings an archive in.
pub(super) fn import(house: &House, archive: &Path) -> Result<()> {
    let archive = archive.to_str().context("the path of an image is text")?;
    ctr(house, &["images", "import", archive]).map(drop)
}

/// Asks every container to end, and waits until all have, or the time is over.
pub(super) fn end_all(house: &House, within: Duration) -> Result<()> {
    let tasks = ctr(house, &["tasks", "list"])?;
    let mut waits = String::new();
    for task in tasks.lines().skip(1) {
        let mut columns = task.split_whitespace();
        let (Some(id), Some(pid), Some("RUNNING")) = (columns.next(), columns.next(), columns.next()) else {
            continue;
        };
        // One that has just ended is not asked.
        let _ = ctr(house, &["tasks", "kill", "--signal", "SIGTERM", id]);
        waits.push_str("tail --follow /dev/null --pid=");
        waits.push_str(pid);
        waits.push(';');
    }
    house.run("timeout", &[&within.as_secs().to_string(), "sh", "-c", &waits]).map(drop)
}

fn ctr(house: &House, args: &[&str]) -> Result<String> {
    house.run("ctr", &[&["--address", SOCKET, "--namespace", "k8s.io"], args].concat())
}
