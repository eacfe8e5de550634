//! `GET /admin/users`, `GET /admin/users/stats`

use crate::{
    http::{
        App,
        auth::Administrator,
        pagination::{List, Page},
        problem::Result,
        view::UserView,
    },
    users::directory::{self, Filter, Sort},
};
use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

/// Users by filters, sorted, a page at a time.
#[utoipa::path(
    get,
    path = "/users",
    tag = "users",
    security(("access_token" = [])),
    params(List<Filter, Sort>),
    responses(
        (status = 200, body = Page<UserView>),
    ),
)]
pub(super) async fn list(
    State(state): App,
    _admin: Administrator,
    list: List<Filter, Sort>,
) -> Result<Json<Page<UserView>>> {
    Ok(Json(directory::list(&state.db, &list).await?))
}

/// How many users there are of each kind.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UserStats {
    /// Not deleted.
    total: i64,
    /// Neither deactivated nor deleted.
    active: i64,
    /// Deactivated.
    deactivated: i64,
    /// Deleted.
    deleted: i64,
    /// With a proven address, of the total.
    verified: i64,
    /// Active administrators.
    administrators: i64,
    /// Registered in the last thirty days, of the total.
    registered_last_30_days: i64,
    /// Logged in within the last thirty days, of the total.
    logged_in_last_30_days: i64,
}

/// How many users there are of each kind.
#[utoipa::path(
    get,
    path = "/users/stats",
    tag = "users",
    security(("access_token" = [])),
    responses(
        (status = 200, body = UserStats),
    ),
)]
pub(super) async fn stats(State(state): App, _admin: Administrator) -> Result<Json<UserStats>> {
    let directory::Stats {
        total,
        active,
        deactivated,
        deleted,
        verified,
        administrators,
        registered_last_30_days,
        logged_in_last_30_days,
    } = directory::stats(&state.db, state.clock.now()).await?;
    Ok(Json(UserStats {
        total,
        active,
        deactivated,
        deleted,
        verified,
        administrators,
        registered_last_30_days,
        logged_in_last_30_days,
    }))
}
