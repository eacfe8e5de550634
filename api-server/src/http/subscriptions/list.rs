//! `GET /subscriptions`

use super::SubscriptionView;
use crate::{
    http::{
        App,
        auth::CurrentUser,
        pagination::{ByCreation, List, Page},
        problem::Result,
    },
    subscriptions::{
        Status, cancel,
        store::{self, Query},
    },
};
use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::IntoParams;

/// Which subscriptions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// How they stand.
    status: Option<Status>,
    /// Of which app.
    #[param(example = "ghost")]
    service: Option<String>,
    /// Of which plan.
    #[param(example = "ghost-small")]
    plan: Option<String>,
}

/// What one has bought, also what is over.
#[utoipa::path(
    get,
    path = "/subscriptions",
    tag = "subscriptions",
    security(("access_token" = [])),
    params(List<Filter, ByCreation>),
    responses((status = 200, body = Page<SubscriptionView>)),
)]
pub(super) async fn list(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    list: List<Filter, ByCreation>,
) -> Result<Json<Page<SubscriptionView>>> {
    let query = Query {
        user_id: Some(principal.user_id),
        status: list.filter.status,
        service: list.filter.service.clone(),
        plan: list.filter.plan.clone(),
        beyond: list.beyond().map(|cursor| cursor.id),
        descending: list.reads_descending(),
        limit: list.limit(),
    };
    let rows = store::list(&state.db, &query).await?;
    let rows = cancel::with_refunds(&state.db, rows).await?;
    Ok(Json(list.page(rows, |(one, _)| (String::new(), one.id), None)))
}
