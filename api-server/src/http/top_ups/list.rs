//! `GET /wallet/top-ups`

use super::TopUpView;
use crate::{
    http::{
        App,
        auth::CurrentUser,
        pagination::{List, Page, Place, SortField},
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

/// Top-ups are sorted by when they were begun.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct ByTime;

impl SortField for ByTime {
    const ALL: &'static [(&'static str, Self)] = &[("created_at", Self)];
    const DESCENDING: bool = true;
}

/// One's own top-ups, from the intent on.
#[utoipa::path(
    get,
    path = "/wallet/top-ups",
    tag = "wallet",
    security(("access_token" = [])),
    params(List<Filter, ByTime>),
    responses((status = 200, body = Page<TopUpView>)),
)]
pub(super) async fn list(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    list: List<Filter, ByTime>,
) -> Result<Json<Page<TopUpView>>> {
    let query = Query {
        user_id: principal.user_id,
        id: None,
        status: list.filter.status,
        beyond: match &list.place {
            Place::Start => None,
            Place::After(cursor) | Place::Before(cursor) => Some(cursor.id),
        },
        descending: list.reads_descending(),
        limit: i64::from(list.size) + 1,
    };
    let rows = top_up::list(&state.db, &query).await?;
    Ok(Json(list.page(rows, |one| (String::new(), one.id), None)))
}
