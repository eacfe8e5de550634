//! Builds one pin into the cache: one build at a time, installed whole or not at all.

use std::collections::VecDeque;
use std::fs::{File, create_dir_all, remove_dir_all, rename};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::go;
use super::pins::Pin;
use crate::disk;
use crate::story::Story;

/// How often a build says how far it is.
const PROGRESS: Duration = Duration::from_secs(10);
/// Lines of Go's output that are shown when it fails.
const SHOWN: usize = 15;

/// The folder with the pin's program, built now if it is not there yet.
pub(super) fn installed(cache: &Path, pin: &Pin, story: Story) -> Result<PathBuf> {
    let tools = cache.join("tools");
    let home = tools.join(format!("{}-{}", pin.name, pin.hash()));
    if home.is_dir() {
        return Ok(home);
    }
    create_dir_all(&tools)
        .with_context(|| format!("cannot make {}: is the cache folder writable?", tools.display()))?;
    let lock = File::create(tools.join(format!("{}.lock", pin.name)))?;
    if lock.try_lock().is_err() {
        story.step(format!("{}: another process builds it; waiting", pin.name));
        lock.lock()?;
    }
    if home.is_dir() {
        return Ok(home);
    }
    disk::require_free(&tools, pin.disk, &format!("building {}", pin.name))?;
    // With the lock held, what is there was left by a build that was killed.
    let unfinished = tools.join(format!(".unfinished-{}", pin.name));
    if unfinished.exists() {
        remove_dir_all(&unfinished)?;
    }
    create_dir_all(&unfinished)?;
    let built = build(cache, pin, &unfinished, story);
    if built.is_err() {
        // The error that matters is the build's.
        let _ = remove_dir_all(&unfinished);
    }
    built?;
    rename(&unfinished, &home).with_context(|| format!("cannot install {}", home.display()))?;
    Ok(home)
}

fn build(cache: &Path, pin: &Pin, into: &Path, story: Story) -> Result<()> {
    let go = go::find(cache, story)?;
    let start = Instant::now();
    story.step(format!(
        "{}: building from the pins in e2e/tools/{} (once; kept in the cache)",
        pin.name, pin.name
    ));
    // A build whose asker was killed ends too.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]).arg(&go);
    command.args(["build", "-v", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags"]);
    command.arg(pin.linker_flags()).arg("-o").arg(into.join(pin.name)).arg(pin.package);
    command.current_dir(pin.source()).env("CGO_ENABLED", "0");
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run `setpriv` of the package util-linux")?;
    let output = BufReader::new(child.stderr.take().context("go's output is piped")?);
    let said = follow(output, pin, start, story).join("\n");
    if !child.wait()?.success() {
        bail!("{}: go build failed:\n{said}\n{}", pin.name, advice(&said));
    }
    for name in pin.names {
        symlink(pin.name, into.join(name))?;
    }
    story.step(format!("{}: built in {} s", pin.name, start.elapsed().as_secs()));
    Ok(())
}

/// Reads Go's lines to the end, tells the progress, and gives the last lines back.
fn follow(output: impl BufRead + Send + 'static, pin: &Pin, start: Instant, story: Story) -> Vec<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let (mut compiled, mut fetched, mut told, mut last) = (0, 0, Instant::now(), VecDeque::new());
    loop {
        match lines.recv_timeout(PROGRESS) {
            Ok(line) => {
                *if line.starts_with("go: downloading") { &mut fetched } else { &mut compiled } += 1;
                last.push_back(line);
                last.drain(..last.len().saturating_sub(SHOWN));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return last.into(),
        }
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            let (name, all, seconds) = (pin.name, pin.packages, start.elapsed().as_secs());
            story.step(format!(
                "{name}: {seconds} s; {fetched} modules fetched, {compiled} of about {all} packages compiled"
            ));
        }
    }
}

/// What to do about a failed build, from what Go said.
fn advice(said: &str) -> &'static str {
    const AWAY: [&str; 9] = [
        "dial tcp",
        "no such host",
        "connection refused",
        "connection reset",
        "timeout",
        "TLS handshake",
        "502 ",
        "503 ",
        "unexpected EOF",
    ];
    if said.contains("no space left on device") {
        "The disk is full: make room (`go clean -cache`, `cargo clean`) and run it again."
    } else if AWAY.iter().any(|sign| said.contains(sign)) {
        "The Go module proxy can't be reached just now: look at the network and GOPROXY, then try again; \
         what is built so far is kept."
    } else if said.contains("requires go >=") {
        "This Go is too old and may not fetch another (GOTOOLCHAIN): install the version it names."
    } else {
        "What is built so far is kept; run it again after mending this."
    }
}

#[cfg(test)]
mod tests {
    use super::advice;

    #[test]
    fn a_proxy_that_is_away_is_told_from_a_full_disk() {
        assert!(advice("go: x@v1: Get \"…\": dial tcp 1.2.3.4:443: connect: refused").contains("try again"));
        assert!(advice("write /x: no space left on device").contains("disk is full"));
        assert!(advice("undefined: x").contains("after mending"));
    }
}
