//! What must be on this machine before `up` starts anything; what is missing is named with its package.

use std::env::{split_paths, var_os};
use std::fs::read_dir;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use nix::unistd::{AccessFlags, access};

use crate::story::Story;

/// Where the controller-manager makes the folders of volumes; the place is fixed in its code.
const VOLUMES: &str = "/tmp/hostpath_pv";
/// Where Debian keeps the database's server programs, off `PATH`.
const POSTGRESQL: &str = "/usr/lib/postgresql";

/// Fails when something needed is missing; tells of what is missing and only needed later.
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
    if var_os("DATABASE_URL").is_none() && !has_postgresql() {
        story.step(
            "PostgreSQL is not here; nothing needs it yet, the API server will: \
             `apt-get install postgresql`, or set DATABASE_URL",
        );
    }
    Ok(())
}

fn has_postgresql() -> bool {
    let versions = read_dir(POSTGRESQL).into_iter().flatten().flatten();
    on_path("postgres")
        || versions.map(|version| version.path().join("bin/postgres")).any(|path| path.is_file())
}

fn on_path(program: &str) -> bool {
    let paths: Vec<PathBuf> = var_os("PATH").map(|path| split_paths(&path).collect()).unwrap_or_default();
    paths.iter().any(|dir| dir.join(program).is_file())
}
