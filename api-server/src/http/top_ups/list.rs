//! `GET /wallet/top-ups`

use super::TopUpView;
use crate::{
    http::{
        App,
        auth::CurrentUser,
        pagination::{ByCreation, List, Page},
        problem::Result,
    },
    payments::top_up::{self, Query},
    wallet::Status,
};
use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::IntoParams;

/// Which top-ups.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// How they stand.
    status: Option<Status>,
}

/// One's own top-ups, from the intent on.
#[utoipa::path(
    get,
    path = "/wallet/top-ups",
    tag = "wallet",
    security(("access_token" = [])),
    params(List<Filter, ByCreation>),
    responses((status = 200, body = Page<TopUpView>)),
)]
pub(super) async fn list(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    list: List<Filter, ByCreation>,
) -> Result<Json<Page<TopUpView>>> {
    let query = Query {
        user_id: principal.user_id,
        id: None,
        status: list.filter.status,
        beyond: list.beyond().map(|cursor| cursor.id),
        descending: list.reads_descending(),
        limit: list.limit(),
    };
    let rows = top_up::list(&state.db, &query).await?;
    Ok(Json(list.page(rows, |one| (String::new(), one.id), None)))
}
