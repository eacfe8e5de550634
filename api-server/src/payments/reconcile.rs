//! Asking by ourselves: what stays pending, at its end and a day later; what was paid, for weeks, since banks take money back late. Once a
//! day everything of the last days is compared besides (`comparison`).

use super::{
    Attempt, Due,
    settle::{self, SettleError, Source},
    store, top_up,
};
use crate::{clock, state::State, wallet::Status};
use futures::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Between two looks at whose time has come.
const LOOK: Duration = Duration::from_secs(5);
/// How many are taken at a time, and how many of those are asked about at once.
const MOST: i64 = 16;
const AT_ONCE: usize = 8;
/// For how long one is taken.
const TAKEN: SignedDuration = SignedDuration::from_mins(3);
/// How long the gateway may give no answer until a top-up whose time is over counts as expired all the same.
const PATIENCE: SignedDuration = SignedDuration::from_hours(1);
/// Between two tries while it gives none: first, and at most; and at most where trying again won't help.
const AGAIN: SignedDuration = SignedDuration::from_mins(1);
const AGAIN_AT_MOST: SignedDuration = SignedDuration::from_mins(10);
const AGAIN_IN_VAIN: SignedDuration = SignedDuration::from_hours(6);
/// After how long in vain, some ten tries, somebody is told.
const IN_VAIN: SignedDuration = SignedDuration::from_mins(10);

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;
/// Seconds after the attempt at which one that is not paid is asked about; then at its end, and a day after that.
const UNPAID: [i64; 3] = [10 * MINUTE, 60 * MINUTE, 6 * 60 * MINUTE];
/// Days after the attempt at which one that is paid is asked about.
const PAID: [i64; 11] = [1, 2, 3, 4, 5, 6, 7, 14, 30, 60, 90];

/// When a new attempt is asked about first.
pub(super) fn first_check(created_at: Timestamp) -> Timestamp {
    clock::after(created_at, SignedDuration::from_secs(UNPAID[0]))
}

/// The pause until the next try: a quarter of the time for which it has failed.
fn pause(failing_for: SignedDuration, is_in_vain: bool) -> SignedDuration {
    (failing_for / 4).clamp(AGAIN, if is_in_vain { AGAIN_IN_VAIN } else { AGAIN_AT_MOST })
}

/// When it is asked about next; none: not any more.
fn next_check(attempt: &Attempt, is_paid: bool, now: Timestamp) -> Option<Timestamp> {
    let seconds = |seconds: i64| clock::after(attempt.created_at, SignedDuration::from_secs(seconds));
    let unpaid = UNPAID.into_iter().map(seconds).filter(|at| *at < attempt.expires_at);
    let ends = [attempt.expires_at, clock::after(attempt.expires_at, SignedDuration::from_secs(DAY))];
    let paid = PAID.into_iter().map(|days| seconds(days * DAY));
    if is_paid { paid.min_by_later(now) } else { unpaid.chain(ends).min_by_later(now) }
}

trait Later: Iterator<Item = Timestamp> + Sized {
    /// The first that lies ahead.
    fn min_by_later(self, now: Timestamp) -> Option<Timestamp> {
        self.filter(|at| *at > now).min()
    }
}

impl<I: Iterator<Item = Timestamp>> Later for I {}

/// Asks about what is due until told to stop.
pub async fn run(state: Arc<State>, stop: CancellationToken) {
    if state.payments.gateway.is_none() {
        return;
    }
    loop {
        let asked = match ask_due(&state).await {
            Ok(asked) => asked,
            Err(error) => {
                tracing::warn!(%error, "what is due can't be asked about; it is tried again");
                0
            }
        };
        if asked == usize::try_from(MOST).unwrap_or(0) && !stop.is_cancelled() {
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Asks about what is due; about how many.
///
/// # Errors
/// As the database's; what the gateway does not answer is asked again.
pub async fn ask_due(state: &State) -> Result<usize, sqlx::Error> {
    let now = state.clock.now();
    let due = store::due(&state.db, now, clock::after(now, TAKEN), MOST).await?;
    let asked = due.len();
    let ended = stream::iter(due).map(|one| check(state, one)).buffer_unordered(AT_ONCE);
    let ended: Vec<_> = ended.collect().await;
    ended.into_iter().find_map(Result::err).map_or(Ok(asked), Err)
}

async fn check(state: &State, due: Due) -> Result<(), sqlx::Error> {
    let Some(attempt) = store::attempt(&state.db, due.id).await? else { return Ok(()) };
    let settled = settle::settle(state, attempt.id, None, Source::Asked).await;
    let now = state.clock.now();
    if let Err(error) = &settled {
        tracing::warn!(%error, order_id = %attempt.order_id(), "the gateway can't be asked about a payment; it is asked again");
    }
    let called_off = if attempt.cancel_wanted { top_up::call_off(state, &attempt).await } else { Ok(()) };
    // As it is now: it may have been paid.
    let Some(attempt) = store::attempt(&state.db, due.id).await? else { return Ok(()) };
    // One that another has taken the place of does not end the top-up.
    let is_over = now >= attempt.expires_at && attempt.status == Status::Pending && attempt.is_open;
    let patience = now >= clock::after(attempt.expires_at, PATIENCE);
    if is_over && (settled.is_ok() || patience) {
        let is_known = settled.as_ref().is_ok_and(|outcome| outcome.is_known);
        end(state, attempt.id, is_known).await?;
        if settled.as_ref().is_ok_and(|outcome| outcome.is_pending) {
            // It is past its end there too, and was not told so: it shall not be paid any more.
            drop(top_up::call_off(state, &attempt).await);
        }
    }
    let failed = settled.err().or(called_off.err());
    look_again(state, &attempt, due.failing_since, failed, now).await
}

/// Notes when an attempt is asked about next; of what fails for long by itself, somebody is told.
async fn look_again(
    state: &State,
    attempt: &Attempt,
    failing_since: Option<Timestamp>,
    failed: Option<SettleError>,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let Some(error) = failed else {
        let is_paid = matches!(attempt.status, Status::Completed | Status::Reversed);
        let next = next_check(attempt, is_paid, now);
        return store::check_again(&state.db, attempt.id, next, None).await;
    };
    let since = failing_since.unwrap_or(now);
    let failing_for = now.duration_since(since);
    let next = clock::after(now, pause(failing_for, error.is_lasting()));
    store::check_again(&state.db, attempt.id, Some(next), Some(since)).await?;
    if failing_for >= IN_VAIN && error.is_lasting() {
        settle::give_notice(state, &attempt.order_id().to_string(), &error).await?;
    }
    Ok(())
}

async fn end(state: &State, attempt_id: Uuid, had_chosen: bool) -> Result<(), sqlx::Error> {
    let (mut tx, now) = (state.db.begin().await?, state.clock.now());
    if let Some(attempt) = store::locked(&mut tx, attempt_id).await?
        && attempt.status == Status::Pending
    {
        settle::expire(&mut tx, &attempt, had_chosen, now).await?;
    }
    tx.commit().await?;
    state.mail_is_due.notify_one();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{money::Rupiah, wallet::Number};

    fn attempt() -> Attempt {
        let created_at = Timestamp::from_second(1_700_000_000).unwrap();
        Attempt {
            id: Uuid::nil(),
            top_up_id: Uuid::nil(),
            transaction_id: Uuid::nil(),
            user_id: Uuid::nil(),
            number: Number(101),
            status: Status::Pending,
            amount: Rupiah::ZERO,
            method: None,
            is_open: true,
            page: None,
            created_at,
            expires_at: clock::after(created_at, super::super::LASTS),
            was_called: false,
            cancel_wanted: false,
        }
    }

    fn times(is_paid: bool) -> Vec<i64> {
        let attempt = attempt();
        let mut now = attempt.created_at;
        let mut all = Vec::new();
        while let Some(next) = next_check(&attempt, is_paid, now) {
            all.push(next.duration_since(attempt.created_at).as_secs() / MINUTE);
            now = next;
        }
        all
    }

    #[test]
    fn what_is_not_paid_is_asked_about_soon_at_its_end_and_a_day_later() {
        assert_eq!(times(false), [10, 60, 360, 24 * 60, 48 * 60]);
    }

    #[test]
    fn it_is_tried_again_ten_times_before_somebody_is_told_and_then_seldom() {
        let (mut failing_for, mut tries) = (SignedDuration::ZERO, 1);
        while failing_for < IN_VAIN {
            failing_for += pause(failing_for, true);
            tries += 1;
        }
        assert_eq!(tries, 10);
        let week = SignedDuration::from_hours(7 * 24);
        assert_eq!((pause(week, false), pause(week, true)), (AGAIN_AT_MOST, AGAIN_IN_VAIN));
    }

    #[test]
    fn what_is_paid_is_asked_about_for_as_long_as_banks_take_money_back() {
        assert_eq!(times(true).iter().map(|minutes| minutes / (24 * 60)).collect::<Vec<_>>(), PAID);
    }
}
