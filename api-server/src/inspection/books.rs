//! The books by themselves, and what was sold beside what was paid for it.

use super::{Difference, Kind, Looked, remedy::Remedy, store};
use crate::{
    ledger::verify::{self, Scope},
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
    Ok(Looked { count: report.transfers, differences: differences.collect(), missed: Vec::new() })
}

/// Each subscription has what was paid for it and, once it is over, its refund; and nothing was paid for none.
pub(super) async fn sales(db: &PgPool) -> Result<Looked, sqlx::Error> {
    let (count, found) = store::sales(db).await?;
    let differences = found.into_iter().filter_map(difference);
    Ok(Looked { count, differences: differences.collect(), missed: Vec::new() })
}

fn difference(found: store::Found) -> Option<Difference> {
    let store::Found { kind, subscription, number, user, amount } = found;
    let transaction = number.map(|number| Number(number).to_string());
    let subscription = subscription.map_or_else(|| "none".to_owned(), |id| id.to_string());
    let of_transaction = transaction.unwrap_or_else(|| "none".to_owned());
    let kind = Kind::ALL.into_iter().find(|one| one.as_str() == kind)?;
    let (subject, expected, found, gives) = match kind {
        Kind::PurchaseMissing => (
            format!("subscription {subscription}"),
            format!("{amount} was paid for it"),
            "no purchase of it is done".to_owned(),
            false,
        ),
        Kind::SubscriptionMissing => (
            format!("transaction {of_transaction}"),
            "what it paid for is there".to_owned(),
            format!("subscription {subscription} is not"),
            true,
        ),
        Kind::RefundMissing => (
            format!("subscription {subscription}"),
            format!("{of_transaction} over {amount} is done, since nothing of it runs any more"),
            "it waits".to_owned(),
            true,
        ),
        Kind::RefundTooMany => (
            format!("transaction {of_transaction}"),
            format!("subscription {subscription} has ended, is fenced, and knows of it"),
            format!("{amount} came back"),
            false,
        ),
        _ => return None,
    };
    Some(Difference { kind, subject, expected, found, mend: Remedy::Adjust { user, gives, amount } })
}
