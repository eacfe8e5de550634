//! How the parts of an app look in answers: its conditions, components, pods, hosts and holds.

use crate::instances::pods::{Doing, LiveContainer, LivePod};
use crds::{
    ServiceInstance,
    conditions::Condition,
    instance::{ComponentStatus, DnsRecord, DomainStatus, Entitlement, Holds},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Serialize;
use utoipa::ToSchema;

/// What the operator says of one side of an app.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InstanceCondition)]
pub struct ConditionView {
    /// Of what.
    #[serde(rename = "type")]
    #[schema(example = "Available")]
    kind: String,
    /// `True`, `False` or `Unknown`.
    #[schema(example = "True")]
    status: String,
    /// In one constant word.
    reason: String,
    /// For people.
    message: String,
    /// Since when it is so.
    since: Timestamp,
    /// Of which generation it speaks.
    #[schema(required = true)]
    observed_generation: Option<i64>,
}

impl From<&Condition> for ConditionView {
    fn from(condition: &Condition) -> Self {
        Self {
            kind: condition.type_.clone(),
            status: condition.status.clone(),
            reason: condition.reason.clone(),
            message: condition.message.clone(),
            since: condition.last_transition_time.0,
            observed_generation: condition.observed_generation,
        }
    }
}

/// A part of an app.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InstanceComponent)]
pub struct ComponentView {
    /// What the app calls it.
    #[schema(example = "db")]
    name: String,
    /// How many pods of it should run.
    desired: i32,
    /// How many of them serve.
    ready: i32,
}

/// The parts of an app.
pub fn components(resource: Option<&ServiceInstance>) -> Vec<ComponentView> {
    let all = resource.and_then(|one| one.status.as_ref()).map(|status| status.components.as_slice());
    let view = |one: &ComponentStatus| ComponentView {
        name: one.name.clone(),
        desired: one.desired,
        ready: one.ready,
    };
    all.unwrap_or_default().iter().map(view).collect()
}

/// A DNS record.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InstanceDnsRecord)]
pub struct RecordView {
    /// `CNAME` or `TXT`.
    #[serde(rename = "type")]
    #[schema(example = "TXT")]
    kind: String,
    /// The name that it stands at.
    name: String,
    /// Its value.
    value: String,
}

/// A host of one's own that leads to an app.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InstanceDomain)]
pub struct DomainView {
    /// It.
    #[schema(example = "shop.example.com")]
    host: String,
    /// The records of which one must be set.
    records: Vec<RecordView>,
    /// Whether one was seen.
    verified: bool,
    /// Since when.
    #[schema(required = true)]
    verified_since: Option<Timestamp>,
    /// Whether visitors are led here.
    routed: bool,
    /// In one constant word.
    reason: String,
    /// For people.
    message: String,
}

impl From<&DomainStatus> for DomainView {
    fn from(domain: &DomainStatus) -> Self {
        let record = |DnsRecord { type_, name, value }: &DnsRecord| RecordView {
            kind: type_.clone(),
            name: name.clone(),
            value: value.clone(),
        };
        Self {
            host: domain.host.clone(),
            records: domain.records.iter().map(record).collect(),
            verified: domain.verified,
            verified_since: time(domain.verified_since.as_ref()),
            routed: domain.routed,
            reason: domain.reason.clone(),
            message: domain.message.clone(),
        }
    }
}

/// Until when an app may run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InstanceEntitlement)]
pub struct EntitlementView {
    /// Until when it is paid for; null before it was there for the first time.
    #[schema(required = true)]
    paid_until: Option<Timestamp>,
    /// When it is suspended, unless that is moved on before.
    #[schema(required = true)]
    suspend_at: Option<Timestamp>,
}

impl From<&Entitlement> for EntitlementView {
    fn from(entitlement: &Entitlement) -> Self {
        let Entitlement { paid_until, suspend_at } = entitlement;
        Self { paid_until: time(paid_until.as_ref()), suspend_at: time(suspend_at.as_ref()) }
    }
}

/// Who holds an app.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = InstanceHolder)]
pub enum Holder {
    /// Billing.
    Billing,
    /// An administrator.
    Administrator,
    /// The abuse team.
    Abuse,
}

/// Why an app may not run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InstanceHold)]
pub struct HoldView {
    /// Who holds it.
    by: Holder,
    /// Why.
    reason: String,
    /// Since when.
    since: Timestamp,
}

/// Why an app may not run.
pub fn holds(holds: Option<&Holds>) -> Vec<HoldView> {
    let Some(Holds { billing, admin, abuse }) = holds else { return Vec::new() };
    let all = [(Holder::Billing, billing), (Holder::Administrator, admin), (Holder::Abuse, abuse)];
    all.into_iter()
        .filter_map(|(by, hold)| {
            let hold = hold.as_ref()?;
            Some(HoldView { by, reason: hold.reason.clone(), since: hold.since.0 })
        })
        .collect()
}

/// What a container does.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = InstanceContainerState)]
pub enum DoingView {
    /// It runs.
    Running,
    /// It is about to.
    Waiting,
    /// It has ended.
    Terminated,
}

/// A container of a pod.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InstanceContainer)]
pub struct ContainerView {
    /// Its name.
    #[schema(example = "ghost")]
    name: String,
    /// Its image.
    #[schema(example = "docker.io/library/ghost:6.59.0-alpine")]
    image: String,
    /// Whether it serves.
    ready: bool,
    /// How often it was started anew.
    restarts: i32,
    /// What it does.
    state: DoingView,
    /// Why, in one word, where it does not run.
    #[schema(required = true)]
    reason: Option<String>,
}

impl From<LiveContainer> for ContainerView {
    fn from(container: LiveContainer) -> Self {
        let LiveContainer { name, image, is_ready: ready, restarts, state, reason } = container;
        let state = match state {
            Doing::Running => DoingView::Running,
            Doing::Waiting => DoingView::Waiting,
            Doing::Terminated => DoingView::Terminated,
        };
        Self { name, image, ready, restarts, state, reason }
    }
}

/// A pod as it is now. A roll-out makes others in its place.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InstancePod)]
pub struct PodView {
    /// Its name.
    #[schema(example = "ghost-abcdefgh-web-5d9c7b7f6c-x2x4z")]
    name: String,
    /// The component of the app.
    #[schema(required = true, example = "web")]
    component: Option<String>,
    /// The node that it runs on.
    #[schema(required = true)]
    node: Option<String>,
    /// As Kubernetes calls it, in capitals.
    #[schema(example = "RUNNING")]
    phase: String,
    /// Whether it serves.
    ready: bool,
    /// Whether it is about to end.
    ending: bool,
    /// How often its containers were started anew.
    restarts: i32,
    /// When it was started.
    #[schema(required = true)]
    started_at: Option<Timestamp>,
    /// What runs in it.
    containers: Vec<ContainerView>,
}

impl From<LivePod> for PodView {
    fn from(pod: LivePod) -> Self {
        let LivePod { name, component, node, phase, is_ready, is_ending, started_at, containers } = pod;
        Self {
            name,
            component,
            node,
            phase: phase.to_uppercase(),
            ready: is_ready,
            ending: is_ending,
            restarts: containers.iter().map(|one| one.restarts).sum(),
            started_at,
            containers: containers.into_iter().map(ContainerView::from).collect(),
        }
    }
}

/// A time of a resource.
pub fn time(time: Option<&Time>) -> Option<Timestamp> {
    time.map(|time| time.0)
}
