//! Once a day everything of the last days is compared with what the gateway says, by one replica. It counts once it has come to its end.

use super::{
    Comparison,
    settle::{self, SettleError, Source},
    store,
};
use crate::{clock, random, state::State};
use futures::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Between two looks at whether it is time.
const LOOK: Duration = Duration::from_secs(10);
/// Until the next try, where it failed.
const AGAIN: Duration = Duration::from_mins(5);
/// How far back it looks at least, and how often it is made.
const COMPARED: SignedDuration = SignedDuration::from_hours(3 * 24);
const DAILY: SignedDuration = SignedDuration::from_hours(24);
/// How many are taken at a time, and how many of those are asked about at once.
const MOST: i64 = 16;
const AT_ONCE: usize = 8;

/// Compares until told to stop; what is not at its end then is begun anew later.
pub async fn run(state: Arc<State>, stop: CancellationToken) {
    if state.payments.gateway.is_none() {
        return;
    }
    loop {
        let pause = tokio::select! {
            compared = compare_daily(&state) => match compared {
                Ok(()) => LOOK,
                Err(error) => {
                    tracing::warn!(%error, "the daily comparison with the gateway failed; it is tried again");
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

async fn compare_daily(state: &State) -> Result<(), SettleError> {
    let now = state.clock.now();
    let is_due = |last: Option<Timestamp>| last.is_none_or(|last| clock::after(last, DAILY) <= now);
    if !is_due(store::last_comparison(&state.db).await?) {
        return Ok(());
    }
    let Some(mut turn) = store::turn_to_compare(&state.db).await? else { return Ok(()) };
    let last = store::last_comparison(&mut *turn).await?;
    if is_due(last) {
        let done = compare(state, since(last, now)).await?;
        store::keep_comparison(&state.db, random::id(now), now, &done).await?;
    }
    turn.rollback().await?;
    Ok(())
}

/// The last days, and all since the last comparison.
fn since(last: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let days = clock::before(now, COMPARED);
    last.map_or(days, |last| last.min(days))
}

/// Asks about every attempt made or changed since; what differs is set right where that is possible, and noted.
///
/// # Errors
/// As the database's; what the gateway does not answer is counted.
pub async fn compare(state: &State, since: Timestamp) -> Result<Comparison, SettleError> {
    settle::gateway(state)?;
    let mut done = Comparison { since, asked: 0, differing: 0, unanswered: 0 };
    let mut after = Uuid::nil();
    loop {
        let ids = store::since(&state.db, since, after, MOST).await?;
        let Some(last) = ids.last() else { break };
        after = *last;
        done.asked += i64::try_from(ids.len()).unwrap_or(0);
        let asked = stream::iter(ids).map(|id| settle::settle(state, id, None, Source::Asked));
        for one in asked.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
            match one {
                Ok(outcome) => done.differing += i64::from(outcome.moved),
                Err(error @ SettleError::Database(_)) => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "the gateway gives no answer about a payment");
                    done.unanswered += 1;
                }
            }
        }
    }
    tracing::info!(
        asked = done.asked,
        differing = done.differing,
        unanswered = done.unanswered,
        "payments compared with the gateway"
    );
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_days_without_a_comparison_all_of_them_are_compared() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let ago = |days: i64| clock::before(now, SignedDuration::from_hours(24 * days));
        assert_eq!(
            [since(None, now), since(Some(ago(1)), now), since(Some(ago(9)), now)],
            [ago(3), ago(3), ago(9)]
        );
    }
}
