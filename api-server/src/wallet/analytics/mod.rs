//! What all customers paid in and spent, for administrators.

mod store;

use super::{
    months::{Month, Months},
    summary::OfService,
};
use crate::{
    ledger::{self, Balances, Kind},
    money::{Rupiah, TooMuch},
};
use serde::Serialize;
use sqlx::PgPool;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// So many, together so much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Tally {
    /// How many.
    pub count: i64,
    /// How much, together.
    pub amount: Rupiah,
}

/// What was paid by a method.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct OfMethod {
    /// Which; none: it is not known.
    #[schema(required = true, example = "qris")]
    pub method: Option<String>,
    /// How many.
    pub count: i64,
    /// How much, together.
    pub amount: Rupiah,
}

/// What came of all customers' transactions that are done, each in the month in which it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Figures {
    /// Paid in.
    pub top_ups: Tally,
    /// The same by method, the most first.
    pub top_ups_by_method: Vec<OfMethod>,
    /// Spent on apps.
    pub spent: Tally,
    /// What was spent on each app and came back for it, the most first.
    pub by_service: Vec<OfService>,
    /// Come back for apps.
    pub refunds: Tally,
    /// Given.
    pub promotions: Tally,
    /// Set right; less than nothing where more was taken than given.
    pub adjustments: Tally,
    /// Payments that the gateway took back.
    pub reversals: Tally,
    /// Payments that a bank took back.
    pub chargebacks: Tally,
    /// Customers who paid in or spent something.
    pub active_payers: i64,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Analytics {
    /// Each month, also where nothing was.
    pub months: Vec<(Month, Figures)>,
    /// All together.
    pub totals: Figures,
    /// What all accounts come to now.
    pub balances: Balances,
}

/// What transactions of one month, kind, method and app come to.
struct Part {
    month: Month,
    kind: Kind,
    method: Option<String>,
    service: Option<String>,
    count: i64,
    /// Credits less debits.
    amount: Rupiah,
}

impl Tally {
    fn add(&mut self, count: i64, amount: Rupiah) -> Result<(), TooMuch> {
        *self = Self { count: self.count + count, amount: self.amount.plus(amount)? };
        Ok(())
    }
}

impl Figures {
    fn add(&mut self, part: &Part) -> Result<(), TooMuch> {
        let Part { month: _, kind, method, service, count, amount } = part;
        let (count, amount, taken) = (*count, *amount, Rupiah::ZERO.minus(*amount)?);
        match kind {
            Kind::TopUp => {
                self.top_ups.add(count, amount)?;
                let of = place(
                    &mut self.top_ups_by_method,
                    |of| of.method == *method,
                    || OfMethod { method: method.clone(), ..OfMethod::default() },
                );
                (of.count, of.amount) = (of.count + count, of.amount.plus(amount)?);
                Ok(())
            }
            Kind::Purchase | Kind::Renewal | Kind::Upgrade => {
                let of = self.of_service(service.as_deref());
                of.spent = of.spent.plus(taken)?;
                self.spent.add(count, taken)
            }
            Kind::Refund => {
                let of = self.of_service(service.as_deref());
                of.refunded = of.refunded.plus(amount)?;
                self.refunds.add(count, amount)
            }
            Kind::Adjustment => self.adjustments.add(count, amount),
            Kind::Promotion => self.promotions.add(count, amount),
            Kind::Reversal => self.reversals.add(count, taken),
            Kind::Chargeback => self.chargebacks.add(count, taken),
        }
    }

    fn of_service(&mut self, service: Option<&str>) -> &mut OfService {
        place(
            &mut self.by_service,
            |of| of.service.as_deref() == service,
            || OfService { service: service.map(str::to_owned), ..OfService::default() },
        )
    }

    fn sort(&mut self) {
        self.top_ups_by_method.sort_by_key(|of| std::cmp::Reverse(of.amount));
        self.by_service.sort_by_key(|of| std::cmp::Reverse(of.spent));
    }
}

/// The one that is meant, made where there is none.
fn place<T>(all: &mut Vec<T>, is_meant: impl Fn(&T) -> bool, make: impl FnOnce() -> T) -> &mut T {
    let at = all.iter().position(is_meant).unwrap_or_else(|| {
        all.push(make());
        all.len() - 1
    });
    &mut all[at]
}

/// What all customers paid in and spent in these months, and have now.
///
/// # Errors
/// As the database's.
pub async fn read(db: &PgPool, months: Months) -> Result<Analytics, sqlx::Error> {
    let parts = store::parts(db, months).await?;
    let payers = store::payers(db, months).await?;
    let balances = ledger::balances(db).await?;
    let (by_month, totals) =
        sum(months, &parts, &payers).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(Analytics { months: by_month, totals, balances })
}

type ByMonth = Vec<(Month, Figures)>;

fn sum(
    months: Months,
    parts: &[Part],
    payers: &[(Option<Month>, i64)],
) -> Result<(ByMonth, Figures), TooMuch> {
    let mut by_month: BTreeMap<Month, Figures> =
        months.each().map(|month| (month, Figures::default())).collect();
    let mut totals = Figures::default();
    for part in parts {
        by_month.entry(part.month).or_default().add(part)?;
        totals.add(part)?;
    }
    for (month, count) in payers {
        month.map_or(&mut totals, |month| by_month.entry(month).or_default()).active_payers = *count;
    }
    by_month.values_mut().for_each(Figures::sort);
    totals.sort();
    Ok((by_month.into_iter().collect(), totals))
}
