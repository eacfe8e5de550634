//! Notifications. Each is stored as it came before anything is made of it, and answered; then the gateway itself is asked, since of a
//! notification only order, code and amount are signed. What fails is tried again until it succeeds.

use super::{
    findings::{self, Found},
    judge::Standing,
    midtrans::{CallError, Observed, OrderId, Status as Told, notification},
    settle::{self, SettleError, Source},
    store,
};
use crate::{clock, random, state::State};
use futures::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Between two looks while nobody wakes us: another replica may have taken it and gone.
const LOOK: Duration = Duration::from_secs(2);
/// How many are taken at a time, and how many of those are worked on at once.
const MOST: i64 = 16;
const AT_ONCE: usize = 8;
/// For how long one is taken: longer than the gateway may take to answer a few times.
const TAKEN: SignedDuration = SignedDuration::from_mins(2);
/// The longest pause between two tries while the gateway or the database is away, and where trying again won't help.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(10);
const LONGEST_PAUSE_IN_VAIN: SignedDuration = SignedDuration::from_hours(6);
/// After how many tries in vain somebody is told.
const TRIES: i32 = 10;
/// How long notifications are kept.
const KEPT: SignedDuration = SignedDuration::from_hours(400 * 24);
/// How much of a forged one is kept.
const FORGED_KEPT_BYTES: usize = 1024;
/// How long forged ones are.
const FORGED_KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Why a notification is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Payments are off.
    #[error("no payment gateway is set up")]
    Off,
    /// It is none.
    #[error(transparent)]
    Malformed(#[from] notification::Malformed),
    /// It is not signed with our key.
    #[error("the signature is not the gateway's")]
    Forged,
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// A notification to be kept.
#[derive(Clone, Debug)]
pub(super) struct NewNotification<'a> {
    pub(super) id: Uuid,
    pub(super) address: String,
    pub(super) body: &'a [u8],
    pub(super) is_forged: bool,
    pub(super) order_id: &'a str,
    pub(super) gateway_id: Option<&'a str>,
    pub(super) status: Option<&'a str>,
}

/// A notification to be looked at.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) id: Uuid,
    pub(super) order_id: String,
    pub(super) gateway_id: Option<String>,
    pub(super) status: Option<String>,
    pub(super) attempts: i32,
}

/// What became of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Done,
    UnknownOrder,
}

/// Keeps a notification. Once this is well, the gateway need not send it again.
///
/// # Errors
/// [`Refused`].
pub async fn receive(state: &State, body: &[u8], address: IpAddr) -> Result<(), Refused> {
    let client = state.payments.gateway.as_ref().ok_or(Refused::Off)?;
    let told = notification::parse(body).inspect_err(|_| state.metrics.payments.notified("malformed"))?;
    let is_forged = !client.keys().verify(&told);
    if is_forged {
        state.metrics.payments.notified("forged");
    }
    // What is forged is kept for whoever looks into it, but nobody fills the database with it.
    if is_forged && !state.payments.forged_is_kept() {
        return Err(Refused::Forged);
    }
    let now = state.clock.now();
    let new = NewNotification {
        id: random::id(now),
        address: address.to_string(),
        body: if is_forged { body.get(..FORGED_KEPT_BYTES).unwrap_or(body) } else { body },
        is_forged,
        order_id: &told.order_id,
        gateway_id: told.transaction_id.as_deref(),
        status: told.transaction_status.as_ref().map(Told::as_str),
    };
    store::keep_notification(&state.db, &new, now).await?;
    if is_forged {
        return Err(Refused::Forged);
    }
    state.payments.inbox_is_due.notify_one();
    Ok(())
}

/// Looks at what comes in until told to stop.
pub async fn run(state: Arc<State>, stop: CancellationToken) {
    if state.payments.gateway.is_none() {
        return;
    }
    loop {
        let taken = match work(&state).await {
            Ok(taken) => taken,
            Err(error) => {
                tracing::warn!(%error, "notifications can't be looked at; it is tried again");
                0
            }
        };
        if stop.is_cancelled() {
            return;
        }
        if taken > 0 {
            continue;
        }
        tokio::select! {
            () = state.payments.inbox_is_due.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Looks at what is due; how many there were.
async fn work(state: &State) -> Result<usize, sqlx::Error> {
    let now = state.clock.now();
    let waiting = store::take_notifications(&state.db, now, clock::after(now, TAKEN), MOST).await?;
    let taken = waiting.len();
    let ended = stream::iter(waiting).map(|one| look(state, one)).buffer_unordered(AT_ONCE);
    let ended: Vec<_> = ended.collect().await;
    ended.into_iter().find_map(Result::err).map_or(Ok(taken), Err)
}

async fn look(state: &State, one: Waiting) -> Result<(), sqlx::Error> {
    let (now, done) = (state.clock.now(), handle(state, &one).await);
    match done {
        Ok(end) => {
            state.metrics.payments.notified(if end == End::Done { "done" } else { "unknown_order" });
            store::end_notification(&state.db, one.id, end, now).await
        }
        Err(error) => {
            state.metrics.payments.notified("failed");
            let again = clock::after(now, pause(one.attempts, error.is_lasting()));
            tracing::warn!(%error, notification.id = %one.id, order_id = one.order_id, "a notification can't be settled yet; it is tried again");
            store::fail_notification(&state.db, one.id, &error.to_string(), again).await?;
            if one.attempts >= TRIES && error.is_lasting() {
                settle::give_notice(state, &one.order_id, &error).await?;
            }
            Ok(())
        }
    }
}

/// A second, two, four, and so on; some seconds more or less, so that not all come back at once.
fn pause(attempts: i32, is_in_vain: bool) -> SignedDuration {
    let seconds = 1_i64 << attempts.clamp(0, 15);
    let [spread] = random::bytes::<1>();
    let pause = SignedDuration::from_millis(seconds * (750 + i64::from(spread) * 2));
    pause.min(if is_in_vain { LONGEST_PAUSE_IN_VAIN } else { LONGEST_PAUSE })
}

async fn handle(state: &State, one: &Waiting) -> Result<End, SettleError> {
    if is_old_news(state, one).await? {
        return Ok(End::Done);
    }
    let client = settle::gateway(state)?;
    // Order and transaction are told apart by the gateway alone: the transaction's id is not signed.
    let answer = match &one.gateway_id {
        Some(id) => match settle::ask(state, client, id).await {
            // Whatever was put there, it would be refused for ever; the order, which is signed, is asked about below.
            Err(SettleError::Gateway(CallError::Refused { .. } | CallError::Unreadable(_))) => None,
            asked => asked?,
        },
        None => None,
    };
    if let Some(answer) = &answer
        && let Some(attempt_id) = attempt_of(state, &answer.seen).await?
    {
        settle::book(state, attempt_id, answer, Source::Told).await?;
        return Ok(End::Done);
    }
    // The transaction is not ours or not there, and the order may be: that is what is signed.
    let Ok(ordered) = OrderId::parse(&one.order_id) else { return Ok(End::UnknownOrder) };
    let Some(attempt) = store::attempt(&state.db, ordered.attempt()).await? else {
        // It is signed and has the form of ours: after a restore of the database, what was paid in the minutes that are lost.
        let detail = json!({"order_id": one.order_id, "gateway_id": one.gateway_id, "status": one.status});
        let found = Found { kind: findings::LOST_ORDER, subject: &one.order_id, top_up_id: None, detail };
        findings::note_now(state, &found).await?;
        return Ok(End::UnknownOrder);
    };
    settle::settle(state, attempt.id, None, Source::Told).await?;
    Ok(End::Done)
}

/// The attempt that a transaction pays: by its order, or, where the order is not as we gave it, by what we sent along.
async fn attempt_of(state: &State, seen: &Observed) -> Result<Option<Uuid>, sqlx::Error> {
    if let Some(id) = settle::attempt_named(seen)
        && let Some(attempt) = store::attempt(&state.db, id).await?
    {
        return Ok(Some(attempt.id));
    }
    let top_up = seen.custom_field1.as_deref().and_then(|text| Uuid::try_parse(text).ok());
    let Some(top_up) = top_up else { return Ok(None) };
    Ok(store::last_of_anybody(&state.db, top_up).await?.map(|attempt| attempt.id))
}

/// Whether it tells what is known: the same as before, or what lies behind what is known. What takes money back is looked at each time.
async fn is_old_news(state: &State, one: &Waiting) -> Result<bool, sqlx::Error> {
    let (Some(id), Some(status)) = (&one.gateway_id, &one.status) else { return Ok(false) };
    let Some((known, standing)) = store::standing_of(&state.db, id).await? else { return Ok(false) };
    Ok(match Told::read(status) {
        Told::Pending | Told::Authorize => true,
        Told::Settlement | Told::Capture => standing == Standing::Paid && *status == known,
        _ => false,
    })
}

/// Forgets what is long over; how many.
///
/// # Errors
/// As the database's.
pub async fn forget_old(db: &sqlx::PgPool, now: Timestamp) -> Result<u64, sqlx::Error> {
    store::forget_notifications(db, clock::before(now, KEPT), clock::before(now, FORGED_KEPT)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_minutes_while_nobody_answers_and_to_hours_in_vain() {
        let seconds = |attempts, is_in_vain| pause(attempts, is_in_vain).as_secs();
        assert!((1..=2).contains(&seconds(1, false)) && (384..=600).contains(&seconds(9, true)));
        assert_eq!((seconds(12, false), seconds(i32::MAX, false)), (600, 600));
        assert_eq!(seconds(15, true), LONGEST_PAUSE_IN_VAIN.as_secs());
    }
}
