//! `POST /admin/billing/ledger/verify`, `GET /admin/billing/ledger/accounts`

use crate::{
    audit::{self, Entry},
    http::{
        App,
        admin::Trace,
        auth::Administrator,
        body::Body,
        problem::{Code, Problem, Result},
    },
    ledger::{
        self, Balances, House,
        verify::{self, Difference, Report, Scope},
    },
    money::Rupiah,
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// What is said when the time is over.
const TOO_LONG: &str =
    "Verifying the books takes longer than a request may. Run it beside: api-server ledger verify --full";

/// How far back the books are verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum VerifyMode {
    /// What came after the last checkpoint.
    Incremental,
    /// Everything, checkpoints too.
    Full,
}

/// What is to be verified.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyLedger {
    /// How far back.
    mode: VerifyMode,
}

/// What a verification found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LedgerReport)]
pub(super) struct ReportView {
    /// How far back it looked; `FULL` where there was no checkpoint.
    mode: VerifyMode,
    /// Whether nothing is wrong.
    is_right: bool,
    /// How many transfers it read.
    transfers: u64,
    /// The last transfer of the checkpoint it began from; 0 where it began from nothing.
    since_transfer: i64,
    /// What all customers have together, in rupiah.
    customers: i64,
    /// What the house's accounts come to by the transfers.
    house: HouseView,
    /// What is wrong: at most a hundred of each kind.
    differences: Vec<DifferenceView>,
}

/// The house's accounts: credits less debits, in rupiah. With what customers have, all come to nothing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HouseAccounts)]
struct HouseView {
    /// What the payment gateway took in; less than nothing as long as it is not settled elsewhere.
    clearing: i64,
    /// What was earned.
    revenue: i64,
    /// What was given back for subscriptions.
    refunds: i64,
    /// What administrators set right.
    adjustments: i64,
    /// What was given away.
    promotions: i64,
}

/// One thing that is wrong.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LedgerDifference)]
struct DifferenceView {
    /// What.
    #[schema(example = "ACCOUNT_DIFFERS")]
    fault: &'static str,
    /// With which account or transaction.
    #[schema(example = "account 1000")]
    subject: String,
    /// What it should be, in rupiah.
    expected: i64,
    /// What it is, in rupiah.
    found: i64,
}

/// What all accounts come to now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LedgerBalances)]
pub(super) struct BalancesView {
    /// What customers have of cash, together.
    customers_cash: Rupiah,
    /// What customers have of promotion, together.
    customers_promotion: Rupiah,
    /// The house's.
    house: HouseView,
}

/// As far as JSON carries it.
fn shown(amount: i128) -> i64 {
    i64::try_from(amount).unwrap_or(if amount < 0 { i64::MIN } else { i64::MAX })
}

impl HouseView {
    fn new([clearing, revenue, refunds, adjustments, promotions]: [i64; House::ALL.len()]) -> Self {
        Self { clearing, revenue, refunds, adjustments, promotions }
    }
}

impl From<Balances> for BalancesView {
    fn from(Balances { cash, promotion, house }: Balances) -> Self {
        let house = HouseView::new(house.map(Rupiah::get));
        Self { customers_cash: cash, customers_promotion: promotion, house }
    }
}

impl From<Report> for ReportView {
    fn from(report: Report) -> Self {
        let Report { scope, transfers, since, customers, house, differences } = report;
        let view = |Difference { fault, subject, expected, found }: Difference| DifferenceView {
            fault: fault.as_str(),
            subject,
            expected: shown(expected),
            found: shown(found),
        };
        Self {
            mode: if scope == Scope::Full { VerifyMode::Full } else { VerifyMode::Incremental },
            is_right: differences.is_empty(),
            transfers,
            since_transfer: since,
            customers: shown(customers),
            house: HouseView::new(house.map(shown)),
            differences: differences.into_iter().map(view).collect(),
        }
    }
}

/// Verify that every entry comes to its transaction's amount, and every balance to its transfers.
///
/// It only reads. `FULL` takes as long as there are transfers; where that is too long for a request, `api-server ledger verify --full` does it.
#[utoipa::path(
    post,
    path = "/billing/ledger/verify",
    tag = "billing",
    security(("access_token" = [])),
    request_body = VerifyLedger,
    responses(
        (status = 200, body = ReportView),
    ),
)]
pub(super) async fn verify(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    body: Body<VerifyLedger>,
) -> Result<Json<ReportView>> {
    let scope = match body.value.mode {
        VerifyMode::Incremental => Scope::Incremental,
        VerifyMode::Full => Scope::Full,
    };
    // The other half is for all that lies around it.
    let bound = Duration::from_secs(state.http.request_timeout_seconds) / 2;
    let too_long = || Problem::with(Code::TimedOut, TOO_LONG);
    let report = match tokio::time::timeout(bound, verify::verify(&state.db, scope, bound)).await {
        Ok(Ok(report)) => ReportView::from(report),
        Ok(Err(error)) if verify::took_too_long(&error) => return Err(too_long()),
        Ok(Err(error)) => return Err(error.into()),
        Err(_) => return Err(too_long()),
    };
    let found = serde_json::json!({
        "mode": report.mode, "transfers": report.transfers, "differences": report.differences.len(),
    });
    let line = Entry {
        action: "ledger.verify",
        entity_type: "ledger",
        entity_id: "ledger",
        before: None,
        after: Some(found),
        reason: None,
    };
    let (mut tx, actor) = (state.db.begin().await?, trace.actor(&principal));
    audit::record(&mut tx, &actor, line, state.clock.now()).await?;
    tx.commit().await?;
    Ok(Json(report))
}

/// What all accounts come to now.
#[utoipa::path(
    get,
    path = "/billing/ledger/accounts",
    tag = "billing",
    security(("access_token" = [])),
    responses(
        (status = 200, body = BalancesView),
    ),
)]
pub(super) async fn accounts(State(state): App, _admin: Administrator) -> Result<Json<BalancesView>> {
    Ok(Json(ledger::balances(&state.db).await?.into()))
}
