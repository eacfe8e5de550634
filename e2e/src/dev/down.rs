//! `cargo dev down`.

use std::fs::remove_dir_all;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::state;
use crate::people;
use crate::wait;

/// Longer than the programs' own time to end, one after the other.
const BOUND: Duration = Duration::from_secs(45);

/// Stops a running `up` and, when asked, removes its data.
pub(super) async fn run(purge: bool) -> Result<ExitCode> {
    let dir = state::dir();
    match state::holder(&dir)? {
        Some(pid) => {
            kill(Pid::from_raw(pid), Signal::SIGTERM)
                .with_context(|| format!("cannot stop process {pid}"))?;
            wait::until("the running `up` to end", BOUND, async || {
                Ok(state::holder(&dir)?.is_none().then_some(()))
            })
            .await?;
            println!("stopped");
        }
        None => println!("nothing runs"),
    }
    if dir.exists() {
        let _lock = state::Lock::take(&dir)?;
        for name in state::clean_up(&dir) {
            println!("ended {name}, left by an earlier run that was killed");
        }
        if purge {
            let database = people::home(&dir)?;
            remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
            println!("removed {}", dir.display());
            if database.exists() {
                remove_dir_all(&database).with_context(|| format!("cannot remove {}", database.display()))?;
                println!("removed {}", database.display());
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
