//! Looks at the books every hour, on one replica at a time: what came since the last checkpoint is verified, and only what is right
//! becomes part of the next, so that what is wrong is told again until somebody has set it right.

use super::{
    checkpoint, store,
    verify::{self, Scope},
};
use crate::state::State;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Between two times.
const PAUSE: Duration = Duration::from_hours(1);
/// Until the next try, where another replica is at it or the database is away.
const AGAIN: Duration = Duration::from_mins(1);
/// How long one statement may take.
const BOUND: Duration = Duration::from_mins(10);

/// Does so until told to stop.
pub async fn run(state: Arc<State>, stop: CancellationToken) {
    loop {
        let pause = tokio::select! {
            looked = look(&state) => match looked {
                Ok(true) => PAUSE,
                Ok(false) => AGAIN,
                Err(error) => {
                    tracing::warn!(%error, "the books can't be verified; it is tried again");
                    AGAIN
                }
            },
            () = stop.cancelled() => return,
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Verifies what is new and writes a checkpoint; whether it was this replica's turn.
async fn look(state: &State) -> Result<bool, sqlx::Error> {
    let Some(turn) = store::alone(&state.db).await? else { return Ok(false) };
    let report = verify::verify(&state.db, Scope::Incremental, BOUND).await?;
    for verify::Difference { fault, subject, expected, found } in &report.differences {
        tracing::error!(fault = fault.as_str(), subject, %expected, %found, "the books differ");
    }
    let now = state.clock.now();
    state.metrics.books_verified(report.differences.len(), now);
    if report.differences.is_empty() {
        checkpoint::write(&state.db, now).await?;
    }
    turn.rollback().await?;
    Ok(true)
}
