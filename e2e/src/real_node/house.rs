//! The node's own namespaces: processes, mounts and network of their own, so that whatever its programs start, mount or
//! filter ends with one process, also where the harness is killed.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{Process, Spec};
use crate::wait;

/// Lays out what is seen within.
const LAYOUT: &str = include_str!("house.sh");
/// How long that may take.
const READY: Duration = Duration::from_secs(10);
/// Where the node's folder is, seen from within.
pub(super) const WITHIN: &str = "/mnt";

/// The namespaces, held by their first process. Dropping it ends everything in them.
#[derive(Debug)]
pub(super) struct House {
    process: Process,
    dir: PathBuf,
    logs: PathBuf,
}

impl House {
    /// Makes them; `dir` is what is kept of the node, [`WITHIN`] for those within.
    pub(super) async fn build(dir: &Path, logs: &Path) -> Result<Self> {
        fs::create_dir_all(dir.join("etc")).with_context(|| format!("cannot make {}", dir.display()))?;
        let dir = dir.canonicalize()?;
        let (layout, done) = (dir.join("etc/layout.sh"), dir.join("laid-out"));
        fs::write(&layout, LAYOUT)?;
        if done.exists() {
            fs::remove_file(&done)?;
        }
        let namespaces =
            ["--mount", "--net", "--pid", "--uts", "--fork", "--kill-child=KILL", "--mount-proc"];
        let mut args: Vec<OsString> = namespaces.map(OsString::from).to_vec();
        args.extend(["--propagation", "private", "--", "/bin/sh"].map(OsString::from));
        args.extend([layout.into_os_string(), dir.clone().into_os_string()]);
        let spec = Spec {
            name: "node".to_owned(),
            program: "unshare".into(),
            args,
            env: Vec::new(),
            logs: logs.to_owned(),
        };
        let house = Self { process: Process::spawn(spec)?, dir, logs: logs.to_owned() };
        wait::until("the node's namespaces", READY, async || {
            house.process.check()?;
            Ok(done.exists().then_some(()))
        })
        .await?;
        Ok(house)
    }

    /// The process that holds them.
    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    /// A file of the node's folder, as this machine sees it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes a file of settings; its path as those within see it.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<String> {
        let path = self.dir.join("etc").join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(format!("{WITHIN}/etc/{name}"))
    }

    /// Starts a program within, which goes on; its log is named after it.
    pub(super) fn start(&self, name: &str, program: &Path, args: Vec<OsString>) -> Result<Process> {
        self.start_with(name, program, args, Vec::new())
    }

    /// The same, with variables added to the environment.
    pub(super) fn start_with(
        &self,
        name: &str,
        program: &Path,
        args: Vec<OsString>,
        mut env: Vec<(String, OsString)>,
    ) -> Result<Process> {
        let mut entered = self.doors();
        entered.push(program.into());
        entered.extend(args);
        // Nobody's home: nothing is to be kept there.
        env.push(("HOME".to_owned(), "/run".into()));
        let spec = Spec {
            name: name.to_owned(),
            program: "nsenter".into(),
            args: entered,
            env,
            logs: self.logs.clone(),
        };
        Process::spawn(spec)
    }

    /// Runs a program within to its end; what it printed.
    pub(super) fn run(&self, program: &str, args: &[&str]) -> Result<String> {
        let Output { status, stdout, stderr } = Command::new("nsenter")
            .args(self.doors())
            .arg(program)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .context("cannot run `nsenter` of the package util-linux")?;
        if !status.success() {
            bail!("{program} {}: {status}: {}", args.join(" "), String::from_utf8_lossy(&stderr).trim());
        }
        Ok(String::from_utf8_lossy(&stdout).into_owned())
    }

    fn doors(&self) -> Vec<OsString> {
        let pid = self.process.pid();
        let door = |kind: &str, name: &str| OsString::from(format!("--{kind}=/proc/{pid}/ns/{name}"));
        vec![
            door("mount", "mnt"),
            door("net", "net"),
            door("uts", "uts"),
            door("pid", "pid_for_children"),
            "--".into(),
        ]
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // Whoever was to end in order has ended before.
        self.process.kill();
    }
}
