//! Whether what was credited is what the gateway holds: asked and judged as when it is settled, and nothing booked.

use super::{
    Attempt, Payment,
    judge::{self, Finding, Verdict},
    midtrans::{CallError, Client, Observed, OrderId},
    settle, store,
};
use crate::{
    inspection::{Difference, Kind, Looked, remedy::Remedy},
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
pub async fn check(db: &PgPool, client: &Client, id: Uuid) -> Result<Looked, CheckError> {
    let mut looked = Looked { count: 1, ..Looked::default() };
    let Some(attempt) = store::attempt(db, id).await? else { return Ok(looked) };
    let known = store::payments_of(db, id).await?;
    let mut ids: BTreeSet<&str> = known.iter().map(|(id, ..)| id.as_str()).collect();
    if let Some(seen) = client.status(&attempt.order_id().to_string()).await? {
        ids.remove(seen.transaction_id.as_str());
        compare(db, &attempt, &seen, &mut looked).await?;
    }
    for id in ids {
        let Some(before) = payment(db, id).await? else { continue };
        match client.status(id).await? {
            Some(seen) => compare(db, &attempt, &seen, &mut looked).await?,
            None if before.credited_by.is_some() => {
                let left = left(&before);
                let found_there = format!("{left} is credited, and the gateway knows no transaction {id}");
                looked.differences.push(unpaid(&attempt, WAS_PAID, found_there, take(&attempt, left)));
            }
            None => {}
        }
    }
    Ok(looked)
}

async fn payment(db: &PgPool, id: &str) -> Result<Option<Payment>, sqlx::Error> {
    store::payment(&mut *db.acquire().await?, id).await
}

async fn compare(
    db: &PgPool,
    attempt: &Attempt,
    seen: &Observed,
    looked: &mut Looked,
) -> Result<(), CheckError> {
    let before = payment(db, &seen.transaction_id).await?;
    if before.as_ref().is_some_and(|before| before.attempt_id != attempt.id) {
        return Ok(());
    }
    let verdict = judge::judge(attempt.amount, &settle::known(attempt, before.as_ref()), seen);
    let judged = judged(attempt, before.as_ref(), seen, &verdict);
    // What an administrator has settled stands as it is.
    if judged == Judged::Agrees || store::is_settled(db, &seen.transaction_id).await? {
        return Ok(());
    }
    match judged {
        Judged::Agrees => {}
        Judged::Differs(difference) => looked.differences.push(difference),
        Judged::Untold(why) => looked.missed.push(why),
    }
    Ok(())
}

/// What comes of what the gateway says of a transaction.
#[derive(Debug, PartialEq, Eq)]
enum Judged {
    /// It is booked so.
    Agrees,
    /// It is booked otherwise.
    Differs(Difference),
    /// What it says is not understood here.
    Untold(String),
}

/// What is credited and was not taken back.
fn left(before: &Payment) -> Rupiah {
    before.credited.minus(before.taken_back).unwrap_or_default()
}

/// What should be of what is credited.
const WAS_PAID: &str = "what was credited was paid";

fn take(attempt: &Attempt, amount: Rupiah) -> Remedy {
    Remedy::Adjust { user: attempt.user_id, gives: false, amount }
}

fn unpaid(attempt: &Attempt, expected: &str, found: String, mend: Remedy) -> Difference {
    let (kind, subject, expected) = (Kind::CreditedNotPaid, subject(attempt.id), expected.to_owned());
    Difference { kind, subject, expected, found, mend }
}

fn uncredited(attempt: &Attempt, found: String, mend: Remedy) -> Difference {
    let expected = "what the gateway holds is credited".to_owned();
    Difference { kind: Kind::PaidNotCredited, subject: subject(attempt.id), expected, found, mend }
}

fn judged(attempt: &Attempt, before: Option<&Payment>, seen: &Observed, verdict: &Verdict) -> Judged {
    let (status, order_id) = (seen.status.as_str(), attempt.order_id().to_string());
    let settle = Remedy::Settle { order_id };
    if let Some(amount) = verdict.credit {
        let found = format!("{amount} is paid ({status}), and not credited");
        return Judged::Differs(uncredited(attempt, found, settle));
    }
    if !verdict.take_back.is_empty() {
        let parts = verdict.take_back.iter().map(|one| one.amount);
        let amount = parts.fold(Rupiah::ZERO, |sum, one| sum.plus(one).unwrap_or(sum));
        let found = format!("{amount} went back ({status}), and is still in the wallet");
        return Judged::Differs(unpaid(attempt, "taken back here, too", found, settle));
    }
    let credited = before.filter(|before| before.credited_by.is_some());
    let standing = verdict.standing;
    match (verdict.findings.first(), credited) {
        (Some(finding), credited) => found(attempt, credited, seen, finding),
        (None, Some(before)) if standing > judge::Standing::Unpaid && !is_paid(seen) => {
            Judged::Differs(contradicted(attempt, before, status))
        }
        (None, _) => Judged::Agrees,
    }
}

fn contradicted(attempt: &Attempt, before: &Payment, status: &str) -> Difference {
    let left = left(before);
    let found = format!("{left} is credited, and the gateway says `{status}`");
    unpaid(attempt, WAS_PAID, found, take(attempt, left))
}

/// What comes of something odd, where nothing moves: how much is owed by whom is for people to find out.
fn found(attempt: &Attempt, credited: Option<&Payment>, seen: &Observed, finding: &Finding) -> Judged {
    let status = seen.status.as_str();
    let look = Remedy::Look { order_id: attempt.order_id().to_string() };
    match (finding, credited) {
        (Finding::EndedAfterPaid { .. }, Some(before)) => {
            Judged::Differs(contradicted(attempt, before, status))
        }
        (
            Finding::AmountDiffers { .. }
            | Finding::OtherCurrency { .. }
            | Finding::OtherCode { .. }
            | Finding::NotAccepted { .. },
            None,
        ) => {
            let found = format!("paid ({status}), and kept back: {}", finding.label());
            Judged::Differs(uncredited(attempt, found, look))
        }
        (Finding::PaidAfterReversal, _) => {
            let found = format!("paid ({status}) after it was taken back here, and not credited again");
            Judged::Differs(uncredited(attempt, found, look))
        }
        (Finding::RefundUntold, Some(before)) => {
            let left = left(before);
            let found =
                format!("{left} is credited, and the gateway says `{status}`, and not how much went back");
            Judged::Differs(unpaid(attempt, "taken back here, too", found, look))
        }
        (Finding::RefundUntold, None) => {
            let found = format!("paid ({status}), and how much of it went back is not told: kept back");
            Judged::Differs(uncredited(attempt, found, look))
        }
        (Finding::UnknownStatus { status }, _) => {
            let order = attempt.order_id();
            Judged::Untold(format!(
                "the gateway says `{status}` of {order}, which this version does not know"
            ))
        }
        // These come with what moves, or nothing is left of what they are about.
        (
            Finding::AmountDiffers { .. }
            | Finding::OtherCurrency { .. }
            | Finding::OtherCode { .. }
            | Finding::NotAccepted { .. },
            Some(_),
        )
        | (Finding::EndedAfterPaid { .. }, None)
        | (
            Finding::LateSettlement
            | Finding::SecondPayment
            | Finding::Reversed
            | Finding::RefundedUncredited
            | Finding::RefundExceeds { .. }
            | Finding::RefundFallsShort { .. },
            _,
        ) => Judged::Agrees,
    }
}

/// Whether the gateway has or had the money.
fn is_paid(seen: &Observed) -> bool {
    use super::midtrans::Status;
    !matches!(seen.status, Status::Pending | Status::Authorize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        payments::{
            judge::Standing,
            midtrans::{Fraud, Status},
        },
        wallet,
    };
    use std::collections::BTreeSet;

    fn rupiah(amount: i64) -> Rupiah {
        Rupiah::new(amount).unwrap()
    }

    fn attempt() -> Attempt {
        Attempt {
            id: Uuid::from_u128(1),
            top_up_id: Uuid::from_u128(2),
            transaction_id: Uuid::from_u128(3),
            user_id: Uuid::from_u128(4),
            number: Number(101),
            status: wallet::Status::Completed,
            amount: rupiah(10_000),
            method: None,
            is_open: false,
            page: None,
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: Timestamp::UNIX_EPOCH,
            was_called: true,
            cancel_wanted: false,
        }
    }

    fn credited(standing: Standing, taken_back: i64) -> Payment {
        Payment {
            attempt_id: attempt().id,
            status: "settlement".into(),
            standing,
            credited_by: Some(attempt().transaction_id),
            credited: rupiah(10_000),
            taken_back: rupiah(taken_back),
            keys: BTreeSet::new(),
            asked_at: None,
        }
    }

    fn seen(status: Status) -> Observed {
        Observed {
            order_id: attempt().order_id().to_string(),
            transaction_id: "t-1".into(),
            status,
            fraud: Some(Fraud::Accept),
            gross: rupiah(10_000),
            original: None,
            currency: "IDR".into(),
            payment_type: "bank_transfer".into(),
            status_code: "200".into(),
            transaction_time: None,
            settled_at: None,
            expires_at: None,
            refunds: Vec::new(),
            refund_amount: None,
            issuer: None,
            bank: None,
            store: None,
            custom_field1: None,
        }
    }

    fn says(before: Option<&Payment>, seen: &Observed) -> Judged {
        let verdict = judge::judge(attempt().amount, &settle::known(&attempt(), before), seen);
        judged(&attempt(), before, seen, &verdict)
    }

    fn differs(before: Option<&Payment>, seen: &Observed) -> Option<(Kind, bool)> {
        match says(before, seen) {
            Judged::Differs(one) => Some((one.kind, matches!(one.mend, Remedy::Look { .. }))),
            Judged::Agrees | Judged::Untold(_) => None,
        }
    }

    #[test]
    fn what_is_booked_as_the_gateway_says_agrees_and_what_it_takes_back_differs() {
        let paid = credited(Standing::Paid, 0);
        assert_eq!(says(Some(&paid), &seen(Status::Settlement)), Judged::Agrees);
        assert_eq!(differs(Some(&paid), &seen(Status::Deny)), Some((Kind::CreditedNotPaid, false)));
        assert_eq!(differs(Some(&paid), &seen(Status::Pending)), Some((Kind::CreditedNotPaid, false)));
        assert_eq!(differs(None, &seen(Status::Settlement)), Some((Kind::PaidNotCredited, false)));
        assert_eq!(says(None, &seen(Status::Expire)), Judged::Agrees);
        let over = credited(Standing::Reversed, 10_000);
        assert_eq!(says(Some(&over), &seen(Status::Refund)), Judged::Agrees);
    }

    #[test]
    fn of_what_nobody_knows_how_much_is_owed_people_are_told_to_look() {
        let (paid, over) = (credited(Standing::Paid, 0), credited(Standing::Reversed, 10_000));
        let look = |kind| Some((kind, true));
        assert_eq!(differs(Some(&over), &seen(Status::Settlement)), look(Kind::PaidNotCredited));
        assert_eq!(differs(Some(&paid), &seen(Status::PartialRefund)), look(Kind::CreditedNotPaid));
        assert_eq!(differs(None, &seen(Status::PartialRefund)), look(Kind::PaidNotCredited));
        let other = Observed { currency: "USD".into(), ..seen(Status::Settlement) };
        assert_eq!(differs(None, &other), look(Kind::PaidNotCredited));
    }

    #[test]
    fn a_status_that_is_not_known_could_not_be_looked_at() {
        for before in [None, Some(&credited(Standing::Paid, 0))] {
            let Judged::Untold(why) = says(before, &seen(Status::Unknown("on_hold".into()))) else {
                panic!("it is not understood")
            };
            assert!(why.contains("on_hold"), "{why}");
        }
    }
}
