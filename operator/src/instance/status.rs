//! What is said of an instance: a pure function of the outcome of its reconcile, on failure too.

use super::{
    fetch::{Fetched, Place},
    power::Power,
    validate::{Invalid, Validated},
};
use crate::{
    observed::{Child, State},
    settings::Settings,
};
use crds::{
    ServiceInstance, ServiceInstanceStatus,
    conditions::{self, Said},
    instance::{ComponentStatus, Endpoints, Phase, SecretRef},
};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// How a reconcile ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Nothing can be built, for a reason.
    Invalid(Invalid),
    /// Everything was written that can be written now.
    Built {
        /// What was built from.
        order: Box<Validated>,
        /// The name of the Secret with credentials, once it is there.
        credentials: Option<String>,
        /// Whether something of an earlier owner is in the way.
        blocked: bool,
        /// Why the API server refused a part of it for good, if it did.
        refused: Option<Refused>,
    },
    /// It is being deleted, and something is left to wait for.
    Deleting,
}

/// A part was refused for what it is: trying again will not help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// A constant CamelCase word.
    pub reason: &'static str,
    /// What, what happens next, who must act.
    pub message: String,
}

/// What the instance's parts look like now.
struct Parts<'a> {
    children: &'a [Arc<Child>],
    order: &'a Validated,
}

/// The whole status.
pub fn status(
    fetched: &Fetched,
    children: &[Arc<Child>],
    outcome: &Outcome,
    settings: &Settings,
    now: Timestamp,
) -> ServiceInstanceStatus {
    let instance = &fetched.instance;
    let before = instance.status.clone().unwrap_or_default();
    let verdict = match outcome {
        Outcome::Invalid(invalid) => Verdict::invalid(invalid, &before),
        Outcome::Deleting => Verdict::deleting(),
        Outcome::Built { order, refused: Some(refused), .. } => {
            Verdict::refused(refused, &Parts { children, order }, &before)
        }
        Outcome::Built { order, blocked, .. } => {
            Verdict::built(&Parts { children, order }, *blocked, &before, instance)
        }
    };
    let verdict = verdict.bounded(&before, settings, now);
    let mut status = before.clone();
    status.observed_generation = instance.metadata.generation;
    status.phase = Some(verdict.phase);
    status.reason = (verdict.ready.1 != "Running").then(|| verdict.ready.1.to_owned());
    if let Outcome::Built { order, credentials, .. } = outcome {
        let parts = Parts { children, order };
        status.plan = Some(order.plan.clone());
        status.template = Some(order.template_name.clone());
        status.data_id = Some(order.data_id.clone());
        status.endpoints = Some(endpoints(order));
        status.components = parts.components();
        status.credentials_secret_ref =
            credentials.clone().map(|name| SecretRef { name }).or(status.credentials_secret_ref);
    }
    let mut said = verdict.conditions();
    said.push(admitted(&fetched.place, &instance.spec.plan_ref));
    if let Outcome::Built { order, .. } = outcome {
        said.push(Parts { children, order }.storage());
    }
    said.extend(domains(instance));
    said.push(Said::no(conditions::UPDATE_PENDING, "UpToDate", "Nothing waits to be rolled out."));
    status.conditions = conditions::update(&before.conditions, said, instance.metadata.generation, now);
    status
}

fn endpoints(order: &Validated) -> Endpoints {
    let spec = &order.template.spec;
    if let Some(http) = &spec.expose.http {
        let url = format!("https://{}", order.host);
        let admin = http.admin_path.as_ref().map(|path| format!("{url}{path}"));
        return Endpoints { host: Some(order.host.clone()), public: Some(url), admin, internal: None };
    }
    let tcp = spec.expose.tcp.as_ref();
    let port = tcp.and_then(|tcp| {
        spec.components
            .iter()
            .find(|c| c.name == tcp.component)?
            .ports
            .iter()
            .find(|port| port.name == tcp.port)
    });
    let internal = port.map(|port| format!("{}.{}.svc:{}", order.name, order.namespace, port.port));
    Endpoints { internal, ..Endpoints::default() }
}

fn admitted(place: &Place, wanted: &str) -> Said {
    match place {
        Place::Admitted(admitted) if admitted.plan != wanted => {
            let message = "The larger plan does not fit in the tenant's quota; it runs by the old one until there is room.";
            Said::no(conditions::ADMITTED, "UpgradeAwaitsQuota", message)
        }
        Place::Admitted(_) => {
            Said::yes(conditions::ADMITTED, "Admitted", "It has a place in the tenant's quota.")
        }
        Place::Unknown => Said::no(
            conditions::ADMITTED,
            "AwaitingAdmission",
            "The tenant's quota has not been looked at for it yet.",
        ),
        Place::Waiting(waiting) if waiting.reason == "PlanNotFound" => {
            Said::no(conditions::ADMITTED, "PlanNotFound", waiting.message.clone())
        }
        Place::Waiting(waiting) => Said::no(conditions::ADMITTED, "QuotaExceeded", waiting.message.clone()),
    }
}

fn domains(instance: &ServiceInstance) -> Option<Said> {
    (!instance.spec.domains.is_empty()).then(|| {
        let message =
            "Custom hosts are not routed by this version of the operator; the platform host serves.";
        Said::no(conditions::DOMAINS_READY, "DomainsUnsupported", message)
    })
}

impl Parts<'_> {
    fn facts(&self, component: &str) -> (i32, i32, bool) {
        let workload = self
            .children
            .iter()
            .find(|c| c.key.kind.is_workload() && c.component.as_deref() == Some(component));
        match workload.map(|child| &child.state) {
            Some(State::Workload { replicas, ready, updated, observed, .. }) => {
                let count = |n: i64| i32::try_from(n).unwrap_or(i32::MAX);
                let rolled = *observed && updated >= replicas;
                (count(*replicas), count((*ready).min(*replicas)), rolled)
            }
            _ => (0, 0, false),
        }
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        self.order.template.spec.components.iter().map(|component| &component.name)
    }

    fn components(&self) -> Vec<ComponentStatus> {
        let all = self.names().map(|name| {
            let (desired, ready, _) = self.facts(name);
            ComponentStatus { name: name.clone(), desired, ready }
        });
        all.collect()
    }

    fn all_serve(&self) -> bool {
        self.names()
            .all(|name| matches!(self.facts(name), (desired, ready, true) if desired > 0 && ready >= desired))
    }

    fn all_rolled_out(&self) -> bool {
        self.names().all(|name| self.facts(name).2)
    }

    fn serves_now(&self) -> bool {
        self.names().all(|name| self.facts(name).1 > 0)
    }

    fn pods_left(&self) -> bool {
        self.children.iter().any(|child| matches!(child.state, State::Pod { finished: false, .. }))
            || self.names().any(|name| self.facts(name).0 > 0)
    }

    fn storage(&self) -> Said {
        let volumes = || self.children.iter().filter_map(|child| child.volume());
        if volumes().any(|volume| volume.lost) {
            let message = "A volume is lost. An administrator must restore it from a backup.";
            return Said::no(conditions::STORAGE_READY, "VolumeLost", message);
        }
        if volumes().any(|volume| volume.bound && volume.capacity < volume.requested) {
            let message = "A volume is being made larger; the app may have to be restarted for it.";
            return Said::no(conditions::STORAGE_READY, "VolumeGrowing", message);
        }
        if volumes().all(|volume| volume.bound) {
            return Said::yes(conditions::STORAGE_READY, "Bound", "Every volume is bound.");
        }
        let message = "A volume is not bound yet: the cluster's storage provides it, or waits for the pod that uses it.";
        Said::no(conditions::STORAGE_READY, "VolumePending", message)
    }
}

/// One judgement, from which phase and conditions follow.
struct Verdict {
    phase: Phase,
    ready: (bool, &'static str, String),
    available: (bool, &'static str, String),
    reconciling: Option<(&'static str, String)>,
    stalled: Option<(&'static str, String)>,
    suspended: Option<(bool, &'static str, String)>,
}

impl Verdict {
    fn of(phase: Phase, ready: bool, reason: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            phase,
            ready: (ready, reason, message.clone()),
            available: (ready, reason, message),
            reconciling: None,
            stalled: None,
            suspended: None,
        }
    }

    fn going_on(mut self) -> Self {
        self.reconciling = Some((self.ready.1, self.ready.2.clone()));
        self
    }

    fn stuck(mut self) -> Self {
        self.stalled = Some((self.ready.1, self.ready.2.clone()));
        self
    }

    /// What was available stays so: not being able to change it does not stop it.
    fn still_serving(mut self, before: &ServiceInstanceStatus) -> Self {
        if let Some(old) =
            conditions::find(&before.conditions, conditions::AVAILABLE).filter(|old| old.status == "True")
        {
            self.available = (true, "Running", old.message.clone());
            self.phase = Phase::Degraded;
        }
        self
    }

    fn invalid(invalid: &Invalid, before: &ServiceInstanceStatus) -> Self {
        let phase =
            if invalid.waiting || invalid.reason == "QuotaExceeded" { Phase::Pending } else { Phase::Failed };
        let verdict = Self::of(phase, false, invalid.reason, &invalid.message).still_serving(before);
        if invalid.waiting { verdict.going_on() } else { verdict.stuck() }
    }

    fn deleting() -> Self {
        let message = "It is being deleted: its pods end first, then its data is let go and kept for the time of spec.retention.";
        Self::of(Phase::Terminating, false, "Terminating", message).going_on()
    }

    fn refused(refused: &Refused, parts: &Parts<'_>, before: &ServiceInstanceStatus) -> Self {
        let verdict = Self::of(Phase::Failed, false, refused.reason, &refused.message).stuck();
        if parts.serves_now() { verdict.still_serving(before) } else { verdict }
    }

    fn built(
        parts: &Parts<'_>,
        blocked: bool,
        before: &ServiceInstanceStatus,
        instance: &ServiceInstance,
    ) -> Self {
        if blocked {
            let message = "Something of an earlier instance of this name is still being deleted; it goes on once that is gone.";
            return Self::of(Phase::Pending, false, "WaitingForDeletion", message).going_on();
        }
        match &parts.order.power {
            Power::On => Self::on(parts, before, instance),
            Power::Stopped if parts.pods_left() => {
                Self::of(Phase::Stopping, false, "Stopping", "Its pods are ending, as its owner asked.")
                    .going_on()
            }
            Power::Stopped => {
                let message =
                    "Stopped by its owner; the data is kept. Set powerState to Running to start it.";
                let mut verdict = Self::of(Phase::Stopped, true, "Stopped", message);
                verdict.available.0 = false;
                verdict
            }
            Power::Suspended { reason, message } => {
                let left = parts.pods_left();
                let mut verdict =
                    Self::of(if left { Phase::Stopping } else { Phase::Suspended }, false, reason, message);
                verdict.suspended = Some((!left, reason, message.clone()));
                if left { verdict.going_on() } else { verdict }
            }
        }
    }

    fn on(parts: &Parts<'_>, before: &ServiceInstanceStatus, instance: &ServiceInstance) -> Self {
        if parts.all_serve() && parts.order.plan != instance.spec.plan_ref {
            let message = "It serves by its old plan: the larger one does not fit in the tenant's quota yet.";
            let mut verdict = Self::of(Phase::Running, false, "UpgradeAwaitsQuota", message).stuck();
            verdict.available = (true, "Running", "It serves.".to_owned());
            return verdict;
        }
        if parts.all_serve() {
            return Self::of(Phase::Running, true, "Running", "It serves.");
        }
        let same_spec = before.observed_generation == instance.metadata.generation;
        match before.phase {
            None | Some(Phase::Pending | Phase::Provisioning | Phase::Failed) => {
                let message = "Its parts are being made; this takes some minutes at the most.";
                Self::of(Phase::Provisioning, false, "Provisioning", message).going_on()
            }
            Some(Phase::Stopped | Phase::Suspended | Phase::Stopping | Phase::Restarting) => {
                Self::of(Phase::Restarting, false, "Restarting", "Its pods are being started.").going_on()
            }
            _ if parts.all_rolled_out() && same_spec => {
                let message = "Its pods are not ready though nothing was changed. The cluster restarts them; if this lasts, look at their events.";
                Self::of(Phase::Degraded, false, "NotServing", message).going_on()
            }
            _ => Self::of(Phase::Updating, false, "Updating", "A change is being rolled out.").going_on(),
        }
    }

    /// No wait without a bound: what goes on for too long is stalled.
    fn bounded(mut self, before: &ServiceInstanceStatus, settings: &Settings, now: Timestamp) -> Self {
        let bound = match self.phase {
            Phase::Stopping | Phase::Terminating => settings.bounds.stopping_seconds,
            _ => settings.bounds.provisioning_seconds,
        };
        let since = conditions::find(&before.conditions, conditions::RECONCILING)
            .filter(|old| old.status == "True")
            .map(|old| old.last_transition_time.0);
        let waited = since.map_or(SignedDuration::ZERO, |since| now.duration_since(since));
        if self.reconciling.is_some() && waited >= SignedDuration::from_secs(i64::from(bound)) {
            let message = format!(
                "{} This has lasted longer than it should: an administrator must look at the events of its pods and volumes.",
                self.ready.2
            );
            self.stalled = Some(("TooSlow", message));
        }
        self
    }

    fn conditions(&self) -> Vec<Said> {
        let said = |type_, (yes, reason, message): &(bool, &'static str, String)| {
            if *yes {
                Said::yes(type_, reason, message.clone())
            } else {
                Said::no(type_, reason, message.clone())
            }
        };
        let optional = |type_, what: &Option<(&'static str, String)>, otherwise: &'static str| match what {
            Some((reason, message)) => Said::yes(type_, reason, message.clone()),
            None => Said::no(type_, otherwise, ""),
        };
        let suspended = self.suspended.as_ref().map(|what| said(conditions::SUSPENDED, what));
        vec![
            said(conditions::READY, &self.ready),
            said(conditions::AVAILABLE, &self.available),
            optional(conditions::RECONCILING, &self.reconciling, "Settled"),
            optional(conditions::STALLED, &self.stalled, "NotStalled"),
            suspended.unwrap_or_else(|| Said::no(conditions::SUSPENDED, "MayRun", "Nothing holds it back.")),
        ]
    }
}

/// When the status would change by time alone: once a wait has lasted too long.
pub fn next_look(status: &ServiceInstanceStatus, settings: &Settings) -> Option<Timestamp> {
    let reconciling =
        conditions::find(&status.conditions, conditions::RECONCILING).filter(|c| c.status == "True")?;
    if conditions::find(&status.conditions, conditions::STALLED).is_some_and(|c| c.status == "True") {
        return None;
    }
    let stopping = matches!(status.phase, Some(Phase::Stopping | Phase::Terminating));
    let bound =
        if stopping { settings.bounds.stopping_seconds } else { settings.bounds.provisioning_seconds };
    reconciling.last_transition_time.0.checked_add(SignedDuration::from_secs(i64::from(bound))).ok()
}
