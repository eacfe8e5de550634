//! Child programs: each in a process group of its own, with a log file, stopped when dropped,
//! and ended by the kernel when this process is killed.

mod spawner;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs::{File, read_to_string, rename};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::sync::watch;

/// How long a program may take to end after SIGTERM before it gets SIGKILL.
const GRACE: Duration = Duration::from_secs(10);
/// Lines of a dead program's log that are shown.
const TAIL: usize = 12;

/// A program of the workspace to test: the path that the variable has, else the one beside the running test's.
pub fn built(variable: &str, name: &str) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(path.into());
    }
    let this = std::env::current_exe().context("cannot tell where this program is")?;
    let beside = this.ancestors().skip(1).take(2).map(|dir| dir.join(name)).find(|path| path.is_file());
    beside.with_context(|| {
        format!("{name} isn't built: run `cargo build --workspace --bin {name}`, or `cargo dev test`, which does it")
    })
}

/// What to run.
#[derive(Debug)]
pub struct Spec {
    /// The name people see: `cargo dev logs NAME`.
    pub name: String,
    /// The program's path.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables added to the environment.
    pub env: Vec<(String, OsString)>,
    /// The folder of the log file.
    pub logs: PathBuf,
}

/// A running child. Dropping it stops it.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: Pid,
    log: PathBuf,
    exit: watch::Receiver<Option<ExitStatus>>,
    ended: Mutex<mpsc::Receiver<()>>,
}

impl Process {
    /// Starts the program; the log of the run before is kept beside as `NAME.previous.log`.
    pub fn spawn(spec: Spec) -> Result<Self> {
        let log = spec.logs.join(format!("{}.log", spec.name));
        if log.exists() {
            rename(&log, spec.logs.join(format!("{}.previous.log", spec.name)))
                .with_context(|| format!("cannot put {} aside", log.display()))?;
        }
        let out = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&spec.program).args(&spec.args);
        command.envs(spec.env).stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let spawned = spawner::spawn(command).with_context(|| {
            format!("cannot start {} (is `setpriv` of the package util-linux installed?)", spec.name)
        })?;
        Ok(Self {
            name: spec.name,
            pid: Pid::from_raw(i32::try_from(spawned.pid)?),
            log,
            exit: spawned.exit,
            ended: Mutex::new(spawned.ended),
        })
    }

    /// The name people see.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id, which is its process group's too.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Fails, with the last lines of the log, when the program has ended.
    pub fn check(&self) -> Result<()> {
        let exit = *self.exit.borrow();
        match exit {
            Some(status) => bail!("{}", self.obituary(status)),
            None => Ok(()),
        }
    }

    /// Returns when the program has ended, with its last lines.
    pub async fn died(&self) -> String {
        let mut exit = self.exit.clone();
        let status = exit.wait_for(Option::is_some).await.ok().and_then(|status| *status);
        status.map_or_else(|| format!("{} was lost", self.name), |status| self.obituary(status))
    }

    /// Sends a signal to the program's group; a program that has ended is left alone.
    pub fn signal(&self, signal: Signal) {
        if self.exit.borrow().is_none() {
            // Gone between the look and the signal: nothing left to do.
            let _ = killpg(self.pid, signal);
        }
    }

    /// Asks the program to end and waits for it: at most ten seconds, then it is killed.
    pub fn stop(&self) {
        self.signal(Signal::SIGTERM);
        if !self.ends_within(GRACE) {
            self.kill();
        }
    }

    /// Kills the program as a crash would, and waits until it is gone.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
        self.ends_within(GRACE);
    }

    fn ends_within(&self, bound: Duration) -> bool {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        self.exit.borrow().is_some() || ended.recv_timeout(bound).is_ok()
    }

    fn obituary(&self, status: ExitStatus) -> String {
        let tail = tail(&self.log, TAIL);
        let hint = hint(&tail);
        format!("{} ended ({status}); the last lines of {}:\n{tail}{hint}", self.name, self.log.display())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The last `count` lines of a file, or why there are none.
pub fn tail(path: &Path, count: usize) -> String {
    match read_to_string(path) {
        Ok(text) => {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(count)..].join("\n")
        }
        Err(error) => format!("(no log: {error})"),
    }
}

fn hint(tail: &str) -> &'static str {
    if tail.contains("address already in use") {
        "\nA port was taken in between: run it again and others are chosen."
    } else if tail.contains("no space left on device") {
        "\nThe disk is full: make room and run it again; the data is kept."
    } else {
        ""
    }
}
