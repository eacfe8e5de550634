//! `GET /wallet/transactions`, `GET /wallet/transactions/{id}`

use super::view::{Named, TransactionView, number};
use crate::{
    http::{
        App,
        auth::CurrentUser,
        pagination::{List, Page},
        problem::{self, Code, Problem, Result},
    },
    ledger::{Direction, Kind},
    wallet::{
        Status,
        transactions::{self, Query, Sort},
    },
};
use axum::{Json, extract::State};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

/// Which transactions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Of what.
    #[serde(rename = "type")]
    kind: Option<Kind>,
    /// How they stand.
    status: Option<Status>,
    /// Into the wallet or out of it.
    direction: Option<Direction>,
    /// The one of that number: `TXMP-101`, or `101`.
    #[param(pattern = "^([Tt][Xx][Mm][Pp]-)?[0-9]{1,18}$", example = "TXMP-101")]
    number: Option<String>,
    /// Made then or later.
    created_after: Option<Timestamp>,
    /// Made before then.
    created_before: Option<Timestamp>,
    /// Of so much or more.
    amount_min: Option<i64>,
    /// Of so much or less.
    amount_max: Option<i64>,
    /// For which subscription.
    subscription_id: Option<Uuid>,
    /// For which app.
    service: Option<String>,
    /// How they were or are to be paid.
    method: Option<String>,
}

/// All of one's transactions, from the intent on, by filters, sorted, a page at a time.
#[utoipa::path(
    get,
    path = "/wallet/transactions",
    tag = "wallet",
    security(("access_token" = [])),
    params(List<Filter, Sort>),
    responses(
        (status = 200, body = Page<TransactionView>),
    ),
)]
pub(super) async fn list(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    list: List<Filter, Sort>,
) -> Result<Json<Page<TransactionView>>> {
    let Filter {
        kind,
        status,
        direction,
        number: named,
        created_after,
        created_before,
        amount_min,
        amount_max,
        subscription_id,
        service,
        method,
    } = &list.filter;
    let query = Query {
        id: None,
        number: number(named.as_deref())?,
        user_id: Some(principal.user_id),
        kind: *kind,
        status: *status,
        direction: *direction,
        created_after: *created_after,
        created_before: *created_before,
        amount_min: *amount_min,
        amount_max: *amount_max,
        subscription_id: *subscription_id,
        service: service.clone(),
        method: method.clone(),
        email: None,
        search: None,
        sort: list.sort,
        descending: list.reads_descending(),
        beyond: list.beyond().cloned(),
        limit: list.limit(),
    };
    let rows = transactions::list(&state.db, &query).await?;
    Ok(Json(list.page(rows, |row| (list.sort.value(row), row.id), None)))
}

/// One of one's transactions.
#[utoipa::path(
    get,
    path = "/wallet/transactions/{id}",
    tag = "wallet",
    security(("access_token" = [])),
    params(("id" = String, Path, description = "The transaction's id, or its number: `TXMP-101`.")),
    responses(
        (status = 200, body = TransactionView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "One has no such transaction."),
    ),
)]
pub(super) async fn read(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    Named(name): Named,
) -> Result<Json<TransactionView>> {
    let found = transactions::find(&state.db, name, Some(principal.user_id)).await?;
    Ok(Json(found.ok_or_else(|| Problem::new(Code::NotFound))?.into()))
}
