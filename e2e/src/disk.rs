//! Free space, looked at before something big is written.

use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::sys::statvfs::statvfs;

/// One gibibyte, in bytes.
pub const GIB: u64 = 1024 * 1024 * 1024;

/// Fails, saying what to do, when the file system of `path` (or of its nearest existing
/// parent) has less than `needed` bytes left for us.
pub fn require_free(path: &Path, needed: u64, purpose: &str) -> Result<()> {
    let existing = path.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
    let stat = statvfs(existing)
        .with_context(|| format!("cannot ask for the free space at {}", existing.display()))?;
    let free = stat.blocks_available() * stat.fragment_size();
    if free < needed {
        bail!(
            "the disk is nearly full: {} has {:.1} GiB left and {purpose} needs about {:.1} GiB.\n\
             Make room (`cargo clean`, `go clean -cache`, `cargo dev down --purge`), or point XDG_CACHE_HOME \
             to a larger disk, and run it again: what is already built is kept.",
            existing.display(),
            gib(free),
            gib(needed),
        );
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn gib(bytes: u64) -> f64 {
    bytes as f64 / GIB as f64
}
