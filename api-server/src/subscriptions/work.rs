//! Looking after subscriptions: whatever one of them needs next is done, told to the cluster, or waited for. Any number of replicas do so;
//! of one subscription one at a time, and what it leaves half-done the next one does again.

use super::{
    FIRST_GRACE, Paid, Status, Subscription, cancel, life,
    life::{Seen, Step},
    period, store, sweep,
};
use crate::{
    clock,
    cluster::watch::Change,
    instances::crossing::{self, CrossingError, Told},
    ledger::PostError,
    mail, random,
    state::State,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::{sync::broadcast::error::RecvError, task::JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Between two looks at whose time has come.
const LOOK: Duration = Duration::from_secs(1);
/// How many are looked after at once, of those whose time has come and of those that were woken. No more are taken than there is room for, so
/// that none waits for another while its time runs out.
const AT_ONCE: usize = 16;
/// For how long one is taken, and after how long whoever has taken it stops: before another may take it.
const TAKEN: Duration = Duration::from_mins(1);
const SURE: Duration = Duration::from_secs(45);
/// How many steps are made of one at a time; more than there are one after the other.
const STEPS: usize = 8;
/// The longest pause after a failure.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(2);
/// The pauses while something is not so yet, which the watch most often tells before.
const NOT_YET: SignedDuration = SignedDuration::from_secs(2);
const NOT_FOR_LONG: SignedDuration = SignedDuration::from_secs(30);
/// When administrators are told that money waits to go back.
pub const FENCE_LATE: SignedDuration = SignedDuration::from_mins(60);
/// When administrators are told that a step fails: after that many times, one after the other.
pub const FAILS_OFTEN: i32 = 5;

/// Why a step was not made. It is made again.
#[derive(Debug, thiserror::Error)]
enum StepError {
    /// The cluster.
    #[error(transparent)]
    Crossing(#[from] CrossingError),
    /// The books.
    #[error(transparent)]
    Post(#[from] PostError),
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Looks after all of them until told to stop.
pub async fn run(state: Arc<State>, stop: CancellationToken) {
    tokio::join!(
        follow_time(&state, &stop),
        follow_instances(&state, &stop),
        follow_tenants(&state, &stop),
        sweep::run(&state, &stop),
    );
}

/// Each look is a task of its own: one that nobody polls, while the next are asked for, could hold the connection that is waited for.
async fn follow_time(state: &Arc<State>, stop: &CancellationToken) {
    let mut running = JoinSet::new();
    while !stop.is_cancelled() {
        let room = AT_ONCE - running.len();
        // It is not worth asking for one alone while others are under way.
        if room >= AT_ONCE / 4 {
            let holder = random::id(state.clock.now());
            match take_due(state, holder, room).await {
                Ok(taken) => {
                    for id in taken {
                        let state = Arc::clone(state);
                        running.spawn(async move { look_after(&state, id, holder).await });
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "subscriptions can't be looked after; it is tried again");
                }
            }
        }
        tokio::select! {
            Some(_) = running.join_next() => {}
            () = state.subscriptions_are_due.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => {}
        }
    }
    // What was begun is ended.
    running.join_all().await;
}

async fn take_due(state: &State, holder: Uuid, room: usize) -> Result<Vec<Uuid>, sqlx::Error> {
    let room = i64::try_from(room).unwrap_or(1);
    store::take_due(&state.db, holder, state.clock.now(), TAKEN.as_secs_f64(), room).await
}

/// What happens to a resource is looked at at once; whoever was too slow to hear it all finds the rest by the time. Each look is a task of its
/// own here, too, and nothing but they asks the database.
async fn follow_instances(state: &Arc<State>, stop: &CancellationToken) {
    let mut changes = state.cluster.watches().instances.changes();
    let mut running = JoinSet::new();
    loop {
        let change = tokio::select! {
            Some(_) = running.join_next() => continue,
            change = changes.recv(), if running.len() < AT_ONCE => change,
            () = stop.cancelled() => break,
        };
        match change {
            Ok(change) => {
                let state = Arc::clone(state);
                running.spawn(async move {
                    if let Some(id) = changed_subscription(&state, &change).await {
                        look_at(&state, id).await;
                    }
                });
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => break,
        }
    }
    // What was begun is ended.
    running.join_all().await;
}

/// Whose resource has changed; of one that is gone whoever has noted it knows.
async fn changed_subscription(state: &State, change: &Change) -> Option<Uuid> {
    if !change.is_gone {
        let all = state.cluster.watches().instances.last_known().ok()?;
        return crossing::subscription_of(all.get(&change.key)?);
    }
    let uid = Uuid::try_parse(&change.uid).ok()?;
    let found = store::of_uid(&state.db, uid).await;
    found
        .inspect_err(|error| tracing::warn!(%error, "whose resource is gone can't be read; it is found a little later"))
        .ok()?
}

/// A tenant whose namespace is ready has somebody who waits for it.
async fn follow_tenants(state: &State, stop: &CancellationToken) {
    let tenants = &state.cluster.watches().tenants;
    let mut changes = tenants.changes();
    loop {
        let change = tokio::select! {
            change = changes.recv() => change,
            () = stop.cancelled() => return,
        };
        let change = match change {
            Ok(change) => change,
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        let Ok(all) = tenants.last_known() else { continue };
        let owner = all.get(&change.key).and_then(|one| Uuid::try_parse(&one.spec.owner).ok());
        if let Some(owner) = owner
            && let Err(error) = store::hurry(&state.db, owner, state.clock.now()).await
        {
            tracing::warn!(%error, "who waits for a tenant can't be woken; it is looked at a little later");
        }
        state.subscriptions_are_due.notify_one();
    }
}

async fn look_at(state: &State, id: Uuid) {
    let holder = random::id(state.clock.now());
    match store::take(&state.db, id, holder, TAKEN.as_secs_f64()).await {
        Ok(true) => look_after(state, id, holder).await,
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, "a subscription can't be looked at; it is tried again"),
    }
}

/// Makes steps until there is nothing but waiting, and lets go. What takes too long is cut off before another may begin with it.
async fn look_after(state: &State, id: Uuid, holder: Uuid) {
    match tokio::time::timeout(SURE, steps(state, id, holder)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, subscription.id = %id, "a subscription can't be looked after; it is tried again");
        }
        Err(_) => {
            tracing::warn!(subscription.id = %id, "a look at a subscription took too long; it is tried again");
        }
    }
}

async fn steps(state: &State, id: Uuid, holder: Uuid) -> Result<(), sqlx::Error> {
    for _ in 0..STEPS {
        let Some(row) = store::find(&state.db, id).await? else { return Ok(()) };
        let (seen, now) = (crossing::find(&state.cluster, &row), state.clock.now());
        let step = life::next(&row, seen.as_ref(), now);
        let version = row.crossing.desired_version;
        if let Step::Wait(until) = step {
            store::let_go(&state.db, id, holder, version, until, None).await?;
            // What was seen while nobody else could take it has woken nobody.
            let is_same = crossing::find(&state.cluster, &row) == seen;
            if is_same || !store::take(&state.db, id, holder, TAKEN.as_secs_f64()).await? {
                return Ok(());
            }
            continue;
        }
        match make(state, &row, seen.as_ref(), step, holder).await {
            Ok(true) => {}
            // Not yet: it is looked at again a little later.
            Ok(false) => {
                let again = clock::after(now, patience(&row, now));
                return store::let_go(&state.db, id, holder, version, Some(again), None).await;
            }
            Err(error) => return failed(state, &row, holder, &error).await,
        }
    }
    store::let_go(&state.db, id, holder, 0, None, None).await
}

async fn failed(
    state: &State,
    row: &Subscription,
    holder: Uuid,
    error: &StepError,
) -> Result<(), sqlx::Error> {
    let is_waiting = matches!(error, StepError::Crossing(error) if error.is_waiting());
    let text: String = error.to_string().chars().take(1000).collect();
    if is_waiting {
        let now = state.clock.now();
        let again = clock::after(now, patience(row, now));
        return store::let_go(&state.db, row.id, holder, row.crossing.desired_version, Some(again), None)
            .await;
    }
    tracing::warn!(%error, subscription.id = %row.id, "a step of a subscription failed; it is made again");
    state.metrics.subscriptions.failed();
    let again = clock::after(state.clock.now(), pause(row.crossing.failures));
    store::let_go(&state.db, row.id, holder, row.crossing.desired_version, Some(again), Some(&text)).await
}

/// A quarter of the time for which it is waited for already.
fn patience(row: &Subscription, now: Timestamp) -> SignedDuration {
    let since = row.end.map_or(row.created_at, |end| end.at);
    (now.duration_since(since) / 4).clamp(NOT_YET, NOT_FOR_LONG)
}

/// A second, two, four, and so on; some more or less, so that not all come back at once.
fn pause(failures: i32) -> SignedDuration {
    let [spread] = random::bytes::<1>();
    let seconds = 1_i64 << failures.clamp(0, 7);
    SignedDuration::from_millis(seconds * (750 + i64::from(spread) * 2)).min(LONGEST_PAUSE)
}

/// Makes a step; whether the next one can be looked for.
async fn make(
    state: &State,
    row: &Subscription,
    seen: Option<&Seen>,
    step: Step,
    holder: Uuid,
) -> Result<bool, StepError> {
    let now = state.clock.now();
    match step {
        Step::Make => {
            let uid = crossing::make(&state.cluster, row).await?;
            if store::made(&state.db, row.id, holder, uid).await? {
                return Ok(true);
            }
            // Somebody else looks after it by now. What is entitled to nothing runs nothing; where it has ended it is in the way.
            if store::find(&state.db, row.id).await?.is_some_and(|row| row.end.is_some()) {
                crossing::unmake(&state.cluster, row, uid).await?;
            }
            return Ok(false);
        }
        Step::Apply(wanted) => {
            let told = crossing::tell(&state.cluster, row, wanted).await?;
            let generation = match told {
                Told::Applied { uid, generation } => {
                    store::made(&state.db, row.id, holder, uid).await?;
                    Some(generation)
                }
                Told::Nothing => None,
            };
            store::applied(&state.db, row.id, holder, row.crossing.desired_version, generation).await?;
        }
        // A period is begun by what is so now.
        Step::Activate if state.cluster.watches().instances.is_stale() => return Ok(false),
        Step::Activate => activate(state, row).await?,
        Step::TellSlow => tell_slow(state, row).await?,
        Step::Alert => {
            tracing::error!(subscription.id = %row.id, seen = ?seen, "what was bought is not there after a quarter of an hour");
            store::alerted(&state.db, row.id, now).await?;
        }
        Step::GiveUp => {
            // What can't be seen may well run: it is left alone until the operator's own bound.
            let is_blind = state.cluster.watches().instances.is_stale();
            if is_blind && now < clock::after(row.created_at, FIRST_GRACE) {
                return Ok(false);
            }
            crossing::was_never_there(&state.cluster, row).await?;
            give_up(state, row).await?;
        }
        Step::Stop => return Err(CrossingError::Overtaken.into()),
        Step::Fence => {
            if !crossing::is_quiet(&state.cluster, row).await? {
                return Ok(false);
            }
            cancel::fence(state, row).await?;
            state.metrics.subscriptions.moved("fenced");
        }
        Step::Wait(_) => {}
    }
    Ok(true)
}

async fn activate(state: &State, row: &Subscription) -> Result<(), sqlx::Error> {
    let mut tx = state.db.begin().await?;
    let now = state.clock.now();
    let locked = store::lock(&mut tx, row.id).await?.filter(|row| row.status == Status::PendingDeployment);
    let Some(row) = locked else { return tx.rollback().await };
    let anchor = period::anchor(now);
    let paid = Paid { start: now, until: period::end(now, anchor, row.period) };
    store::activate(&mut tx, row.id, paid, anchor).await?;
    let data = json!({"paid_until": period::day(paid.until)});
    cancel::tell(&mut tx, &row, mail::Kind::ServiceReady, data, now).await?;
    tx.commit().await?;
    state.metrics.subscriptions.activated(now, row.created_at);
    state.mail_is_due.notify_one();
    Ok(())
}

async fn tell_slow(state: &State, row: &Subscription) -> Result<(), sqlx::Error> {
    let mut tx = state.db.begin().await?;
    let now = state.clock.now();
    if store::told_slow(&mut tx, row.id, now).await? {
        cancel::tell(&mut tx, row, mail::Kind::ProvisioningSlow, json!({}), now).await?;
    }
    tx.commit().await?;
    state.mail_is_due.notify_one();
    Ok(())
}

async fn give_up(state: &State, row: &Subscription) -> Result<(), sqlx::Error> {
    let mut tx = state.db.begin().await?;
    let locked = store::lock(&mut tx, row.id).await?.filter(|row| row.status == Status::PendingDeployment);
    let Some(row) = locked else { return tx.rollback().await };
    let now = state.clock.now();
    let ending = cancel::Ending {
        by: life::GIVES_UP,
        refund: cancel::refundable(&row, now),
        kind: mail::Kind::ProvisioningFailed,
        told: json!({}),
    };
    cancel::end(&mut tx, &row, ending, now).await?;
    tx.commit().await?;
    state.metrics.subscriptions.moved("given_up");
    state.mail_is_due.notify_one();
    Ok(())
}
