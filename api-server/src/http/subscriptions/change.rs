//! `PATCH /subscriptions/{id}`

use super::{SubscriptionView, read_name};
use crate::{
    http::{
        App,
        auth::CurrentUser,
        body::Body,
        path::Id,
        problem::{self, Code, Problem, Result},
        rate::{self, Limit},
    },
    subscriptions::store,
};
use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::ToSchema;

/// Changes of one user's subscriptions: each may have the cluster told.
const PER_USER: Limit = Limit::per_minute("change-subscription", 60);

/// What is changed; what is left out stays. How it stands can't be written.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeSubscription {
    /// What one calls it.
    #[schema(example = "My publication", min_length = 1, max_length = 80)]
    name: Option<String>,
    /// Whether it is to be renewed by itself.
    auto_renew: Option<bool>,
}

/// Rename a subscription, or say whether it is to be renewed by itself. A new name reaches the app's resource in the cluster, too, unless
/// another tool manages its name there.
#[utoipa::path(
    patch,
    path = "/subscriptions/{id}",
    tag = "subscriptions",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The subscription.")),
    request_body = ChangeSubscription,
    responses(
        (status = 200, body = SubscriptionView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "One has no such subscription."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "It has ended."),
    ),
)]
pub(super) async fn change(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    Id(id): Id,
    body: Body<ChangeSubscription>,
) -> Result<Json<SubscriptionView>> {
    let ChangeSubscription { name, auto_renew } = body.value;
    let name = name.map(|name| read_name(&name)).transpose()?;
    rate::take(&state, PER_USER, &principal.user_id.to_string()).await?;
    let mut tx = state.db.begin().await?;
    let row = store::lock(&mut tx, id).await?.filter(|row| row.user_id == principal.user_id);
    let Some(mut row) = row else {
        tx.rollback().await?;
        return Err(Problem::new(Code::NotFound));
    };
    if row.end.is_some() {
        tx.rollback().await?;
        return Err(Problem::new(Code::SubscriptionEnded));
    }
    row.name = name.unwrap_or(row.name);
    row.auto_renew = auto_renew.unwrap_or(row.auto_renew);
    store::change(&mut tx, id, &row.name, row.auto_renew, state.clock.now()).await?;
    tx.commit().await?;
    state.subscriptions_are_due.notify_one();
    Ok(Json(super::view(&state, row).await?))
}
