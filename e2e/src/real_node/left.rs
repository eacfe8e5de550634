//! What may be left of a node on this machine once it has ended.

use std::fs;

use anyhow::Result;

use super::{cgroups, wire};

/// Programs that run in a node's namespaces, and nowhere else of ours.
const PROGRAMS: [&str; 8] = [
    "kubelet",
    "kube-proxy",
    "containerd",
    "containerd-shim",
    "coredns",
    "kube-router",
    "local-path-prov",
    "traefik",
];

/// Everything that is there: control groups, network devices, mounts, processes in other namespaces than ours.
pub(super) fn find() -> Result<Vec<String>> {
    let mut left: Vec<String> =
        cgroups::there()?.into_iter().map(|group| format!("control group {}", group.display())).collect();
    for device in fs::read_dir("/sys/class/net")?.flatten() {
        let name = device.file_name().to_string_lossy().into_owned();
        if wire::is_ours(&name) {
            left.push(format!("network device {name}"));
        }
    }
    for mount in fs::read_to_string("/proc/self/mountinfo")?.lines() {
        let place = mount.split_whitespace().nth(4).unwrap_or_default();
        if place.starts_with("/var/lib/kubelet")
            || place.starts_with("/run/containerd")
            || place.ends_with("/node/lib")
        {
            left.push(format!("mount {place}"));
        }
    }
    left.extend(strangers()?);
    Ok(left)
}

/// Programs of nodes in a network that is not ours.
fn strangers() -> Result<Vec<String>> {
    let ours = fs::read_link("/proc/self/ns/net")?;
    let mut found = Vec::new();
    for process in fs::read_dir("/proc")?.flatten() {
        let path = process.path();
        // It may end while it is looked at.
        let (Ok(name), Ok(network)) =
            (fs::read_to_string(path.join("comm")), fs::read_link(path.join("ns/net")))
        else {
            continue;
        };
        if network != ours && PROGRAMS.contains(&name.trim()) {
            found.push(format!("process {} {}", path.display(), name.trim()));
        }
    }
    Ok(found)
}
