//! The control groups below which everything of the node runs. They outlive processes, so somebody who outlives the harness
//! takes them away.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

const ROOT: &str = "/sys/fs/cgroup";
/// What the names of all nodes' groups begin with.
const PREFIX: &str = "nakhoda-node-";
const JANITOR: &str = include_str!("janitor.sh");

/// The groups of one node. Dropping it waits until they are gone; the node must have ended before.
#[derive(Debug)]
pub(super) struct Groups {
    name: String,
    janitor: Child,
}

impl Groups {
    /// Makes those of the node with that number, and starts who takes them away in the end, together with its network device.
    pub(super) fn make(slot: u8, device: &str) -> Result<Self> {
        let name = &format!("{PREFIX}{slot}");
        let janitor = Command::new("/bin/sh")
            .args(["-c", JANITOR, "janitor", name, device])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Not in the terminal's group: a Ctrl-C is for the harness.
            .process_group(0)
            .spawn()
            .context("cannot start a shell")?;
        let groups = Self { name: name.to_owned(), janitor };
        for hierarchy in hierarchies()? {
            make(&hierarchy, name)?;
        }
        Ok(groups)
    }

    /// The name, as a kubelet wants it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Groups {
    /// What a container's control group has in use, in bytes, without inactive files.
    pub(super) fn memory_in_use(&self, pod: &str, container: &str) -> Result<f64> {
        let root = Path::new(ROOT);
        let of = |top: PathBuf| find(&top.join(&self.name), pod, container);
        let (group, usage, inactive) = match of(root.join("memory")) {
            Some(group) => (group, "memory.usage_in_bytes", "total_inactive_file "),
            None => {
                (of(root.to_owned()).context("no such control group")?, "memory.current", "inactive_file ")
            }
        };
        let used: f64 = fs::read_to_string(group.join(usage))?.trim().parse()?;
        let stat = fs::read_to_string(group.join("memory.stat"))?;
        let idle = stat.lines().find_map(|line| line.strip_prefix(inactive)).unwrap_or("0");
        Ok(used - idle.parse::<f64>()?)
    }
}

/// The folder of a container below that of its pod.
fn find(top: &Path, pod: &str, container: &str) -> Option<PathBuf> {
    for entry in
        fs::read_dir(top).ok()?.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
    {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.contains(pod) && path.join(container).is_dir() {
            return Some(path.join(container));
        }
        if let Some(found) = find(&path, pod, container) {
            return Some(found);
        }
    }
    None
}

impl Drop for Groups {
    fn drop(&mut self) {
        drop(self.janitor.stdin.take());
        // It gives up by itself.
        let _ = self.janitor.wait();
    }
}

/// The groups of nodes that are there.
pub(super) fn there() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for hierarchy in hierarchies()? {
        let groups = fs::read_dir(hierarchy)?.flatten();
        found.extend(
            groups
                .filter(|group| group.file_name().to_string_lossy().starts_with(PREFIX))
                .map(|group| group.path()),
        );
    }
    Ok(found)
}

/// Removes the groups of nodes that are gone: without a process, and without the network device of their number. Their names.
pub(super) fn remove_dead() -> Vec<String> {
    let mut removed = std::collections::BTreeSet::new();
    for hierarchy in hierarchies().unwrap_or_default() {
        for group in fs::read_dir(hierarchy).into_iter().flatten().flatten() {
            let name = group.file_name().to_string_lossy().into_owned();
            let Some(number) = name.strip_prefix(PREFIX) else { continue };
            let lives = Path::new("/sys/class/net").join(super::wire::device_of(number)).exists();
            if !lives && remove(&group.path()) {
                removed.insert(name);
            }
        }
    }
    removed.into_iter().collect()
}

/// Removes a group and those below it; whether it is gone. One with processes stays.
fn remove(group: &Path) -> bool {
    let below = fs::read_dir(group).into_iter().flatten().flatten();
    for entry in below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove(&entry.path());
    }
    fs::remove_dir(group).is_ok()
}

/// The folders of all hierarchies: one (version 2), or one for each controller (version 1).
fn hierarchies() -> Result<Vec<PathBuf>> {
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").exists() {
        return Ok(vec![root.to_owned()]);
    }
    let entries = fs::read_dir(root).with_context(|| format!("cannot read {ROOT}"))?;
    let folders = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    Ok(folders.map(|entry| entry.path()).collect())
}

fn make(hierarchy: &Path, name: &str) -> Result<()> {
    let group = hierarchy.join(name);
    fs::create_dir_all(&group).with_context(|| format!("cannot make {}", group.display()))?;
    // A new group of version 1 has no processors and no memory.
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let (above, own) = (hierarchy.join(file), group.join(file));
        if own.exists() && above.exists() && fs::read_to_string(&own)?.trim().is_empty() {
            fs::write(&own, fs::read_to_string(&above)?)
                .with_context(|| format!("cannot write {}", own.display()))?;
        }
    }
    Ok(())
}
