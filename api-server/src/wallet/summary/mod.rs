//! What somebody paid in and spent, by month and by app.

mod store;

use super::months::{Month, Months};
use crate::{
    ledger::Kind,
    money::{Rupiah, TooMuch},
};
use serde::Serialize;
use sqlx::PgPool;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use uuid::Uuid;

/// What came of transactions that are done, each in the month in which it was. What was taken back later counts there as it was, and
/// what took it back counts by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Sums {
    /// Paid in.
    pub topped_up: Rupiah,
    /// Spent on apps.
    pub spent: Rupiah,
    /// Come back for apps.
    pub refunded: Rupiah,
    /// Given.
    pub promotions: Rupiah,
    /// Set right by an administrator; less than nothing where more was taken than given.
    pub adjustments: Rupiah,
    /// Payments that the gateway or a bank took back.
    pub reversed: Rupiah,
    /// By how much the wallet became more.
    pub net: Rupiah,
}

/// What was spent on an app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct OfService {
    /// Which app; none: it is not known of what.
    #[schema(required = true, example = "ghost")]
    pub service: Option<String>,
    /// Spent.
    pub spent: Rupiah,
    /// Come back.
    pub refunded: Rupiah,
}

/// A summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Each month, also where nothing was.
    pub months: Vec<(Month, Sums)>,
    /// Each app, what was spent most on first.
    pub services: Vec<OfService>,
    /// All together.
    pub totals: Sums,
}

/// What transactions of one month, kind and app come to.
struct Part {
    month: Month,
    kind: Kind,
    service: Option<String>,
    /// Credits less debits.
    amount: Rupiah,
}

impl Sums {
    fn add(&mut self, kind: Kind, amount: Rupiah) -> Result<(), TooMuch> {
        match kind {
            Kind::TopUp => self.topped_up = self.topped_up.plus(amount)?,
            Kind::Purchase | Kind::Renewal | Kind::Upgrade => self.spent = self.spent.minus(amount)?,
            Kind::Refund => self.refunded = self.refunded.plus(amount)?,
            Kind::Adjustment => self.adjustments = self.adjustments.plus(amount)?,
            Kind::Promotion => self.promotions = self.promotions.plus(amount)?,
            Kind::Reversal | Kind::Chargeback => self.reversed = self.reversed.minus(amount)?,
        }
        self.net = self.net.plus(amount)?;
        Ok(())
    }
}

/// What somebody paid in and spent in these months.
///
/// # Errors
/// As the database's.
pub async fn read(db: &PgPool, user_id: Uuid, months: Months) -> Result<Summary, sqlx::Error> {
    let parts = store::parts(db, user_id, months).await?;
    sum(months, parts).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

fn sum(months: Months, parts: Vec<Part>) -> Result<Summary, TooMuch> {
    let mut by_month: BTreeMap<Month, Sums> = months.each().map(|month| (month, Sums::default())).collect();
    let (mut by_service, mut totals) = (BTreeMap::<Option<String>, OfService>::new(), Sums::default());
    for Part { month, kind, service, amount } in parts {
        by_month.entry(month).or_default().add(kind, amount)?;
        totals.add(kind, amount)?;
        if !(kind.is_spending() || kind == Kind::Refund) {
            continue;
        }
        let of =
            by_service.entry(service.clone()).or_insert_with(|| OfService { service, ..Default::default() });
        if kind == Kind::Refund {
            of.refunded = of.refunded.plus(amount)?;
        } else {
            of.spent = of.spent.minus(amount)?;
        }
    }
    let mut services: Vec<OfService> = by_service.into_values().collect();
    services.sort_by_key(|of| std::cmp::Reverse(of.spent));
    Ok(Summary { months: by_month.into_iter().collect(), services, totals })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_month_stands_there_and_all_of_them_come_to_the_totals() {
        let month = |text| Month::parse(text).unwrap();
        let part = |at, kind, service: Option<&str>, amount| Part {
            month: month(at),
            kind,
            service: service.map(str::to_owned),
            amount: Rupiah::new(amount).unwrap(),
        };
        let parts = vec![
            part("2026-01", Kind::TopUp, None, 500),
            part("2026-01", Kind::Purchase, Some("ghost"), -100),
            part("2026-03", Kind::Renewal, Some("ghost"), -100),
            part("2026-03", Kind::Upgrade, Some("n8n"), -250),
            part("2026-03", Kind::Refund, Some("n8n"), 50),
            part("2026-03", Kind::Adjustment, None, -7),
            part("2026-03", Kind::Promotion, None, 9),
            part("2026-03", Kind::Chargeback, None, -500),
        ];
        let months = Months { from: month("2026-01"), to: month("2026-03") };
        let Summary { months, services, totals } = sum(months, parts).unwrap();
        assert_eq!(months[1], (month("2026-02"), Sums::default()));
        let net: i64 = months.iter().map(|(_, sums)| sums.net.get()).sum();
        assert_eq!(
            (net, totals.net.get(), totals.spent.get(), totals.reversed.get()),
            (-398, -398, 450, 500)
        );
        let spent: Vec<_> = services.iter().map(|of| (of.service.as_deref(), of.spent.get())).collect();
        assert_eq!(spent, [(Some("n8n"), 250), (Some("ghost"), 200)]);
        assert_eq!(services[0].refunded.get(), 50);
    }
}
