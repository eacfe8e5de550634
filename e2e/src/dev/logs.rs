//! `cargo dev logs`.

use std::fs::read_dir;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use super::state;

/// Shows a program's log, or names the logs there are.
pub(super) fn run(name: Option<&str>, follow: bool) -> Result<ExitCode> {
    let dir = state::dir().join("logs");
    let names = names(&dir);
    let Some(name) = name else {
        println!("{}", names.join("\n"));
        return Ok(ExitCode::SUCCESS);
    };
    if !names.iter().any(|known| known == name) {
        bail!("there is no log of `{name}`; there are: {}", names.join(", "));
    }
    let path = dir.join(format!("{name}.log"));
    let mut tail = Command::new("tail");
    tail.args(if follow { ["-n", "100", "-F"].as_slice() } else { ["-n", "+1"].as_slice() });
    let status = tail.arg(&path).status().context("cannot run `tail`")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn names(dir: &Path) -> Vec<String> {
    let files = read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        files.filter_map(|file| file.file_name().to_str()?.strip_suffix(".log").map(str::to_owned)).collect();
    names.sort();
    names
}
