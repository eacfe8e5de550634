//! The books by themselves, and what was sold beside what was paid for it.

use super::{Difference, Kind, Looked, remedy::Remedy, store};
use crate::{
    ledger::verify::{self, Scope},
    money::Rupiah,
    wallet::Number,
};
use sqlx::PgPool;
use std::time::Duration;

/// How long one statement may take.
const LONGEST: Duration = Duration::from_mins(10);

/// What the books say of themselves, since the last checkpoint.
pub(super) async fn books(db: &PgPool) -> Result<Looked, sqlx::Error> {
    let report = verify::verify(db, Scope::Incremental, LONGEST).await?;
    let differences = report.differences.into_iter().map(|one| Difference {
        kind: Kind::Books,
        subject: format!("{} {}", one.fault.as_str(), one.subject),
        expected: one.expected.to_string(),
        found: one.found.to_string(),
        mend: Remedy::VerifyBooks,
    });
    Ok(Looked { count: report.transfers, differences: differences.collect(), ..Looked::default() })
}

/// Each subscription has what was paid for it and, once it is over, its refund; and nothing was paid for none.
pub(super) async fn sales(db: &PgPool) -> Result<Looked, sqlx::Error> {
    let (count, found) = store::sales(db).await?;
    let differences = found.iter().filter_map(difference);
    Ok(Looked { count, differences: differences.collect(), ..Looked::default() })
}

/// What is said of one that has no counterpart.
struct Said {
    subject: String,
    expected: String,
    found: String,
    /// Whether money is owed to the customer, or by them.
    gives: bool,
    owed: Rupiah,
}

fn difference(found: &store::Found) -> Option<Difference> {
    let kind = Kind::ALL.into_iter().find(|one| one.as_str() == found.kind)?;
    let Said { subject, expected, found: is, gives, owed } =
        of_purchase(kind, found).or_else(|| of_refund(kind, found))?;
    let mend = Remedy::Adjust { user: found.user, gives, amount: owed };
    Some(Difference { kind, subject, expected, found: is, mend })
}

fn subscription(found: &store::Found) -> String {
    found.subscription.map_or_else(|| "subscription none".to_owned(), |id| format!("subscription {id}"))
}

fn transaction(found: &store::Found) -> String {
    found
        .number
        .map_or_else(|| "transaction none".to_owned(), |number| format!("transaction {}", Number(number)))
}

fn of_purchase(kind: Kind, found: &store::Found) -> Option<Said> {
    let (amount, price) = (found.amount, found.price.unwrap_or_default());
    let of = subscription(found);
    let (subject, expected, found, gives, owed) = match kind {
        Kind::PurchaseMissing => {
            (of, format!("{amount} was paid for it"), "no purchase of it is done".to_owned(), false, amount)
        }
        Kind::PurchaseTooMany => (
            transaction(found),
            format!("one purchase of {of}"),
            format!("{amount} was paid once more"),
            true,
            amount,
        ),
        Kind::PurchaseDiffers => {
            let gives = amount > price;
            let owed = if gives { amount.minus(price) } else { price.minus(amount) };
            let expected = format!("{price}, the price of {of}");
            (transaction(found), expected, format!("{amount} was paid"), gives, owed.ok()?)
        }
        Kind::SubscriptionMissing => {
            let expected = "what it paid for is there".to_owned();
            (transaction(found), expected, format!("{of} is not"), true, amount)
        }
        _ => return None,
    };
    Some(Said { subject, expected, found, gives, owed })
}

fn of_refund(kind: Kind, found: &store::Found) -> Option<Said> {
    let (amount, price) = (found.amount, found.price.unwrap_or_default());
    let of = subscription(found);
    let (subject, expected, found, gives, owed) = match kind {
        Kind::RefundMissing if found.number.is_none() => (
            of,
            format!("{amount} comes back, since it was never there"),
            "no refund of it was begun".to_owned(),
            true,
            amount,
        ),
        Kind::RefundMissing => {
            let refund = transaction(found);
            let expected = format!("{refund} over {amount} is done, since nothing of it runs any more");
            (of, expected, "it waits".to_owned(), true, amount)
        }
        Kind::RefundTooLarge => (
            transaction(found),
            format!("{price} at most, the price of {of}"),
            format!("{amount} comes back"),
            false,
            amount.minus(price).ok()?,
        ),
        Kind::RefundTooMany => {
            let expected = format!("{of} has ended, is fenced, and knows of it");
            (transaction(found), expected, format!("{amount} came back"), false, amount)
        }
        _ => return None,
    };
    Some(Said { subject, expected, found, gives, owed })
}
