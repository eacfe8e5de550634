//! `GET /wallet/summary`

use crate::{
    http::{
        App,
        auth::CurrentUser,
        problem::Result,
        query::Query,
        wallet::view::{IDR, MonthsQuery, ZONE},
    },
    wallet::{
        months::{Month, Months},
        summary::{self, OfService, Summary, Sums},
    },
};
use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

/// What was paid in and spent, by month and by app.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WalletSummary)]
pub(super) struct SummaryView {
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
    /// Each app, what was spent most on first.
    services: Vec<OfService>,
    /// All of it together.
    totals: Sums,
}

/// A month.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WalletMonth)]
struct MonthView {
    /// Which.
    #[schema(value_type = String, example = "2026-01")]
    month: Month,
    /// What came of it.
    sums: Sums,
}

/// What one paid in and spent.
#[utoipa::path(
    get,
    path = "/wallet/summary",
    tag = "wallet",
    security(("access_token" = [])),
    params(MonthsQuery),
    responses(
        (status = 200, body = SummaryView),
        (status = 422, body = crate::http::problem::Body, content_type = "application/problem+json", description = "These are no months, or too many."),
    ),
)]
pub(super) async fn read(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    Query(query): Query<MonthsQuery>,
) -> Result<Json<SummaryView>> {
    let asked = query.read(state.clock.now())?;
    let Months { from, to } = asked;
    let Summary { months, services, totals } = summary::read(&state.db, principal.user_id, asked).await?;
    let months = months.into_iter().map(|(month, sums)| MonthView { month, sums }).collect();
    Ok(Json(SummaryView { currency: IDR, time_zone: ZONE, from, to, months, services, totals }))
}
