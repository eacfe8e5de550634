//! Folders of one run each, in a place that every user of this machine can get to. They are removed in the end; what a run leaves behind
//! that was killed or interrupted, the next one for the same purpose removes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Where they are: on a disk, unlike `/tmp` on many machines, and open to the user that PostgreSQL runs as.
const PLACE: &str = "/var/tmp";

/// A folder for this process.
pub fn folder(purpose: &str) -> Result<PathBuf> {
    let folder = name(Path::new(PLACE), purpose, std::process::id());
    forget_ended(Path::new(PLACE), purpose)?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

fn name(place: &Path, purpose: &str, pid: u32) -> PathBuf {
    place.join(format!("nakhoda-{purpose}-{pid}"))
}

fn forget_ended(place: &Path, purpose: &str) -> Result<()> {
    let begins = format!("nakhoda-{purpose}-");
    let entries = fs::read_dir(place).with_context(|| format!("cannot read {}", place.display()))?;
    for entry in entries.flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.strip_prefix(&begins)?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            // Another run may be removing the same one.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than Linux gives to any process.
    const NOBODY: u32 = 4_194_305;

    #[test]
    fn what_ended_runs_have_left_is_removed_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let of = |purpose, pid| name(place.path(), purpose, pid);
        let ended = of("tests", NOBODY);
        let stay =
            [of("tests", std::process::id()), of("other", NOBODY), place.path().join("nakhoda-tests-x")];
        for folder in stay.iter().chain([&ended]) {
            fs::create_dir_all(folder.join("data")).unwrap();
        }
        forget_ended(place.path(), "tests").unwrap();
        assert!(!ended.exists());
        assert!(stay.iter().all(|folder| folder.join("data").exists()));
    }
}
