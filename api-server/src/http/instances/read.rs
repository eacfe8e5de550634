//! `GET /instances/{id}`

use super::{
    parts::{self, ComponentView, ConditionView, DomainView, EntitlementView, HoldView, PodView},
    settings::{AccessView, WindowView},
    view::{SummaryView, WhyView},
};
use crate::{
    http::{
        App,
        auth::CurrentUser,
        path::Id,
        problem::{self, Result},
    },
    instances::{
        own::{self, Own},
        pods, why,
    },
    state,
    subscriptions::Resources,
};
use axum::{Json, extract::State};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// An app of one's own, with all that is known of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Instance)]
pub(super) struct InstanceView {
    #[serde(flatten)]
    summary: SummaryView,
    /// Every cause of how it is, the one that counts most first; none where all is well.
    reasons: Vec<WhyView>,
    /// What the operator says of each side of it.
    conditions: Vec<ConditionView>,
    /// Which generation the operator speaks of.
    #[schema(required = true)]
    observed_generation: Option<i64>,
    /// Its parts.
    components: Vec<ComponentView>,
    /// Its pods, read a moment ago; null where the cluster could not be asked.
    #[schema(required = true)]
    pods: Option<Vec<PodView>>,
    /// Hosts of one's own, each with the record to set.
    domains: Vec<DomainView>,
    /// Its settings that are not left to their defaults.
    parameters: BTreeMap<String, String>,
    /// When updates may restart it; null: when the platform does.
    #[schema(required = true)]
    maintenance_window: Option<WindowView>,
    /// When a pending update is rolled out, where that is known.
    #[schema(required = true)]
    rollout_expected_at: Option<Timestamp>,
    /// Access from outside, where it speaks no HTTP.
    #[schema(required = true)]
    access: Option<AccessView>,
    /// How long its data is kept once it is gone: hours or days.
    #[schema(required = true, example = "14d")]
    keep_for: Option<String>,
    /// By which id its data can be restored later.
    #[schema(required = true)]
    data_id: Option<String>,
    /// What it may take; null where it was not bought.
    #[schema(required = true)]
    resources: Option<Resources>,
    /// Until when it may run; null where nobody has entitled it.
    #[schema(required = true)]
    entitlement: Option<EntitlementView>,
    /// Why it may not run; it runs where there is none.
    holds: Vec<HoldView>,
    /// When it was restarted last, as was asked.
    #[schema(required = true)]
    restarted_at: Option<Timestamp>,
}

impl InstanceView {
    fn of(own: &Own, pods: Option<Vec<PodView>>) -> Self {
        let resource = own.resource.as_deref();
        let spec = resource.map(|one| one.spec.clone()).unwrap_or_default();
        let status = resource.and_then(|one| one.status.clone()).unwrap_or_default();
        Self {
            summary: own.into(),
            reasons: why::ranked(own.known()).into_iter().map(WhyView::from).collect(),
            conditions: status.conditions.iter().map(ConditionView::from).collect(),
            observed_generation: status.observed_generation,
            components: parts::components(resource),
            pods,
            domains: status.domains.iter().map(DomainView::from).collect(),
            parameters: spec.parameters,
            maintenance_window: spec.maintenance_window.as_ref().map(WindowView::from),
            rollout_expected_at: parts::time(status.rollout_expected_at.as_ref()),
            access: spec.access.as_ref().map(AccessView::from),
            keep_for: resource.map(|_| spec.retention.keep_for),
            data_id: status.data_id,
            resources: own.row.as_ref().map(|row| row.resources),
            entitlement: spec.entitlement.as_ref().map(EntitlementView::from),
            holds: parts::holds(spec.holds.as_ref()),
            restarted_at: parts::time(spec.restarted_at.as_ref()),
        }
    }
}

/// Its pods, where the cluster can be asked. Nothing else of the answer waits for it to be well.
async fn pods_of(state: &state::State, own: &Own) -> Option<Vec<PodView>> {
    let Some(uid) = own.uid() else { return Some(Vec::new()) };
    match pods::of(&state.cluster, &own.place().0, &uid).await {
        Ok(pods) => Some(pods.into_iter().map(PodView::from).collect()),
        Err(error) => {
            tracing::warn!(%error, "the pods of an app can't be read");
            None
        }
    }
}

/// One's app, as it is known here, with its pods as they are in the cluster at this moment.
#[utoipa::path(
    get,
    path = "/instances/{id}",
    tag = "instances",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "Its subscription's id; of one made by hand its resource's uid.")),
    responses(
        (status = 200, body = InstanceView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "One has no such app, or nothing of it is left."),
    ),
)]
pub(super) async fn read(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    Id(id): Id,
) -> Result<Json<InstanceView>> {
    let own = own::find(&state, principal.user_id, id).await?;
    let pods = pods_of(&state, &own).await;
    Ok(Json(InstanceView::of(&own, pods)))
}

/// One's app as it is after a change.
pub(super) async fn again(state: &state::State, own: &Own) -> InstanceView {
    InstanceView::of(own, pods_of(state, own).await)
}
