//! One control plane for all tests of a process.

use std::fs::{read_dir, remove_dir_all};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use crds::managers::CATALOGUE;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use super::ControlPlane;
use crate::story::Story;
use crate::tools::Tools;
use crate::{apply, charts, repository};

static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
static INSTALLED: OnceCell<()> = OnceCell::const_new();

/// The control plane the tests of this process share, started by the first that asks. It ends with
/// the process; its logs stay until the next test run. Tests keep apart by names of their own.
pub async fn shared() -> Result<&'static ControlPlane> {
    SHARED
        .get_or_try_init(|| async {
            let tools = spawn_blocking(|| Tools::find_or_build(Story::aloud())).await??;
            let all = repository::root().join(".dev/tests");
            remove_dead(&all);
            let dir = all.join(std::process::id().to_string());
            ControlPlane::start(&dir, None, &tools, Story::quiet()).await.context("the tests' control plane")
        })
        .await
}

/// The shared control plane with the charts installed and the catalogue applied, as before the first
/// operator is started.
pub async fn installed() -> Result<&'static ControlPlane> {
    let control_plane = shared().await?;
    INSTALLED
        .get_or_try_init(|| async {
            charts::install(&control_plane.tools().helm, control_plane.cluster()).await?;
            let admin = control_plane.cluster().admin().await?;
            apply::folder(&admin, &repository::root().join("config/catalog"), CATALOGUE).await?;
            anyhow::Ok(())
        })
        .await?;
    Ok(control_plane)
}

/// Removes what test runs left whose process is gone.
fn remove_dead(all: &Path) {
    for entry in read_dir(all).into_iter().flatten().flatten() {
        let dir = entry.path();
        let alive = dir.file_name().is_some_and(|pid| PathBuf::from("/proc").join(pid).exists());
        if !alive {
            // Another test run may be removing the same one.
            let _ = remove_dir_all(&dir);
        }
    }
}
