//! `POST /instances/{id}/start`, `POST …/stop`, `POST …/restart`

use super::view::{Phase, Power};
use crate::{
    http::{
        App,
        admin::Trace,
        auth::CurrentUser,
        body::Body,
        idempotency::{self, Decided, Key},
        path::Id,
        problem::{self, Problem, Result},
        rate::{self, Limit},
    },
    instances::{
        own,
        owner::{self, Asked, By, Verb},
        why,
    },
    sessions::Principal,
    state,
};
use axum::{extract::State, response::Response};
use crds::ServiceInstance;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;

/// Changes of one user's apps: each is several calls to the cluster.
pub(super) const PER_USER: Limit = Limit::per_minute("change-instance", 60);

/// How it is done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangePower {
    /// Take over what another tool manages. A tool that goes on applying it sets it back.
    #[serde(default)]
    #[schema(required = false)]
    take_over: bool,
}

/// What was asked for, and what it caused.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InstancePower)]
pub(super) struct PowerView {
    /// The app.
    id: Uuid,
    /// Whether its owner wants it to run.
    power_state: Power,
    /// When it was last asked to be restarted.
    #[schema(required = true)]
    restarted_at: Option<Timestamp>,
    /// The generation of its resource that came of it: it is so once `observed_generation` is no less and it is `settled`.
    #[schema(example = 4)]
    generation: i64,
    /// How it is at this moment.
    phase: Phase,
}

impl PowerView {
    fn of(id: Uuid, resource: &ServiceInstance) -> Self {
        Self {
            id,
            power_state: resource.spec.power_state.into(),
            restarted_at: super::parts::time(resource.spec.restarted_at.as_ref()),
            generation: resource.metadata.generation.unwrap_or_default(),
            phase: why::phase(resource.into()).into(),
        }
    }
}

/// What is done to which app, by whom.
struct Order {
    principal: Principal,
    trace: Trace,
    id: Uuid,
    verb: Verb,
}

impl Order {
    async fn done(
        self,
        state: Arc<state::State>,
        route: &str,
        key: Key,
        body: Body<ChangePower>,
    ) -> Result<Response> {
        let route = format!("POST /instances/{}/{route}", self.id);
        let take_over = body.value.take_over;
        let decided =
            idempotency::decide(&state, &self.principal, &route, key, &body.bytes, owner::moment).await?;
        let due = match decided {
            Decided::Before(answer) => return Ok(answer),
            Decided::Due(due) => due,
        };
        let asked = Asked { at: due.decision, is_repeat: due.is_repeat };
        // To its end, also when nobody waits for the answer any more.
        let done = tokio::spawn(async move {
            let done = Box::pin(self.order(&state, asked, take_over)).await;
            due.end(&state, done).await
        });
        done.await.map_err(|error| Problem::internal(&error))?
    }

    async fn order(self, state: &state::State, asked: Asked, take_over: bool) -> Result<PowerView> {
        let Self { principal, trace, id, verb } = self;
        let by = By { actor: trace.actor(&principal), take_over };
        let own = own::find(state, principal.user_id, id).await?;
        rate::take(state, PER_USER, &principal.user_id.to_string()).await?;
        let resource = owner::power(state, &own, verb, asked, &by).await?;
        Ok(PowerView::of(id, &resource))
    }
}

/// Let an app run. It keeps its data and its address while it is stopped.
#[utoipa::path(
    post,
    path = "/instances/{id}/start",
    tag = "instances",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The app."), ("Idempotency-Key" = Option<String>, Header)),
    request_body = ChangePower,
    responses(
        (status = 200, body = PowerView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "One has no such app."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "It may not run, is not there yet, is being deleted, has ended, or another tool manages whether it runs; the detail says what to do."),
    ),
)]
pub(super) async fn start(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    trace: Trace,
    Id(id): Id,
    key: Key,
    body: Body<ChangePower>,
) -> Result<Response> {
    Order { principal, trace, id, verb: Verb::Start }.done(state, "start", key, body).await
}

/// Stop an app. Its data and its address stay, and it goes on being paid for.
#[utoipa::path(
    post,
    path = "/instances/{id}/stop",
    tag = "instances",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The app."), ("Idempotency-Key" = Option<String>, Header)),
    request_body = ChangePower,
    responses(
        (status = 200, body = PowerView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "One has no such app."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "It is not there yet, is being deleted, has ended, or another tool manages whether it runs; the detail says what to do."),
    ),
)]
pub(super) async fn stop(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    trace: Trace,
    Id(id): Id,
    key: Key,
    body: Body<ChangePower>,
) -> Result<Response> {
    Order { principal, trace, id, verb: Verb::Stop }.done(state, "stop", key, body).await
}

/// Start an app's pods anew, once. A pending update is rolled out with it.
#[utoipa::path(
    post,
    path = "/instances/{id}/restart",
    tag = "instances",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The app."), ("Idempotency-Key" = Option<String>, Header)),
    request_body = ChangePower,
    responses(
        (status = 200, body = PowerView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "One has no such app."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "It is stopped or may not run, is not there yet, is being deleted, has ended, or another tool manages when it restarts; the detail says what to do."),
    ),
)]
pub(super) async fn restart(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    trace: Trace,
    Id(id): Id,
    key: Key,
    body: Body<ChangePower>,
) -> Result<Response> {
    Order { principal, trace, id, verb: Verb::Restart }.done(state, "restart", key, body).await
}
