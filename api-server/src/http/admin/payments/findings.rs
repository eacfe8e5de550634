//! `GET /admin/billing/findings`, `POST /admin/billing/findings/{id}/settle`

use crate::{
    audit::{self, Entry},
    http::{
        App,
        admin::Trace,
        auth::Administrator,
        body::Body,
        idempotency::{self, Begun, Key},
        pagination::{List, Page, SortField},
        path::Id,
        problem::{self, Code, Problem, Result},
    },
    payments::findings::{self, Finding, Query},
};
use axum::{Json, extract::State, http::StatusCode, response::Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Which findings.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// What was found: `SECOND_PAYMENT`.
    kind: Option<String>,
    /// Whether somebody has settled it.
    settled: Option<bool>,
    /// Of which top-up.
    top_up_id: Option<Uuid>,
}

/// Findings are sorted by when they were found.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct ByTime;

impl SortField for ByTime {
    const ALL: &'static [(&'static str, Self)] = &[("found_at", Self)];
    const DESCENDING: bool = true;
}

/// A payment that is not as it should be.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaymentFinding)]
pub(super) struct FindingView {
    /// The id.
    id: Uuid,
    /// What was found.
    #[schema(example = "SECOND_PAYMENT")]
    kind: String,
    /// About what: a transaction of the gateway, an order.
    subject: String,
    /// Of which top-up.
    #[schema(required = true)]
    top_up_id: Option<Uuid>,
    /// What helps to look into it.
    #[schema(value_type = Object)]
    detail: Value,
    /// When.
    found_at: Timestamp,
    /// When somebody settled it.
    #[schema(required = true)]
    settled_at: Option<Timestamp>,
    /// Who.
    #[schema(required = true)]
    settled_by: Option<Uuid>,
    /// What they did about it.
    #[schema(required = true)]
    note: Option<String>,
}

impl From<Finding> for FindingView {
    fn from(finding: Finding) -> Self {
        let Finding { id, kind, subject, top_up_id, detail, found_at, settled_at, settled_by, note } =
            finding;
        Self { id, kind, subject, top_up_id, detail, found_at, settled_at, settled_by, note }
    }
}

/// Payments that were not as they should be: paid twice, too late, with another amount, taken back, not told of.
#[utoipa::path(
    get,
    path = "/billing/findings",
    tag = "billing",
    security(("access_token" = [])),
    params(List<Filter, ByTime>),
    responses((status = 200, body = Page<FindingView>)),
)]
pub(super) async fn list(
    State(state): App,
    _admin: Administrator,
    list: List<Filter, ByTime>,
) -> Result<Json<Page<FindingView>>> {
    let Filter { kind, settled, top_up_id } = &list.filter;
    let query = Query {
        kind: kind.clone(),
        settled: *settled,
        top_up_id: *top_up_id,
        beyond: list.beyond().map(|cursor| cursor.id),
        descending: list.reads_descending(),
        limit: list.limit(),
    };
    let rows = findings::list(&state.db, &query).await?;
    Ok(Json(list.page(rows, |one| (String::new(), one.id), None)))
}

/// What was done about it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settle {
    /// In one's own words, for the next who looks.
    #[schema(min_length = 3, max_length = 500)]
    note: String,
}

/// Say that a finding is settled, and how. Nothing else is changed by it: money moves by an adjustment.
#[utoipa::path(
    post,
    path = "/billing/findings/{id}/settle",
    tag = "billing",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The finding."), ("Idempotency-Key" = Option<String>, Header)),
    request_body = Settle,
    responses(
        (status = 200, body = FindingView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such finding."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "It is settled."),
    ),
)]
pub(super) async fn settle(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    Id(id): Id,
    key: Key,
    body: Body<Settle>,
) -> Result<Response> {
    let note = body.value.note.trim().to_owned();
    if !(3..=500).contains(&note.chars().count()) {
        return Err(Problem::field(Code::Invalid, "note", "must have 3 to 500 characters"));
    }
    let route = format!("POST /admin/billing/findings/{id}/settle");
    let mut once = match idempotency::begin(&state, &principal, &route, key, &body.bytes).await? {
        Begun::Before(answer) => return Ok(answer),
        Begun::First(once) => once,
    };
    let now = state.clock.now();
    let settled = findings::settle(once.db(), id, principal.user_id, &note, now).await?;
    let Some(finding) = settled else {
        let there = findings::read(&state.db, id).await?;
        return Err(Problem::new(if there.is_some() { Code::FindingSettled } else { Code::NotFound }));
    };
    let entry = Entry {
        action: "payment_finding.settle",
        entity_type: "payment_finding",
        entity_id: &id.to_string(),
        before: Some(json!({"kind": finding.kind, "subject": finding.subject})),
        after: Some(json!({"settled_at": finding.settled_at})),
        reason: Some(&note),
    };
    audit::record(once.db(), &trace.actor(&principal), entry, now).await?;
    once.finish(StatusCode::OK, &[], &FindingView::from(finding)).await
}
