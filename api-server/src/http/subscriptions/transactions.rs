//! `GET /subscriptions/{id}/transactions`

use crate::{
    http::{
        App,
        auth::CurrentUser,
        pagination::{List, Page},
        path::Id,
        problem::{self, Code, Problem, Result},
        wallet::view::TransactionView,
    },
    ledger::Kind,
    subscriptions::store,
    wallet::{
        Status,
        transactions::{self, Query, Sort},
    },
};
use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::IntoParams;

/// Which of its transactions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Of what.
    #[serde(rename = "type")]
    kind: Option<Kind>,
    /// How they stand.
    status: Option<Status>,
}

/// What was paid for a subscription, and what came back.
#[utoipa::path(
    get,
    path = "/subscriptions/{id}/transactions",
    tag = "subscriptions",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The subscription."), List<Filter, Sort>),
    responses(
        (status = 200, body = Page<TransactionView>),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "One has no such subscription."),
    ),
)]
pub(super) async fn transactions(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    Id(id): Id,
    list: List<Filter, Sort>,
) -> Result<Json<Page<TransactionView>>> {
    let row = store::find_own(&state.db, principal.user_id, id).await?;
    let row = row.ok_or_else(|| Problem::new(Code::NotFound))?;
    let query = Query {
        user_id: Some(principal.user_id),
        subscription_id: Some(row.id),
        kind: list.filter.kind,
        status: list.filter.status,
        sort: list.sort,
        descending: list.reads_descending(),
        beyond: list.beyond().cloned(),
        limit: list.limit(),
        ..Query::default()
    };
    let rows = transactions::list(&state.db, &query).await?;
    Ok(Json(list.page(rows, |row| (list.sort.value(row), row.id), None)))
}
