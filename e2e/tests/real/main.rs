//! Apps that really run: on a node with a kubelet and containers, reached through the ingress, their data written and read again
//! after everything that is done to them (docs/REAL-NODE.md).
//!
//! A program of its own, since it takes root and images. Everyday runs play PostgreSQL; `NAKHODA_REAL=1` (`just real`) all.

mod app;
mod apps;
mod house;
mod matrix;
mod neighbours;
mod usage;
mod visitor;

use std::sync::LazyLock;

use anyhow::{Result, ensure};
use e2e::real_node::CATALOGUE;
use tokio::runtime::Runtime;

use app::App;
use house::House;

/// Processes and clients outlive the test that made them, so they hang on no test's runtime.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().worker_threads(4).build().expect("a runtime can be had")
});

/// Whether all apps are played.
fn all() -> bool {
    std::env::var_os("NAKHODA_REAL").is_some_and(|value| value == "1")
}

/// The apps that are played, by their names in `NAKHODA_REAL_APPS` where that is set.
fn apps() -> Vec<App> {
    let usual = if all() { "postgresql,wordpress,ghost,n8n" } else { "postgresql" };
    let named = std::env::var("NAKHODA_REAL_APPS").unwrap_or_else(|_| usual.to_owned());
    named.split(',').filter_map(App::named).collect()
}

#[test]
fn apps_that_really_run_keep_their_data_through_everything() -> Result<()> {
    RUNTIME.block_on(async {
        let apps = apps();
        ensure!(!apps.is_empty(), "NAKHODA_REAL_APPS names no app");
        let images: Vec<_> =
            CATALOGUE.into_iter().filter(|image| apps.iter().any(|app| app.takes(image.recipe))).collect();
        let mut house = House::start(&images).await?;
        let mut matrix = matrix::Matrix::default();
        for app in &apps {
            app.play(&mut house, &mut matrix).await.map_err(|error| matrix.told(error))?;
        }
        println!("{matrix}");
        house.leaves_nothing().await
    })
}
