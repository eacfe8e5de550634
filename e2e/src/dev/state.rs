//! What a running `up` leaves in `.dev/` for the other commands: its lock, its programs, its doors.

use std::fs::{File, OpenOptions, create_dir_all, read_to_string, remove_file, write};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::process::Process;
use crate::{real_node, repository};

/// The folder of all state.
pub(super) fn dir() -> PathBuf {
    repository::root().join(".dev")
}

/// Where to find what an `up` runs for people, once it does.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Doors {
    /// The address of the API.
    pub(super) api: String,
    /// The address of the payment gateway's stand-in.
    pub(super) gateway: String,
    /// The folder in which every mail is a file.
    pub(super) mails: PathBuf,
    /// Whether pods only seem to run.
    pub(super) simulated: bool,
}

/// Held by the one `up` of a working copy for as long as it runs.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "held, not read")] File);

/// One program of an `up`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) pid: i32,
    /// The kernel's start time of the process: a process id is used again, with this it isn't.
    started: u64,
}

impl Lock {
    /// Takes the lock, or says who holds it and what to do.
    pub(super) fn take(dir: &Path) -> Result<Self> {
        create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let mut file = open(dir)?;
        if file.try_lock().is_err() {
            let mut holder = String::new();
            file.read_to_string(&mut holder)?;
            bail!(
                "`cargo dev up` already runs in this working copy (process {}).\n\
                 `cargo dev status` shows what runs, `cargo dev down` stops it, `. .dev/env` points kubectl at it.",
                holder.trim()
            );
        }
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{}", std::process::id())?;
        Ok(Self(file))
    }
}

/// The process id of the `up` that runs, if one does.
pub(super) fn holder(dir: &Path) -> Result<Option<i32>> {
    if !dir.join("lock").exists() {
        return Ok(None);
    }
    let mut file = open(dir)?;
    if file.try_lock().is_ok() {
        return Ok(None);
    }
    let mut pid = String::new();
    file.read_to_string(&mut pid)?;
    Ok(pid.trim().parse().ok())
}

impl Doors {
    /// Those of the `up` that runs; none while it starts.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>> {
        match read_to_string(doors(dir)) {
            Ok(text) => serde_json::from_str(&text).map(Some).context(".dev/doors.json can't be read"),
            Err(_) => Ok(None),
        }
    }

    /// Notes them.
    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        write(doors(dir), serde_json::to_vec_pretty(self)?).context("cannot write .dev/doors.json")
    }

    /// Forgets those of an earlier `up`.
    pub(super) fn forget(dir: &Path) {
        // There may be none.
        let _ = remove_file(doors(dir));
    }
}

fn doors(dir: &Path) -> PathBuf {
    dir.join("doors.json")
}

/// Notes the programs of this `up`.
pub(super) fn record<'a>(dir: &Path, processes: impl Iterator<Item = &'a Process>) -> Result<()> {
    let entries: Vec<Entry> = processes
        .filter_map(|process| {
            let started = start_time(process.pid())?;
            Some(Entry { name: process.name().to_owned(), pid: process.pid(), started })
        })
        .collect();
    write(dir.join("processes.json"), serde_json::to_vec_pretty(&entries)?)
        .context("cannot write .dev/processes.json")
}

/// The programs noted last, and whether each still runs.
pub(super) fn recorded(dir: &Path) -> Vec<(Entry, bool)> {
    let entries: Vec<Entry> = read_to_string(dir.join("processes.json"))
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    entries
        .into_iter()
        .map(|entry| {
            let alive = start_time(entry.pid) == Some(entry.started);
            (entry, alive)
        })
        .collect()
}

/// Ends what an `up` left running that was killed; returns the names. Only with the lock held.
pub(super) fn clean_up(dir: &Path) -> Vec<String> {
    let left = recorded(dir).into_iter().filter(|(_, alive)| *alive);
    left.map(|(entry, _)| {
        // It may end by itself just now.
        let _ = kill(Pid::from_raw(entry.pid), Signal::SIGKILL);
        entry.name
    })
    .chain(real_node::sweep())
    .collect()
}

fn open(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    opened.with_context(|| format!("cannot open {}", path.display()))
}

/// The start time of a process that runs: field 22 of `/proc/PID/stat`, whose field 3, the first after
/// the name in brackets, is `Z` for one that has ended and only waits to be noticed.
fn start_time(pid: i32) -> Option<u64> {
    let stat = read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if state == "Z" { None } else { fields.nth(18)?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::{Doors, Lock, holder};

    #[test]
    fn doors_are_found_until_they_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Doors::read(dir.path()).unwrap().is_none());
        let doors = Doors {
            api: "http://127.0.0.1:1".to_owned(),
            gateway: "http://127.0.0.1:2".to_owned(),
            mails: dir.path().join("mails"),
            simulated: true,
        };
        doors.write(dir.path()).unwrap();
        assert_eq!(Doors::read(dir.path()).unwrap().unwrap().mails, doors.mails);
        Doors::forget(dir.path());
        assert!(Doors::read(dir.path()).unwrap().is_none());
    }

    #[test]
    fn a_second_up_is_told_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(holder(dir.path()).unwrap(), None);
        let first = Lock::take(dir.path()).unwrap();
        let message = Lock::take(dir.path()).unwrap_err().to_string();
        assert!(
            message.contains("already runs") && message.contains(&std::process::id().to_string()),
            "{message}"
        );
        assert_eq!(holder(dir.path()).unwrap(), i32::try_from(std::process::id()).ok());
        drop(first);
        assert_eq!(holder(dir.path()).unwrap(), None);
    }
}
