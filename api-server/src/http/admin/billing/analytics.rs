//! `GET /admin/billing/analytics`

use super::ledger::BalancesView;
use crate::{
    http::{
        App,
        auth::Administrator,
        problem::{self, Result},
        query::Query,
        wallet::view::{IDR, MonthsQuery, ZONE},
    },
    wallet::{
        analytics::{self, Analytics, Figures},
        months::{Month, Months},
    },
};
use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

/// The most months of one answer: everybody's entries of all of them are read.
const MOST: i32 = 13;

/// What all customers paid in and spent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BillingAnalytics)]
pub(super) struct AnalyticsView {
    /// Always `IDR`: all amounts are whole rupiah.
    #[schema(example = "IDR")]
    currency: &'static str,
    /// Where months begin at midnight.
    #[schema(example = "Asia/Jakarta")]
    time_zone: &'static str,
    /// The first month.
    #[schema(value_type = String, example = "2026-01")]
    from: Month,
    /// The last month.
    #[schema(value_type = String, example = "2026-12")]
    to: Month,
    /// Each month, also where nothing was.
    months: Vec<MonthView>,
    /// All of it together.
    totals: Figures,
    /// What the accounts come to now.
    balances: BalancesView,
}

/// A month.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BillingMonth)]
struct MonthView {
    /// Which.
    #[schema(value_type = String, example = "2026-01")]
    month: Month,
    /// What came of it.
    figures: Figures,
}

/// What all customers paid in and spent, in thirteen months at most.
#[utoipa::path(
    get,
    path = "/billing/analytics",
    tag = "billing",
    security(("access_token" = [])),
    params(MonthsQuery),
    responses(
        (status = 200, body = AnalyticsView),
        (status = 422, body = problem::Body, content_type = "application/problem+json", description = "These are no months, or too many."),
    ),
)]
pub(super) async fn read(
    State(state): App,
    _admin: Administrator,
    Query(query): Query<MonthsQuery>,
) -> Result<Json<AnalyticsView>> {
    let asked = query.read(state.clock.now())?.at_most(MOST)?;
    let Months { from, to } = asked;
    let Analytics { months, totals, balances } = analytics::read(&state.db, asked).await?;
    let months = months.into_iter().map(|(month, figures)| MonthView { month, figures }).collect();
    let balances = balances.into();
    Ok(Json(AnalyticsView { currency: IDR, time_zone: ZONE, from, to, months, totals, balances }))
}
