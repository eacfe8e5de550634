//! Where the working copy is.

use std::env;
use std::path::{Path, PathBuf};

/// The root of the working copy: cargo says at run time where the package stands, and what was
/// true when this program was built is the fallback.
pub fn root() -> PathBuf {
    let package =
        env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).filter(|dir| dir.join("../e2e/tools").is_dir());
    let package = package.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    package.parent().map_or(package.clone(), Path::to_path_buf)
}
