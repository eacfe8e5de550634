//! What a customer does: means to top up, pays, looks, thinks better of it.

use super::{
    Attempt, LASTS, NewAttempt, NewTopUp, TopUp,
    findings::{self, Found},
    methods::MethodError,
    midtrans::{CallError, Client, Ended, NewPage, Page, PageEnded},
    reconcile,
    settle::{self, SettleError, Source},
    store,
};
use crate::{
    clock,
    ledger::{Direction, Kind},
    money::Rupiah,
    random,
    state::State,
    wallet::{self, New, Status},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use std::time::Duration;
use uuid::Uuid;

/// How many of one customer may be pending at once.
const MOST_PENDING: i64 = 20;
/// How often the payment of one may be begun: each attempt is asked about for as long as it may be paid, and longer.
const MOST_ATTEMPTS: usize = 10;
/// How long one request may take to have a page made: less than a request may take in all.
const CALL: Duration = Duration::from_secs(10);
/// How long somebody who calls a top-up off waits for the gateway's word.
const ASK: Duration = Duration::from_secs(4);
/// For how long it has that to itself.
const CALLING: SignedDuration = SignedDuration::from_secs(25);
/// Nobody is sent to a page that ends sooner than this: what is paid there would come too late.
pub(super) const TOO_LATE: SignedDuration = SignedDuration::from_mins(1);

/// Why it is not done.
#[derive(Debug, thiserror::Error)]
pub enum TopUpError {
    /// There is none, or it is somebody else's.
    #[error("there is no such top-up")]
    Missing,
    /// The amount or the method.
    #[error(transparent)]
    Method(#[from] MethodError),
    /// Too many are pending.
    #[error("{MOST_PENDING} top-ups are pending already; pay or cancel one of them first")]
    TooManyPending,
    /// Too many attempts.
    #[error("its payment was begun {MOST_ATTEMPTS} times already; cancel it and begin a new one")]
    TooManyAttempts,
    /// It was decided.
    #[error("the top-up is {} already", .0.as_str())]
    Decided(Status),
    /// Another request is calling the gateway about it.
    #[error("another request is having its page made")]
    InFlight,
    /// The gateway says no.
    #[error("the payment gateway refuses this payment")]
    Refused,
    /// The gateway, or the books.
    #[error(transparent)]
    Settle(#[from] SettleError),
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Notes what a customer means to pay, before the gateway is called. Its id.
///
/// # Errors
/// [`TopUpError`].
pub async fn open(
    state: &State,
    db: &mut PgConnection,
    user_id: Uuid,
    amount: Rupiah,
    method: Option<&str>,
) -> Result<Uuid, TopUpError> {
    settle::gateway(state)?;
    state.payments.methods.check(method, amount)?;
    // One at a time, or several at once would each be the last that is allowed.
    store::lock_beginnings(db, user_id).await?;
    // Who was deleted a moment ago has none.
    if store::payer(&mut *db, user_id).await?.is_none() {
        return Err(TopUpError::Missing);
    }
    if store::pending_of(db, user_id).await? >= MOST_PENDING {
        return Err(TopUpError::TooManyPending);
    }
    let now = state.clock.now();
    let new = New { method, ..New::of(user_id, Kind::TopUp, Direction::Credit, amount, "Top-up") };
    let (transaction_id, _) = wallet::open(db, &new, now).await?;
    let (id, expires_at) = (random::id(now), clock::after(now, LASTS));
    let top_up = NewTopUp { id, transaction_id, user_id, method, expires_at, created_at: now };
    store::insert_top_up(db, &top_up).await?;
    store::insert_attempt(db, &attempt(id, amount, now, expires_at)).await?;
    Ok(id)
}

/// How many top-ups of somebody are pending. None is begun until the transaction's end.
///
/// # Errors
/// As the database's.
pub async fn pending(db: &mut PgConnection, user_id: Uuid) -> Result<i64, sqlx::Error> {
    store::lock_beginnings(db, user_id).await?;
    store::pending_of(db, user_id).await
}

fn attempt(top_up_id: Uuid, amount: Rupiah, now: Timestamp, expires_at: Timestamp) -> NewAttempt {
    NewAttempt {
        id: random::id(now),
        top_up_id,
        amount,
        created_at: now,
        expires_at,
        next_check_at: reconcile::first_check(now),
    }
}

/// Somebody's top-up.
///
/// # Errors
/// [`TopUpError::Missing`].
pub async fn read(state: &State, user_id: Uuid, id: Uuid) -> Result<TopUp, TopUpError> {
    let query = Query { user_id, id: Some(id), status: None, beyond: None, descending: true, limit: 1 };
    list(&state.db, &query).await?.pop().ok_or(TopUpError::Missing)
}

/// Which of somebody's top-ups.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    /// Whose.
    pub user_id: Uuid,
    /// One alone.
    pub id: Option<Uuid>,
    /// How they stand.
    pub status: Option<Status>,
    /// Beyond which one.
    pub beyond: Option<Uuid>,
    /// Newest first.
    pub descending: bool,
    /// How many.
    pub limit: i64,
}

/// Somebody's top-ups.
///
/// # Errors
/// As the database's.
pub async fn list(db: &PgPool, query: &Query) -> Result<Vec<TopUp>, sqlx::Error> {
    store::top_ups(db, query).await
}

/// Sees to it that a pending top-up has a page that can be paid: the one there is, or a new one. With another method than before the
/// attempt so far is called off and another made.
///
/// # Errors
/// [`TopUpError`].
pub async fn pay(state: &State, user_id: Uuid, id: Uuid, method: Option<&str>) -> Result<TopUp, TopUpError> {
    let last = store::last_of(&state.db, user_id, id).await?.ok_or(TopUpError::Missing)?;
    if last.status != Status::Pending {
        return Err(TopUpError::Decided(last.status));
    }
    let is_over = clock::after(state.clock.now(), TOO_LATE) >= last.expires_at;
    if is_over {
        return Err(TopUpError::Decided(Status::Expired));
    }
    let wants_another = method.is_some() && method != last.method.as_deref();
    if let Some(code) = method {
        state.payments.methods.check(Some(code), last.amount)?;
    }
    let current = if wants_another || !last.is_open || is_spent(state, &last).await? {
        again(state, &last, method.or(last.method.as_deref())).await?
    } else {
        last
    };
    if current.page.is_none() {
        make_page(state, &current).await?;
    }
    read(state, user_id, id).await
}

/// Whether what was chosen on an attempt's page has ended, and the page with it.
async fn is_spent(state: &State, attempt: &Attempt) -> Result<bool, sqlx::Error> {
    let payments = store::payments_of(&state.db, attempt.id).await?;
    let ended = ["cancel", "expire", "failure"];
    Ok(payments.last().is_some_and(|(_, status, _)| ended.contains(&status.as_str())))
}

/// Another attempt, once it is sure that the one before is not paid.
async fn again(state: &State, before: &Attempt, method: Option<&str>) -> Result<Attempt, TopUpError> {
    settle::settle(state, before.id, None, Source::Told).await?;
    let (mut tx, now) = (state.db.begin().await?, state.clock.now());
    let locked = store::locked(&mut tx, before.id).await?.ok_or(TopUpError::Missing)?;
    let last = store::last_of_anybody(&mut *tx, before.top_up_id).await?;
    if locked.status != Status::Pending || last.as_ref().is_some_and(|last| last.id != before.id) {
        tx.rollback().await?;
        return match last {
            // Somebody else has just made it.
            Some(last) if locked.status == Status::Pending => Ok(last),
            _ => Err(TopUpError::Decided(locked.status)),
        };
    }
    if store::attempts_of(&mut *tx, before.top_up_id).await?.len() >= MOST_ATTEMPTS {
        tx.rollback().await?;
        return Err(TopUpError::TooManyAttempts);
    }
    store::close(&mut tx, before.id, true, now).await?;
    store::set_method(&mut tx, before.transaction_id, method).await?;
    let new = attempt(before.top_up_id, before.amount, now, before.expires_at);
    store::insert_attempt(&mut tx, &new).await?;
    tx.commit().await?;
    drop(call_off(state, before).await);
    store::attempt(&state.db, new.id).await?.ok_or(TopUpError::Missing)
}

/// Has the gateway make the page of an attempt that has none.
async fn make_page(state: &State, attempt: &Attempt) -> Result<(), TopUpError> {
    let client = settle::gateway(state)?.within(CALL);
    let methods = state.payments.methods.check(attempt.method.as_deref(), attempt.amount)?;
    let now = state.clock.now();
    if !store::begin_call(&state.db, attempt.id, now, clock::after(now, CALLING)).await? {
        return Err(TopUpError::InFlight);
    }
    let payer = store::payer(&state.db, attempt.user_id).await?.ok_or(TopUpError::Missing)?;
    let finish =
        format!("{}/wallet/top-ups/{}", state.http.public_url.trim_end_matches('/'), attempt.top_up_id);
    let page = NewPage {
        order_id: attempt.order_id(),
        top_up: attempt.top_up_id,
        again: attempt.was_called,
        amount: attempt.amount,
        enabled_payments: &methods,
        customer_name: &payer.0,
        customer_email: &payer.1,
        starts: attempt.created_at,
        lasts: whole_minutes(attempt.expires_at, attempt.created_at),
        finish_url: Some(&finish),
        item_name: "Nakhoda wallet top-up",
    };
    let made = client.create(&page).await;
    state.metrics.payments.called("create", made.as_ref().err().map_or("ok", CallError::label));
    match made {
        Ok(Page { token, redirect_url }) => {
            Ok(store::keep_page(&state.db, attempt.id, &token, &redirect_url).await?)
        }
        Err(error) => {
            store::end_call(&state.db, attempt.id, state.clock.now()).await?;
            not_made(state, attempt, error).await
        }
    }
}

fn whole_minutes(until: Timestamp, from: Timestamp) -> SignedDuration {
    let minutes = until.duration_since(from).as_secs() / 60;
    SignedDuration::from_mins(minutes.max(5))
}

async fn not_made(state: &State, attempt: &Attempt, error: CallError) -> Result<(), TopUpError> {
    tracing::warn!(%error, top_up.id = %attempt.top_up_id, "the gateway made no page");
    match &error {
        CallError::Refused { status_code, messages } => {
            let detail = json!({"status_code": status_code, "messages": messages, "number": attempt.number.to_string()});
            let subject = attempt.order_id().to_string();
            let found = Found {
                kind: findings::PAGE_REFUSED,
                subject: &subject,
                top_up_id: Some(attempt.top_up_id),
                detail,
            };
            findings::note_now(state, &found).await?;
            fail(state, attempt).await?;
            Err(TopUpError::Refused)
        }
        CallError::Unauthorised => {
            settle::key_refused(state).await?;
            Err(SettleError::from(error).into())
        }
        CallError::OrderUsed { .. } => {
            // The customer got there though we never learnt of the page: what there is, is found by its order.
            settle::settle(state, attempt.id, None, Source::Told).await?;
            Err(TopUpError::InFlight)
        }
        CallError::Unknown(_) | CallError::Unreadable(_) => Err(SettleError::from(error).into()),
    }
}

/// It comes to nothing: the gateway won't have it.
async fn fail(state: &State, attempt: &Attempt) -> Result<(), sqlx::Error> {
    let (mut tx, now) = (state.db.begin().await?, state.clock.now());
    let locked = store::locked(&mut tx, attempt.id).await?;
    // Another attempt may have taken its place.
    if locked.is_some_and(|locked| locked.status == Status::Pending && locked.is_open) {
        wallet::decide(&mut tx, attempt.transaction_id, Status::Failed, now).await?;
        store::close(&mut tx, attempt.id, false, now).await?;
    }
    tx.commit().await
}

/// Asks the gateway now.
///
/// # Errors
/// [`TopUpError`].
pub async fn sync(state: &State, user_id: Uuid, id: Uuid) -> Result<TopUp, TopUpError> {
    let last = store::last_of(&state.db, user_id, id).await?.ok_or(TopUpError::Missing)?;
    for attempt_id in store::attempts_of(&state.db, last.top_up_id).await? {
        settle::settle(state, attempt_id, None, Source::Told).await?;
    }
    read(state, user_id, id).await
}

/// Calls it off. What is paid all the same, since somebody had begun, is credited.
///
/// # Errors
/// [`TopUpError::Decided`] where it is paid or over already.
pub async fn cancel(state: &State, user_id: Uuid, id: Uuid) -> Result<TopUp, TopUpError> {
    let last = store::last_of(&state.db, user_id, id).await?.ok_or(TopUpError::Missing)?;
    if last.status == Status::Cancelled {
        return read(state, user_id, id).await;
    }
    if last.status != Status::Pending {
        return Err(TopUpError::Decided(last.status));
    }
    // Whoever has just paid is told so; a gateway that gives no answer is asked again later.
    let asked = tokio::time::timeout(ASK, settle::settle(state, last.id, None, Source::Told)).await;
    if !matches!(asked, Ok(Ok(_))) {
        tracing::warn!(?asked, top_up.id = %id, "a top-up is called off without the gateway's word");
    }
    let (mut tx, now) = (state.db.begin().await?, state.clock.now());
    let locked = store::locked(&mut tx, last.id).await?.ok_or(TopUpError::Missing)?;
    if locked.status != Status::Pending {
        tx.rollback().await?;
        return Err(TopUpError::Decided(locked.status));
    }
    wallet::decide(&mut tx, locked.transaction_id, Status::Cancelled, now).await?;
    store::close(&mut tx, locked.id, true, now).await?;
    tx.commit().await?;
    drop(call_off(state, &locked).await);
    read(state, user_id, id).await
}

/// Tells the gateway that nobody pays an attempt any more. Where it gives no answer it is told again when the attempt is looked at next.
///
/// # Errors
/// [`SettleError`], of which the log tells.
pub(super) async fn call_off(state: &State, attempt: &Attempt) -> Result<(), SettleError> {
    let done = called_off(state, attempt).await;
    let kept = match done {
        Ok(()) => store::cancelled(&state.db, attempt.id).await.map_err(SettleError::from),
        Err(error) => Err(error),
    };
    kept.inspect_err(|error| {
        tracing::warn!(%error, top_up.id = %attempt.top_up_id, "the gateway can't be told yet that a payment is called off");
    })
}

async fn called_off(state: &State, attempt: &Attempt) -> Result<(), SettleError> {
    let client = settle::gateway(state)?.within(CALL);
    let known = store::payments_of(&state.db, attempt.id).await?;
    // What came in meanwhile stays; a card that is captured could still be undone.
    let is_paid = known.iter().any(|(_, _, is_credited)| *is_credited);
    if !is_paid && page_is_ended(state, &client, attempt).await? {
        return Ok(());
    }
    // Each by its own id: the order's leads to the last one alone, and with DANA to none.
    let is_open = |status: &str| matches!(status, "pending" | "authorize");
    let open = known.into_iter().filter(|(_, status, _)| is_open(status)).map(|(id, ..)| id);
    let order = (!is_paid).then(|| attempt.order_id().to_string());
    for id in open.chain(order) {
        let ended = client.cancel(&id).await;
        state.metrics.payments.called("cancel", ended.as_ref().err().map_or("ok", CallError::label));
        match ended? {
            Ended::Done | Ended::NotFound | Ended::NotPossible => {}
        }
    }
    // Now that nothing is under way on it, nor shall anything begin.
    page_is_ended(state, &client, attempt).await.map(drop)
}

/// Ends an attempt's page; whether that is all, since nothing was chosen there.
async fn page_is_ended(state: &State, client: &Client, attempt: &Attempt) -> Result<bool, SettleError> {
    let Some((token, _)) = &attempt.page else { return Ok(false) };
    let ended = client.cancel_page(token).await;
    state.metrics.payments.called("cancel_page", ended.as_ref().err().map_or("ok", CallError::label));
    Ok(ended? != PageEnded::InProgress)
}
