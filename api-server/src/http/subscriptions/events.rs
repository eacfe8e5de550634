//! `GET /subscriptions/{id}/events`

use crate::{
    cluster::watch::Key,
    http::{
        App,
        auth::{CurrentUser, Login},
        instances::view::{Phase, UrlsView, WhyView},
        path::Id,
        problem::{self, Code, Problem, Result},
        streams::Place,
    },
    instances::{own, why},
    state,
    subscriptions::{
        Status, Subscription,
        progress::{self, Standing, Step},
        store,
    },
};
use axum::{
    extract::{FromRequestParts, State},
    http::{HeaderName, StatusCode, header, request::Parts},
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use crds::{ServiceInstance, TenantQuota, names};
use futures::stream;
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::{convert::Infallible, sync::Arc, time::Duration};
use utoipa::ToSchema;
use uuid::Uuid;

/// What whoever comes again was told last.
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");
/// How often the row is looked at while something is under way; the cluster's changes come by themselves.
const SOON: Duration = Duration::from_secs(1);
/// The same while nothing is.
const LATER: Duration = Duration::from_secs(5);
/// Between two signs of life.
const ALIVE: Duration = Duration::from_secs(15);
/// When whoever lost the answer comes again.
const AGAIN: Duration = Duration::from_secs(2);

/// What whoever comes again was told last, as an event's `id`.
pub(super) struct LastEventId(Option<String>);

impl<S: Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, Infallible> {
        let text = parts.headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok());
        Ok(Self(text.map(str::to_owned)))
    }
}

/// A step on the way from bought to running.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = ProvisioningStep)]
enum StepName {
    /// The money was taken.
    Paid,
    /// The cluster was told.
    Sent,
    /// It has its place in the quota.
    Admitted,
    /// Its volumes are there.
    Storage,
    /// All its parts are up.
    Components,
    /// It serves.
    Available,
    /// Its period has begun.
    Active,
}

/// How a step stands.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = ProvisioningStanding)]
enum StandingView {
    /// It is done.
    Done,
    /// It is being made.
    Current,
    /// It comes later; of what has ended never.
    Waiting,
}

/// A step, and how it stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProvisioningProgress)]
struct StepView {
    /// Which.
    step: StepName,
    /// How it stands.
    state: StandingView,
    /// `COMPONENTS`: how many parts are up.
    #[schema(required = true)]
    ready: Option<usize>,
    /// `COMPONENTS`: how many there are.
    #[schema(required = true)]
    of: Option<usize>,
}

/// How a subscription and its app are: the data of each event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriptionEvent)]
struct EventView {
    /// The subscription.
    subscription_id: Uuid,
    /// How it stands.
    status: Status,
    /// The way from bought to running.
    steps: Vec<StepView>,
    /// How the app is.
    phase: Phase,
    /// The cause that counts most; null where all is well.
    #[schema(required = true)]
    why: Option<WhyView>,
    /// Whether all that its owner asked for is done.
    settled: bool,
    /// Where it can be reached.
    urls: UrlsView,
    /// Until when it is paid for.
    #[schema(required = true)]
    paid_until: Option<Timestamp>,
    /// When it ended.
    #[schema(required = true)]
    ended_at: Option<Timestamp>,
    /// Whether nothing is left to happen; it is the last event then.
    over: bool,
}

impl EventView {
    fn of(row: &Subscription, resource: Option<&ServiceInstance>, tenant: Option<&TenantQuota>) -> Self {
        let known = why::Known { row: Some(row), resource, tenant };
        Self {
            subscription_id: row.id,
            status: row.status,
            steps: progress::steps(row, resource)
                .into_iter()
                .map(|step| StepView::of(step, resource))
                .collect(),
            phase: why::phase(known).into(),
            why: why::ranked(known).into_iter().next().filter(|_| row.end.is_none()).map(WhyView::from),
            settled: resource.is_some_and(why::is_settled),
            urls: UrlsView::of(resource),
            paid_until: row.paid.map(|paid| paid.until),
            ended_at: row.end.map(|end| end.at),
            over: progress::is_over(row, resource),
        }
    }

    /// It as an event; its id follows from all that it says.
    fn event(&self) -> Result<(String, Event)> {
        let text = serde_json::to_string(self).map_err(|error| Problem::internal(&error))?;
        let id = URL_SAFE_NO_PAD.encode(&Sha256::digest(&text)[..12]);
        let event = Event::default().event("state").id(&id).retry(AGAIN).data(text);
        Ok((id, event))
    }
}

impl StepView {
    fn of((step, standing): (Step, Standing), resource: Option<&ServiceInstance>) -> Self {
        let counted = (step == Step::Components).then(|| progress::components(resource));
        let step = match step {
            Step::Paid => StepName::Paid,
            Step::Sent => StepName::Sent,
            Step::Admitted => StepName::Admitted,
            Step::Storage => StepName::Storage,
            Step::Components => StepName::Components,
            Step::Available => StepName::Available,
            Step::Active => StepName::Active,
        };
        let state = match standing {
            Standing::Done => StandingView::Done,
            Standing::Current => StandingView::Current,
            Standing::Waiting => StandingView::Waiting,
        };
        Self { step, state, ready: counted.map(|(ready, _)| ready), of: counted.map(|(_, all)| all) }
    }
}

/// Somebody who is told of a subscription.
struct Listener {
    state: Arc<state::State>,
    login: Login,
    row: Subscription,
    resource: Option<Arc<ServiceInstance>>,
    tenant: Option<Arc<TenantQuota>>,
    told: Option<String>,
    is_over: bool,
    _place: Place,
}

impl Listener {
    /// What is news; none where there is nothing more to come.
    async fn next(mut self) -> Option<(std::result::Result<Event, Infallible>, Self)> {
        while !self.is_over {
            let view = EventView::of(&self.row, self.resource.as_deref(), self.tenant.as_deref());
            let (id, event) = view.event().ok()?;
            self.is_over = view.over;
            if self.told.as_ref() != Some(&id) {
                self.told = Some(id);
                return Some((Ok(event), self));
            }
            if !self.is_over {
                self.waits().await?;
            }
        }
        None
    }

    /// Waits until something may be new, and looks; none where it is to end.
    async fn waits(&mut self) -> Option<()> {
        let is_settled = self.row.end.is_none() && self.row.status == Status::Active;
        let pause = if is_settled { LATER } else { SOON };
        tokio::select! {
            () = self.resource_changes() => {}
            () = tokio::time::sleep(pause) => {}
            () = self.state.stopping.cancelled() => return None,
        }
        if self.login.is_over(&self.state).await {
            return None;
        }
        // While the database or the cluster can't be asked, what was told stays.
        if let Ok(found) = store::find_own(&self.state.db, self.row.user_id, self.row.id).await {
            self.row = found?;
        }
        if let Ok(found) = own::resource_of(&self.state, &self.row) {
            self.resource = found;
        }
        if let Ok(found) = own::tenant_of(&self.state, self.row.user_id) {
            self.tenant = found;
        }
        Some(())
    }

    async fn resource_changes(&self) {
        let key = Key::within(&names::tenant_namespace(&self.row.tenant()), &self.row.resource_name());
        let version =
            |one: Option<&ServiceInstance>| one.and_then(|one| one.metadata.resource_version.clone());
        let known = version(self.resource.as_deref());
        let is_another =
            |one: Option<&ServiceInstance>| version(one.filter(|one| own::is_of(&self.row, one))) != known;
        self.state.cluster.watches().instances.wait_for(&key, is_another, LATER).await;
    }
}

/// What happens to a subscription and its app, as it happens: first how they are, then each change of it.
///
/// The answer is a stream of Server-Sent Events called `state`. The data of each is all that is known then, the steps from bought to running
/// included, so nothing is lost between two of them. Whoever comes again with `Last-Event-ID` is told nothing twice; 204 says that nothing is
/// left to happen. The stream ends when the access token or its session does: come again with a new one.
#[utoipa::path(
    get,
    path = "/subscriptions/{id}/events",
    tag = "subscriptions",
    security(("access_token" = [])),
    params(
        ("id" = uuid::Uuid, Path, description = "The subscription."),
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the event that was told last."),
    ),
    responses(
        (status = 200, body = EventView, content_type = "text/event-stream", description = "Events; the data of each is this, as JSON."),
        (status = 204, description = "It is over, and all was told."),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "One has no such subscription."),
    ),
)]
pub(super) async fn events(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    login: Login,
    Id(id): Id,
    LastEventId(told): LastEventId,
) -> Result<Response> {
    let row = store::find_own(&state.db, principal.user_id, id).await?;
    let row = row.ok_or_else(|| Problem::new(Code::NotFound))?;
    let resource = own::resource_of(&state, &row)?;
    let tenant = own::tenant_of(&state, row.user_id)?;
    let now = EventView::of(&row, resource.as_deref(), tenant.as_deref());
    if now.over && told == Some(now.event()?.0) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let place = state.streams.place(principal.user_id)?;
    let listener = Listener { state, login, row, resource, tenant, told, is_over: false, _place: place };
    let events = stream::unfold(listener, Listener::next);
    // Not to be kept, and not to be held back by a proxy until there is more of it.
    let headers = [(header::CACHE_CONTROL, "no-store"), (UNBUFFERED, "no")];
    Ok((headers, Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE))).into_response())
}
