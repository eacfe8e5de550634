//! What must be on this machine before `up` starts anything; what is missing is named with its package.

use std::env::{split_paths, var_os};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use nix::unistd::{AccessFlags, access, geteuid};

use crate::postgres;
use crate::story::Story;

/// Where the controller-manager makes the folders of volumes; the place is fixed in its code.
const VOLUMES: &str = "/tmp/hostpath_pv";

/// Fails when something needed is missing and can't be installed here.
pub(super) fn check(story: Story) -> Result<()> {
    if !on_path("setpriv") {
        bail!(
            "`setpriv` is not here, and ends what is started when this is killed: `apt-get install util-linux`"
        );
    }
    if Path::new(VOLUMES).exists() && access(VOLUMES, AccessFlags::W_OK).is_err() {
        bail!(
            "{VOLUMES} belongs to another user, so no volume could be made: remove it (`sudo rm -r {VOLUMES}`), \
             or run this as that user or as root"
        );
    }
    if var_os("DATABASE_URL").is_none() && postgres::programs().is_err() {
        install_postgresql(story)?;
    }
    Ok(())
}

/// Debian's package, where we may install it; else its name.
fn install_postgresql(story: Story) -> Result<()> {
    let by_hand = "PostgreSQL is not here: `apt-get install postgresql`, or set DATABASE_URL";
    if !geteuid().is_root() || !on_path("apt-get") {
        bail!(by_hand);
    }
    story.step("PostgreSQL is not here: installing Debian's package");
    for arguments in [&["update"][..], &["install", "--yes", "--no-install-recommends", "postgresql"]] {
        let mut command = Command::new("apt-get");
        command
            .arg("--quiet")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if !command.status()?.success() {
            bail!("apt-get {} failed. {by_hand}", arguments.join(" "));
        }
    }
    postgres::programs().map(drop)
}

fn on_path(program: &str) -> bool {
    let paths: Vec<PathBuf> = var_os("PATH").map(|path| split_paths(&path).collect()).unwrap_or_default();
    paths.iter().any(|dir| dir.join(program).is_file())
}
