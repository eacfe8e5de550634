//! From what the gateway says to the books: asked by order and by transaction, judged, and booked in one database transaction, in which nothing
//! else is decided about that top-up. Doing it twice, or from two places at once, books it once.

use super::{
    Attempt, Payment,
    findings::{self, Found},
    judge::{self, Closed, Finding, Known, TakeBack, Verdict},
    midtrans::{CallError, Client, Observed, OrderId, Status as Told},
    store,
    top_up::TOO_LATE,
};
use crate::{
    clock, db,
    ledger::{self, Direction, House, Kind, Move, PostError, Posting, Purse},
    mail,
    money::Rupiah,
    state::State,
    users,
    wallet::{self, New, Status},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use std::collections::BTreeSet;
use uuid::Uuid;

/// The most characters of what a finding is about.
const LONGEST_SUBJECT: usize = 200;
/// How long a notification may take: what was settled longer ago, and is found by asking, no notification has told.
const TOLD_WITHIN: SignedDuration = SignedDuration::from_mins(5);

/// Why a payment's state is not known or not booked. What was done is done again.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// Payments are off.
    #[error("no payment gateway is set up")]
    Off,
    /// The gateway gives no answer.
    #[error(transparent)]
    Gateway(#[from] CallError),
    /// What the gateway said later was booked before.
    #[error("a later answer of the gateway was booked meanwhile")]
    Overtaken,
    /// The books.
    #[error(transparent)]
    Post(#[from] PostError),
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl SettleError {
    /// Whether it is the same however often it is tried, until somebody does something about it. That nobody answers is not.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Off | Self::Overtaken | Self::Gateway(CallError::Unknown(_) | CallError::Unauthorised) => {
                false
            }
            Self::Post(PostError::Database(error)) | Self::Database(error) => db::is_refused(error),
            Self::Gateway(_) | Self::Post(_) => true,
        }
    }
}

/// Notes that an order can't be settled though it was tried again and again.
pub(super) async fn give_notice(
    state: &State,
    order_id: &str,
    error: &SettleError,
) -> Result<(), sqlx::Error> {
    let attempt = match OrderId::parse(order_id) {
        Ok(ours) => store::attempt(&state.db, ours.attempt()).await?,
        Err(_) => None,
    };
    let subject: String = order_id.chars().take(LONGEST_SUBJECT).collect();
    let detail = json!({"order_id": subject, "error": error.to_string()});
    let top_up_id = attempt.map(|attempt| attempt.top_up_id);
    let found = Found { kind: findings::UNSETTLED, subject: &subject, top_up_id, detail };
    findings::note_now(state, &found).await.map(drop)
}

/// What the gateway says of a transaction.
#[derive(Clone, Debug)]
pub struct Answer {
    /// It.
    pub seen: Observed,
    /// When it was asked, before it was answered.
    pub asked_at: Timestamp,
}

/// How it was learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The gateway told, or somebody asked.
    Told,
    /// We asked by ourselves: what is news then, no notification has told.
    Asked,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Whether something was booked that was not known.
    pub moved: bool,
    /// Whether the gateway knows of a payment at all: a customer who has chosen no method has none.
    pub is_known: bool,
    /// Whether one waits to be paid there.
    pub is_pending: bool,
}

/// The gateway.
pub(super) fn gateway(state: &State) -> Result<&Client, SettleError> {
    state.payments.gateway.as_ref().ok_or(SettleError::Off)
}

/// Asks about an attempt and books what is told. `hint` is a transaction of the gateway that a notification named.
///
/// # Errors
/// [`SettleError`].
pub async fn settle(
    state: &State,
    attempt_id: Uuid,
    hint: Option<&str>,
    source: Source,
) -> Result<Outcome, SettleError> {
    let client = gateway(state)?;
    let known = store::payments_of(&state.db, attempt_id).await?;
    let order = OrderId::of(attempt_id).to_string();
    let mut ids: BTreeSet<&str> = known.iter().map(|(id, ..)| id.as_str()).chain(hint).collect();
    let mut outcome = Outcome::default();
    if let Some(answer) = ask(state, client, &order).await? {
        ids.remove(answer.seen.transaction_id.as_str());
        outcome = outcome.and(book(state, attempt_id, &answer, source).await?);
    }
    // What an order paid before, and what can be asked for by its own id alone.
    for id in ids {
        match ask(state, client, id).await? {
            Some(answer)
                if belongs(&answer.seen, attempt_id, known.iter().any(|(known, ..)| known == id)) =>
            {
                outcome = outcome.and(book(state, attempt_id, &answer, source).await?);
            }
            None if known.iter().any(|(known, _, credited)| known == id && *credited) => {
                let detail = json!({"order_id": order});
                let found =
                    Found { kind: findings::UNKNOWN_TO_GATEWAY, subject: id, top_up_id: None, detail };
                findings::note_now(state, &found).await?;
                outcome.moved = true;
            }
            Some(_) | None => {}
        }
    }
    Ok(outcome)
}

/// One question, counted.
pub(super) async fn ask(state: &State, client: &Client, id: &str) -> Result<Option<Answer>, SettleError> {
    let asked_at = state.clock.now();
    let answer = client.status(id).await;
    state.metrics.payments.called("status", answer.as_ref().err().map_or("ok", CallError::label));
    if answer == Err(CallError::Unauthorised) {
        key_refused(state).await?;
    }
    Ok(answer?.map(|seen| Answer { seen, asked_at }))
}

/// The gateway does not know our key: nothing works until somebody mends that. Noted once a day, so that it comes back though somebody has
/// settled what was found then.
pub(super) async fn key_refused(state: &State) -> Result<(), sqlx::Error> {
    let detail = json!({"do": "look at the server key and the environment"});
    let subject = format!("midtrans {}", state.clock.now().strftime("%F"));
    let found = Found { kind: findings::KEY_REFUSED, subject: &subject, top_up_id: None, detail };
    findings::note_now(state, &found).await.map(drop)
}

/// Whether a transaction is one of that attempt. With DANA its order is not always as we gave it, but what we sent along comes back.
fn belongs(seen: &Observed, attempt_id: Uuid, is_known: bool) -> bool {
    is_known || attempt_named(seen) == Some(attempt_id)
}

/// The attempt that a transaction names by its order.
pub(super) fn attempt_named(seen: &Observed) -> Option<Uuid> {
    let exact = OrderId::parse(&seen.order_id).ok();
    // A formatted order begins with ours.
    let longer = || seen.order_id.get(..35).and_then(|start| OrderId::parse(start).ok());
    exact.or_else(longer).map(OrderId::attempt)
}

impl Outcome {
    fn and(self, other: Self) -> Self {
        Self {
            moved: self.moved || other.moved,
            is_known: self.is_known || other.is_known,
            is_pending: self.is_pending || other.is_pending,
        }
    }
}

/// Books what was seen of one transaction of the gateway.
///
/// # Errors
/// [`SettleError`].
pub async fn book(
    state: &State,
    attempt_id: Uuid,
    answer: &Answer,
    source: Source,
) -> Result<Outcome, SettleError> {
    let (mut tx, now) = (state.db.begin().await?, state.clock.now());
    let done = booked(state, &mut tx, attempt_id, answer, source, now).await;
    match done {
        Ok(outcome) => {
            tx.commit().await?;
            state.mail_is_due.notify_one();
            Ok(outcome)
        }
        Err(error) => {
            // The lock goes now, not when the connection is used again.
            tx.rollback().await?;
            Err(error)
        }
    }
}

async fn booked(
    state: &State,
    db: &mut PgConnection,
    attempt_id: Uuid,
    answer: &Answer,
    source: Source,
    now: Timestamp,
) -> Result<Outcome, SettleError> {
    let Answer { seen, asked_at } = answer;
    let Some(attempt) = store::locked(db, attempt_id).await? else { return Ok(Outcome::default()) };
    let before = store::payment(db, &seen.transaction_id).await?;
    if before.as_ref().is_some_and(|before| before.attempt_id != attempt_id) {
        // The gateway's ids are unique, so this is another's: never booked here.
        return Ok(Outcome::default());
    }
    let known = known(&attempt, before.as_ref());
    let verdict = judge::judge(attempt.amount, &known, seen);
    let asked_before = before.as_ref().and_then(|before| before.asked_at);
    if asked_before.is_some_and(|before| *asked_at < before) && !moves_on(known.standing, &seen.status) {
        // How it stands is known from a later answer; what this one would move is asked about once more.
        let is_known = Outcome { is_known: true, ..Outcome::default() };
        return if verdict.moves(&known) { Err(SettleError::Overtaken) } else { Ok(is_known) };
    }
    let is_pending = matches!(seen.status, Told::Pending | Told::Authorize);
    let mut outcome = Outcome { moved: verdict.moves(&known), is_known: true, is_pending };
    let mut after = before.clone().unwrap_or_else(|| Payment::new(attempt_id));
    after.asked_at = asked_before.max(Some(*asked_at));
    let told = seen.status.as_str().to_lowercase();
    let mut also = Vec::new();
    if let Some(credit) = verdict.credit {
        if !credit_to(db, &attempt, &mut after, credit, seen, now).await? {
            also.push((findings::OWNER_DELETED, "credited to somebody who is deleted"));
        }
        attempt_done(db, &attempt, now).await?;
    }
    if before.is_none() || outcome.moved || told != after.status {
        after.standing = verdict.standing;
        after.status = told;
        // The row that its refunds refer to.
        keep(db, seen, &after, now).await?;
    } else if after.asked_at != asked_before {
        store::confirm_payment(db, &seen.transaction_id, *asked_at).await?;
    }
    take_all_back(db, &attempt, &mut after, (&known, &verdict), seen, now).await?;
    if verdict.standing == judge::Standing::Reversed
        && let Some(credited_by) = after.credited_by
        && after.taken_back == after.credited
    {
        wallet::decide(db, credited_by, Status::Reversed, now).await?;
    }
    // A method's end before that leaves the rest of the time for another one.
    let is_over = clock::after(now, TOO_LATE) >= attempt.expires_at;
    if seen.status == Told::Expire && is_over && attempt.status == Status::Pending && attempt.is_open {
        outcome.moved |= expire(db, &attempt, before.is_some(), now).await?;
    }
    let money_moves = verdict.credit.is_some() || !verdict.take_back.is_empty();
    let is_on_its_way = seen.settled_at.is_some_and(|at| now < clock::after(at, TOLD_WITHIN));
    if source == Source::Asked && money_moves && !is_on_its_way {
        also.push((findings::MISSED_NOTIFICATION, "found by asking, no notification had told"));
    }
    note_findings(state, db, &attempt, seen, &verdict, &also, now).await?;
    Ok(outcome)
}

/// Whether what was seen can only have come after what is known, whenever it was asked for: nothing becomes pending again, and what went
/// back stays so, unlike what a bank has taken.
fn moves_on(known: judge::Standing, seen: &Told) -> bool {
    match known {
        judge::Standing::Pending => true,
        judge::Standing::Paid | judge::Standing::PartlyReversed => {
            matches!(seen, Told::Refund | Told::PartialRefund)
        }
        judge::Standing::Unpaid | judge::Standing::Reversed => false,
    }
}

/// Takes back what is to be taken back, and keeps the keys of all that went back.
async fn take_all_back(
    db: &mut PgConnection,
    attempt: &Attempt,
    after: &mut Payment,
    (known, verdict): (&Known, &Verdict),
    seen: &Observed,
    now: Timestamp,
) -> Result<(), SettleError> {
    let parts = parts(attempt, verdict);
    for part in &parts {
        take_back(db, attempt, after, part, seen, now).await?;
    }
    if !parts.is_empty() {
        keep(db, seen, after, now).await?;
    }
    for key in verdict.keys.difference(&known.keys) {
        if !parts.iter().any(|part| part.key == *key) {
            let part = TakeBack { key: key.clone(), amount: Rupiah::ZERO, kind: judge::Kind::Refund };
            store::keep_refund(db, &seen.transaction_id, &part, None, now).await?;
        }
    }
    Ok(())
}

impl Payment {
    fn new(attempt_id: Uuid) -> Self {
        Self {
            attempt_id,
            status: String::new(),
            standing: judge::Standing::Pending,
            credited_by: None,
            credited: Rupiah::ZERO,
            taken_back: Rupiah::ZERO,
            keys: BTreeSet::new(),
            asked_at: None,
        }
    }
}

async fn keep(
    db: &mut PgConnection,
    seen: &Observed,
    after: &Payment,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    store::keep_payment(db, &seen.transaction_id, after, &seen.payment_type, seen.gross, now).await
}

/// What the judge needs to know.
pub(super) fn known(attempt: &Attempt, before: Option<&Payment>) -> Known {
    let credited_by = before.and_then(|before| before.credited_by);
    let is_paid = matches!(attempt.status, Status::Completed | Status::Reversed);
    Known {
        standing: before.map_or(judge::Standing::Pending, |before| before.standing),
        credited: before.filter(|before| before.credited_by.is_some()).map(|before| before.credited),
        taken_back: before.map_or(Rupiah::ZERO, |before| before.taken_back),
        keys: before.map(|before| before.keys.clone()).unwrap_or_default(),
        attempt_is_paid_by_another: is_paid && credited_by != Some(attempt.transaction_id),
        attempt_closed: match attempt.status {
            Status::Expired => Some(Closed::Expired),
            Status::Cancelled => Some(Closed::Cancelled),
            Status::Failed => Some(Closed::Failed),
            Status::Pending | Status::Completed | Status::Reversed => None,
        },
    }
}

/// What is taken back: what the verdict says, and what had gone back before anything was credited, since the whole amount is credited first.
fn parts(attempt: &Attempt, verdict: &Verdict) -> Vec<TakeBack> {
    let mut parts = verdict.take_back.clone();
    if let Some(credit) = verdict.credit
        && let Ok(gone) = attempt.amount.minus(credit)
        && gone.is_positive()
    {
        parts.push(TakeBack { key: "before the credit".to_owned(), amount: gone, kind: judge::Kind::Refund });
    }
    parts
}

/// Credits the whole amount of the attempt: by the top-up's own transaction, or, where that is done already, by one of its own. Whether the
/// owner is still there.
async fn credit_to(
    db: &mut PgConnection,
    attempt: &Attempt,
    after: &mut Payment,
    credit: Rupiah,
    seen: &Observed,
    now: Timestamp,
) -> Result<bool, SettleError> {
    let is_first = !matches!(attempt.status, Status::Completed | Status::Reversed);
    let transaction_id = if is_first {
        attempt.transaction_id
    } else {
        let text = format!("Second payment of {}", attempt.number);
        let method = attempt.method.as_deref();
        let new =
            New { method, ..New::of(attempt.user_id, Kind::TopUp, Direction::Credit, attempt.amount, &text) };
        wallet::open(db, &new, now).await?.0
    };
    let key = format!("topup:midtrans:{}", seen.transaction_id);
    let credits = Move {
        purse: Purse::Cash,
        house: House::Clearing,
        direction: Direction::Credit,
        amount: attempt.amount,
    };
    let locked = ledger::lock(db, attempt.user_id, now).await?;
    let posting = Posting { kind: Kind::TopUp, key: &key, transaction_id, moves: &[credits] };
    let wallet = ledger::post(db, &locked, &posting, now).await?;
    wallet::decide(db, transaction_id, Status::Completed, now).await?;
    (after.credited_by, after.credited) = (Some(transaction_id), attempt.amount);
    let data = json!({"amount": credit.to_string(), "number": attempt.number.to_string(), "balance": wallet.spendable().to_string()});
    // The wallet is locked: whoever is there now has not left before the money came.
    Ok(tell(db, attempt.user_id, mail::Kind::TopUpReceived, data, now).await?)
}

/// A top-up that is paid has no page any more, and whatever else was begun for it is called off. The attempt is asked about from now on as one
/// that is paid, also where nobody had thought of it any more.
async fn attempt_done(db: &mut PgConnection, attempt: &Attempt, now: Timestamp) -> Result<(), sqlx::Error> {
    store::close_paid(db, attempt.top_up_id, attempt.id, now).await
}

async fn take_back(
    db: &mut PgConnection,
    attempt: &Attempt,
    after: &mut Payment,
    part: &TakeBack,
    seen: &Observed,
    now: Timestamp,
) -> Result<(), SettleError> {
    let Some(credited_by) = after.credited_by else { return Ok(()) };
    let (kind, text) = match part.kind {
        judge::Kind::Reversal => (Kind::Reversal, format!("The payment of {} was reversed", attempt.number)),
        judge::Kind::Refund => (Kind::Reversal, format!("The payment of {} was given back", attempt.number)),
        judge::Kind::Chargeback => {
            (Kind::Chargeback, format!("The payment of {} was charged back", attempt.number))
        }
    };
    let new = New {
        reverses: Some(credited_by),
        ..New::of(attempt.user_id, kind, Direction::Debit, part.amount, &text)
    };
    let (transaction_id, number) = wallet::open(db, &new, now).await?;
    let key = key_of(&seen.transaction_id, &part.key);
    let debit =
        Move { purse: Purse::Cash, house: House::Clearing, direction: Direction::Debit, amount: part.amount };
    let locked = ledger::lock(db, attempt.user_id, now).await?;
    let posting = Posting { kind, key: &key, transaction_id, moves: &[debit] };
    let wallet = ledger::post(db, &locked, &posting, now).await?;
    wallet::decide(db, transaction_id, Status::Completed, now).await?;
    store::keep_refund(db, &seen.transaction_id, part, Some(transaction_id), now).await?;
    after.taken_back = after.taken_back.plus(part.amount).map_err(PostError::from)?;
    let data = json!({
        "amount": part.amount.to_string(), "number": number.to_string(), "of": attempt.number.to_string(),
        "balance": wallet.cash.balance.to_string(), "owed": wallet.owes().is_positive().then(|| wallet.owes().to_string()),
    });
    tell(db, attempt.user_id, mail::Kind::TopUpReversed, data, now).await?;
    Ok(())
}

/// An entry's key has a bound, and the gateway's need not have.
fn key_of(gateway_id: &str, part: &str) -> String {
    let key = format!("reversal:midtrans:{gateway_id}:{part}");
    if key.len() <= 200 {
        return key;
    }
    let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(key.as_bytes()));
    format!("reversal:midtrans:sha256:{digest}")
}

/// Its time is over; whoever had chosen a method is told.
pub(super) async fn expire(
    db: &mut PgConnection,
    attempt: &Attempt,
    had_chosen: bool,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let is_new = wallet::decide(db, attempt.transaction_id, Status::Expired, now).await?;
    store::close(db, attempt.id, false, now).await?;
    if is_new && had_chosen {
        let data = json!({"amount": attempt.amount.to_string(), "number": attempt.number.to_string()});
        tell(db, attempt.user_id, mail::Kind::TopUpFailed, data, now).await?;
    }
    Ok(is_new)
}

/// Writes a mail to a user who is still there; whether they are.
async fn tell(
    db: &mut PgConnection,
    user_id: Uuid,
    kind: mail::Kind,
    mut data: serde_json::Value,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let Some(user) = users::store::find(&mut *db, user_id).await? else { return Ok(false) };
    if user.deleted_at.is_some() {
        return Ok(false);
    }
    data["name"] = json!(user.name);
    mail::queue(db, &mail::New { data, ..mail::New::to(&user, kind) }, now).await?;
    Ok(true)
}

async fn note_findings(
    state: &State,
    db: &mut PgConnection,
    attempt: &Attempt,
    seen: &Observed,
    verdict: &Verdict,
    also: &[(&str, &str)],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let detail = |what: String| {
        json!({
            "what": what, "order_id": attempt.order_id().to_string(), "number": attempt.number.to_string(),
            "status": seen.status.as_str(), "gross_amount": seen.gross, "expected": attempt.amount, "payment_type": seen.payment_type,
        })
    };
    let kinds = verdict.findings.iter().map(|one| (one.label().to_uppercase(), describe(one)));
    let also = also.iter().map(|(kind, what)| ((*kind).to_owned(), (*what).to_owned()));
    for (kind, what) in kinds.chain(also) {
        let found = Found {
            kind: &kind,
            subject: &seen.transaction_id,
            top_up_id: Some(attempt.top_up_id),
            detail: detail(what),
        };
        findings::note(state, db, &found, now).await?;
    }
    Ok(())
}

fn describe(finding: &Finding) -> String {
    format!("{finding:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_longer_than_what_is_kept() {
        assert_eq!(key_of("a", "reversal"), "reversal:midtrans:a:reversal");
        let long = "x".repeat(300);
        assert!(key_of(&long, "a").len() <= 200);
        assert_ne!(key_of(&long, "a"), key_of(&long, "b"));
    }
}
