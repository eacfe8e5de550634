//! What a real node takes of this machine: Linux, root, and Debian's packages.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use nix::unistd::geteuid;

use crate::story::Story;

/// A program and the package that has it.
const PROGRAMS: [(&str, &str); 12] = [
    ("/usr/bin/containerd", "containerd"),
    ("/usr/bin/ctr", "containerd"),
    ("/usr/sbin/runc", "runc"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("/usr/bin/catatonit", "catatonit"),
    ("/usr/sbin/iptables", "iptables"),
    ("/usr/sbin/ipset", "ipset"),
    ("/usr/sbin/conntrack", "conntrack"),
    ("/usr/sbin/debootstrap", "debootstrap"),
    ("/usr/bin/busybox", "busybox-static"),
    ("/usr/bin/unshare", "util-linux"),
    ("/usr/bin/ip", "iproute2"),
];

/// Fails where a node can't be had; installs the packages that are missing.
pub(super) fn install(story: Story) -> Result<()> {
    if !geteuid().is_root() {
        bail!(
            "a real node takes root: it makes namespaces, control groups and network devices. Run it as root, or without --real-node"
        );
    }
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!("`apt-get install {}`", missing.join(" "));
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!("a real node takes what Debian has as {}; here is no apt-get", missing.join(", "));
    }
    story.step(format!("a real node takes {}: installing Debian's packages", missing.join(", ")));
    let install = [&["install", "--yes", "--no-install-recommends"][..], &missing].concat();
    for arguments in [&["update"][..], &install] {
        let mut command = Command::new("apt-get");
        command.arg("--quiet").args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        let done = command.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
        if !done.success() {
            bail!("apt-get {} failed: try {by_hand}", arguments.join(" "));
        }
    }
    Ok(())
}

fn missing() -> Vec<&'static str> {
    let mut missing: Vec<&str> =
        PROGRAMS.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect();
    missing.dedup();
    missing
}

/// Debian is of two minds about `/sbin`.
fn is_there(program: &str) -> bool {
    Path::new(program).exists() || Path::new(program.trim_start_matches("/usr")).exists()
}
