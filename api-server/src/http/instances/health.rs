//! `GET /instances/{id}/health`

use super::{
    parts::{self, ComponentView},
    view::{Phase, WhyView},
};
use crate::{
    http::{
        App,
        auth::CurrentUser,
        path::Id,
        problem::{self, Result},
    },
    instances::{own, why},
};
use axum::{Json, extract::State};
use crds::conditions;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// What it comes to.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = InstanceVerdict)]
enum Verdict {
    /// It serves.
    Healthy,
    /// It is on its way to what was asked for.
    Working,
    /// Its owner has stopped it.
    Stopped,
    /// It may not run.
    Suspended,
    /// It should serve and does not, or something of it is stuck.
    Degraded,
    /// It can't be made without somebody's help.
    Failed,
}

impl From<why::Verdict> for Verdict {
    fn from(verdict: why::Verdict) -> Self {
        match verdict {
            why::Verdict::Healthy => Self::Healthy,
            why::Verdict::Working => Self::Working,
            why::Verdict::Stopped => Self::Stopped,
            why::Verdict::Suspended => Self::Suspended,
            why::Verdict::Degraded => Self::Degraded,
            why::Verdict::Failed => Self::Failed,
        }
    }
}

/// How an app is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InstanceHealth)]
pub(super) struct HealthView {
    /// What it comes to.
    verdict: Verdict,
    /// In one word.
    phase: Phase,
    /// Whether it serves, whatever else is said of it.
    available: bool,
    /// Every cause, the one that counts most first; none where all is well.
    reasons: Vec<WhyView>,
    /// Its parts.
    components: Vec<ComponentView>,
    /// When anything of this changed last.
    #[schema(required = true)]
    last_change: Option<Timestamp>,
    /// From when all of this is.
    as_of: Timestamp,
    /// Whether it may be older than half a minute, since the cluster can't be asked.
    stale: bool,
}

/// How one's app is, and why.
#[utoipa::path(
    get,
    path = "/instances/{id}/health",
    tag = "instances",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The app.")),
    responses(
        (status = 200, body = HealthView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "One has no such app."),
    ),
)]
pub(super) async fn health(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    Id(id): Id,
) -> Result<Json<HealthView>> {
    let own = own::find(&state, principal.user_id, id).await?;
    let resource = own.resource.as_deref();
    Ok(Json(HealthView {
        verdict: why::verdict(own.known()).into(),
        phase: why::phase(own.known()).into(),
        available: why::is(resource, conditions::AVAILABLE),
        reasons: why::ranked(own.known()).into_iter().map(WhyView::from).collect(),
        components: parts::components(resource),
        last_change: resource.and_then(why::last_change),
        as_of: own.as_of,
        stale: own.is_stale,
    }))
}
