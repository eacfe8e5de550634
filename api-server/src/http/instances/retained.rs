//! `GET /retained`

use crate::{
    http::{App, auth::CurrentUser, problem::Result},
    state,
};
use axum::{Json, extract::State};
use crds::{
    names,
    quota::{self, RetainedState},
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// What becomes of kept data.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = RetainedDataState)]
enum StateView {
    /// It is kept until its time is over.
    Kept,
    /// Its time is over; it is kept all the same.
    Expired,
    /// Its destruction was ordered and waits.
    PurgeOrdered,
    /// It is due, and is destroyed next.
    PurgeDue,
    /// It is being destroyed and can't be restored any more.
    Purging,
    /// Something is in the way; the message says what.
    Blocked,
}

impl From<RetainedState> for StateView {
    fn from(state: RetainedState) -> Self {
        match state {
            RetainedState::Kept => Self::Kept,
            RetainedState::Expired => Self::Expired,
            RetainedState::PurgeOrdered => Self::PurgeOrdered,
            RetainedState::PurgeDue => Self::PurgeDue,
            RetainedState::Purging => Self::Purging,
            RetainedState::Blocked => Self::Blocked,
        }
    }
}

/// Data of an app that is gone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetainedData)]
struct RetainedView {
    /// By what it is restored.
    #[schema(example = "abcdefghijkl")]
    data_id: String,
    /// The app that wrote it.
    #[schema(example = "ghost")]
    service: String,
    /// The plan that it was sold with.
    #[schema(example = "ghost-small")]
    plan: String,
    /// How large it is, in bytes.
    #[schema(example = 10_737_418_240_i64)]
    storage_bytes: i64,
    /// Since when its app is gone.
    #[schema(required = true)]
    released_at: Option<Timestamp>,
    /// Until when it is kept.
    #[schema(required = true)]
    keep_until: Option<Timestamp>,
    /// When it is destroyed at the earliest, as things stand.
    #[schema(required = true)]
    purge_at: Option<Timestamp>,
    /// What becomes of it.
    state: StateView,
    /// What is in its way, and who must act.
    #[schema(required = true)]
    message: Option<String>,
}

/// All data that one may restore.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetainedList)]
pub(super) struct RetainedListView {
    /// Each, that whose time ends first before the others.
    items: Vec<RetainedView>,
}

impl From<&quota::Retained> for RetainedView {
    fn from(data: &quota::Retained) -> Self {
        Self {
            data_id: data.data_id.clone(),
            service: data.template.clone(),
            plan: data.plan.clone(),
            storage_bytes: data.storage.units(),
            released_at: super::parts::time(data.released_at.as_ref()),
            keep_until: super::parts::time(data.keep_until.as_ref()),
            purge_at: super::parts::time(data.purge_at.as_ref()),
            state: data.state.into(),
            message: data.message.clone(),
        }
    }
}

/// Data of one's apps that are gone, as long as it is kept.
#[utoipa::path(
    get,
    path = "/retained",
    tag = "instances",
    security(("access_token" = [])),
    responses((status = 200, body = RetainedListView)),
)]
pub(super) async fn retained(
    State(state): App,
    CurrentUser(principal): CurrentUser,
) -> Result<Json<RetainedListView>> {
    let items = of_tenant(&state, &principal.user_id.to_string())?;
    Ok(Json(RetainedListView { items }))
}

fn of_tenant(state: &state::State, owner: &str) -> Result<Vec<RetainedView>> {
    let tenants = state.cluster.watches().tenants.last_known()?;
    let tenant = tenants.named(&names::tenant_of_user(owner)).filter(|tenant| tenant.spec.owner == owner);
    let status = tenant.and_then(|tenant| tenant.status.as_ref());
    Ok(status.into_iter().flat_map(|status| &status.retained).map(RetainedView::from).collect())
}
