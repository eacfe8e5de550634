//! Whether what was credited is what the gateway holds: asked and judged as when it is settled, and nothing booked.

use super::{
    Attempt, Payment,
    judge::{self, Finding, Verdict},
    midtrans::{CallError, Client, Observed, OrderId},
    settle, store,
};
use crate::{
    inspection::{Difference, Kind, remedy::Remedy},
    money::Rupiah,
    wallet::Number,
};
use jiff::Timestamp;
use sqlx::PgPool;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Why an attempt can't be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The gateway.
    #[error(transparent)]
    Gateway(#[from] CallError),
}

/// What an attempt's differences are about.
pub fn subject(attempt: Uuid) -> String {
    format!("order {}", OrderId::of(attempt))
}

/// Attempts that were made or credited since, by id from one on.
///
/// # Errors
/// As the database's.
pub async fn attempts_since(
    db: &PgPool,
    since: Timestamp,
    after: Uuid,
    most: i64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    store::since(db, since, after, most).await
}

/// Top-ups that were credited since, and for which no payment is known.
///
/// # Errors
/// As the database's.
pub async fn uncovered(db: &PgPool, since: Timestamp) -> Result<Vec<Difference>, sqlx::Error> {
    let found = store::uncovered(db, since).await?;
    let difference = |one: store::Uncovered| Difference {
        kind: Kind::CreditedNotPaid,
        subject: format!("transaction {}", Number(one.number)),
        expected: "a payment at the gateway".to_owned(),
        found: format!("{} was credited for none", one.amount),
        mend: Remedy::Adjust { user: one.user_id, gives: false, amount: one.amount },
    };
    Ok(found.into_iter().map(difference).collect())
}

/// Asks the gateway about an attempt, by its order and by each transaction that is known.
///
/// # Errors
/// [`CheckError`].
pub async fn check(db: &PgPool, client: &Client, id: Uuid) -> Result<Vec<Difference>, CheckError> {
    let Some(attempt) = store::attempt(db, id).await? else { return Ok(Vec::new()) };
    let known = store::payments_of(db, id).await?;
    let mut ids: BTreeSet<&str> = known.iter().map(|(id, ..)| id.as_str()).collect();
    let mut found = Vec::new();
    if let Some(seen) = client.status(&attempt.order_id().to_string()).await? {
        ids.remove(seen.transaction_id.as_str());
        found.extend(compare(db, &attempt, &seen).await?);
    }
    for id in ids {
        let Some(before) = payment(db, id).await? else { continue };
        match client.status(id).await? {
            Some(seen) => found.extend(compare(db, &attempt, &seen).await?),
            None if before.credited_by.is_some() => {
                let left = left(&before);
                let found_there = format!("{left} is credited, and the gateway knows no transaction {id}");
                found.push(unpaid(&attempt, "what was credited was paid", found_there, left));
            }
            None => {}
        }
    }
    Ok(found)
}

async fn payment(db: &PgPool, id: &str) -> Result<Option<Payment>, sqlx::Error> {
    store::payment(&mut *db.acquire().await?, id).await
}

async fn compare(db: &PgPool, attempt: &Attempt, seen: &Observed) -> Result<Option<Difference>, CheckError> {
    let before = payment(db, &seen.transaction_id).await?;
    if before.as_ref().is_some_and(|before| before.attempt_id != attempt.id) {
        return Ok(None);
    }
    let verdict = judge::judge(attempt.amount, &settle::known(attempt, before.as_ref()), seen);
    let difference = difference(attempt, before.as_ref(), seen, &verdict);
    // What an administrator has settled stands as it is.
    let is_settled = difference.is_some() && store::is_settled(db, &seen.transaction_id).await?;
    Ok(difference.filter(|_| !is_settled))
}

/// What is credited and was not taken back.
fn left(before: &Payment) -> Rupiah {
    before.credited.minus(before.taken_back).unwrap_or_default()
}

fn unpaid(attempt: &Attempt, expected: &str, found: String, amount: Rupiah) -> Difference {
    Difference {
        kind: Kind::CreditedNotPaid,
        subject: subject(attempt.id),
        expected: expected.to_owned(),
        found,
        mend: Remedy::Adjust { user: attempt.user_id, gives: false, amount },
    }
}

fn difference(
    attempt: &Attempt,
    before: Option<&Payment>,
    seen: &Observed,
    verdict: &Verdict,
) -> Option<Difference> {
    let status = seen.status.as_str();
    let settle = || Remedy::Settle { order_id: attempt.order_id().to_string() };
    let look = || Remedy::Look { order_id: attempt.order_id().to_string() };
    let uncredited = |found: String, mend: Remedy| Difference {
        kind: Kind::PaidNotCredited,
        subject: subject(attempt.id),
        expected: "what the gateway holds is credited".to_owned(),
        found,
        mend,
    };
    if let Some(amount) = verdict.credit {
        return Some(uncredited(format!("{amount} is paid ({status}), and not credited"), settle()));
    }
    if !verdict.take_back.is_empty() {
        let amount = verdict.take_back.iter().try_fold(Rupiah::ZERO, |sum, one| sum.plus(one.amount)).ok()?;
        let found = format!("{amount} went back ({status}), and is still in the wallet");
        return Some(Difference { mend: settle(), ..unpaid(attempt, "taken back here, too", found, amount) });
    }
    let before = before.filter(|before| before.credited_by.is_some());
    match (before, verdict.findings.first()) {
        (Some(before), Some(Finding::EndedAfterPaid { .. })) => {
            let found = format!("{} is credited, and the gateway says `{status}`", left(before));
            Some(unpaid(attempt, "what was credited was paid", found, left(before)))
        }
        (Some(before), None) if verdict.standing > judge::Standing::Unpaid && !is_paid(seen) => {
            let found = format!("{} is credited, and the gateway says `{status}`", left(before));
            Some(unpaid(attempt, "what was credited was paid", found, left(before)))
        }
        (
            None,
            Some(
                finding @ (Finding::AmountDiffers { .. }
                | Finding::OtherCurrency { .. }
                | Finding::OtherCode { .. }
                | Finding::NotAccepted { .. }),
            ),
        ) => Some(uncredited(format!("paid ({status}), and kept back: {}", finding.label()), look())),
        _ => None,
    }
}

/// Whether the gateway has or had the money.
fn is_paid(seen: &Observed) -> bool {
    use super::midtrans::Status;
    !matches!(seen.status, Status::Pending | Status::Authorize)
}
