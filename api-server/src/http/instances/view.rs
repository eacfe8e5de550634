//! How an app looks in answers to its owner.

use crate::instances::{
    own::Own,
    why::{self, Why},
};
use crds::{
    ServiceInstance, conditions,
    instance::{self, PowerState},
    reasons::Who,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// One word for how an app is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = InstancePhase)]
pub enum Phase {
    /// It waits for its place in the quota, or for a plan that exists.
    Pending,
    /// Its parts are being made for the first time.
    Provisioning,
    /// It serves.
    Running,
    /// A change is being rolled out.
    Updating,
    /// Its pods are being started anew, as was asked.
    Restarting,
    /// Its pods are ending.
    Stopping,
    /// Stopped by its owner.
    Stopped,
    /// Not allowed to run.
    Suspended,
    /// It should serve and does not, after it once did.
    Degraded,
    /// It can't be made without somebody's help.
    Failed,
    /// It is being deleted.
    Terminating,
}

impl From<instance::Phase> for Phase {
    fn from(phase: instance::Phase) -> Self {
        match phase {
            instance::Phase::Pending => Self::Pending,
            instance::Phase::Provisioning => Self::Provisioning,
            instance::Phase::Running => Self::Running,
            instance::Phase::Updating => Self::Updating,
            instance::Phase::Restarting => Self::Restarting,
            instance::Phase::Stopping => Self::Stopping,
            instance::Phase::Stopped => Self::Stopped,
            instance::Phase::Suspended => Self::Suspended,
            instance::Phase::Degraded => Self::Degraded,
            instance::Phase::Failed => Self::Failed,
            instance::Phase::Terminating => Self::Terminating,
        }
    }
}

/// Whether its owner wants it to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = InstancePowerState)]
pub enum Power {
    /// It should run.
    Running,
    /// It should not.
    Stopped,
}

impl From<PowerState> for Power {
    fn from(state: PowerState) -> Self {
        match state {
            PowerState::Running => Self::Running,
            PowerState::Stopped => Self::Stopped,
        }
    }
}

/// Who must act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = InstanceActor)]
pub enum Actor {
    /// Nobody: it goes on by itself.
    Nobody,
    /// Its owner.
    Owner,
    /// Whoever runs the platform.
    Administrator,
}

/// A cause of how an app is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InstanceReason)]
pub struct WhyView {
    /// One constant word.
    #[schema(example = "Provisioning")]
    reason: String,
    /// What is wrong, what happens next, who must act.
    message: String,
    /// Who must act.
    acts: Actor,
    /// Since when, where that is known.
    #[schema(required = true)]
    since: Option<Timestamp>,
}

impl From<Why> for WhyView {
    fn from(Why { reason, message, who, since }: Why) -> Self {
        let acts = match who {
            Who::Nobody => Actor::Nobody,
            Who::Owner => Actor::Owner,
            Who::Administrator => Actor::Administrator,
        };
        Self { reason, message, acts, since }
    }
}

/// Where an app can be reached.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = InstanceUrls)]
pub struct UrlsView {
    /// For visitors.
    #[schema(required = true, example = "https://abcdefghijkl.apps.example.com")]
    public: Option<String>,
    /// Its administration page.
    #[schema(required = true)]
    admin: Option<String>,
    /// `host:port` within the cluster.
    #[schema(required = true)]
    internal: Option<String>,
    /// `host:port` from outside, where that was opened.
    #[schema(required = true)]
    external: Option<String>,
}

impl UrlsView {
    /// Those of a resource.
    pub fn of(resource: Option<&ServiceInstance>) -> Self {
        let endpoints = resource.and_then(|one| one.status.as_ref()?.endpoints.clone());
        let endpoints = endpoints.unwrap_or_default();
        let instance::Endpoints { host: _, public, admin, internal, external } = endpoints;
        Self { public, admin, internal, external }
    }
}

/// An app of one's own.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InstanceSummary)]
pub struct SummaryView {
    /// The id: that of its subscription where it was bought, else its resource's uid.
    id: Uuid,
    /// What it was bought by.
    #[schema(required = true)]
    subscription_id: Option<Uuid>,
    /// What its owner calls it.
    #[schema(example = "My publication")]
    name: String,
    /// The name of its resource in the cluster.
    #[schema(example = "ghost-abcdefgh")]
    resource: String,
    /// The app, by its slug.
    #[schema(required = true, example = "ghost")]
    service: Option<String>,
    /// The plan.
    #[schema(example = "ghost-small")]
    plan: String,
    /// How it is, in one word.
    phase: Phase,
    /// The cause that counts most; null where all is well.
    #[schema(required = true)]
    why: Option<WhyView>,
    /// Whether its owner wants it to run.
    power_state: Power,
    /// How often its resource was changed; null before there is one.
    #[schema(required = true)]
    generation: Option<i64>,
    /// Whether all that was asked for is done.
    settled: bool,
    /// Whether a newer form of it waits to be rolled out.
    update_pending: bool,
    /// Where it can be reached.
    urls: UrlsView,
    /// When it was bought or made.
    created_at: Timestamp,
    /// From when all of this is.
    as_of: Timestamp,
    /// Whether it may be older than half a minute, since the cluster can't be asked.
    stale: bool,
}

impl SummaryView {
    /// The id.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// What its owner calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The app.
    pub fn service(&self) -> Option<&str> {
        self.service.as_deref()
    }

    /// The plan.
    pub fn plan(&self) -> &str {
        &self.plan
    }

    /// When it was bought or made.
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// What is searched for words, in lower case.
    pub fn text(&self) -> String {
        let service = self.service.as_deref().unwrap_or_default();
        [self.name.as_str(), &self.resource, service, &self.plan].join("\n").to_lowercase()
    }
}

impl From<&Own> for SummaryView {
    fn from(own: &Own) -> Self {
        let resource = own.resource.as_deref();
        let (spec, status) = (resource.map(|one| &one.spec), resource.and_then(|one| one.status.as_ref()));
        let (_, name) = own.place();
        let row = own.row.as_ref();
        let called = row.map(|row| row.name.clone()).or_else(|| spec?.display_name.clone());
        let plan = spec.map(|spec| spec.plan_ref.clone()).or_else(|| Some(row?.plan.clone()));
        let made = resource.and_then(|one| one.metadata.creation_timestamp.as_ref()).map(|time| time.0);
        Self {
            id: own.id,
            subscription_id: row.map(|row| row.id),
            name: called.unwrap_or_else(|| name.clone()),
            resource: name,
            service: row.map(|row| row.service.clone()).or_else(|| status?.template.clone()),
            plan: plan.unwrap_or_default(),
            phase: why::phase(own.known()).into(),
            why: why::ranked(own.known()).into_iter().next().map(WhyView::from),
            power_state: spec.map(|spec| spec.power_state).unwrap_or_default().into(),
            generation: resource.and_then(|one| one.metadata.generation),
            settled: resource.is_some_and(why::is_settled),
            update_pending: why::is(resource, conditions::UPDATE_PENDING),
            urls: UrlsView::of(resource),
            created_at: row.map(|row| row.created_at).or(made).unwrap_or_default(),
            as_of: own.as_of,
            stale: own.is_stale,
        }
    }
}

impl From<Own> for SummaryView {
    fn from(own: Own) -> Self {
        (&own).into()
    }
}
