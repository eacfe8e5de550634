//! What is said of an instance: a pure function of the outcome of its reconcile, on failure too.

mod parts;
#[cfg(test)]
mod tests;
mod verdict;

use super::{
    fetch::{Fetched, Place},
    power::Power,
    rollout::Rollout,
    validate::{Invalid, Validated},
    window::Window,
};
use crate::{observed::Child, settings::Settings};
use crds::{
    ServiceInstance, ServiceInstanceStatus,
    conditions::{self, Said},
    instance::{Endpoints, Phase, SecretRef},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use parts::Parts;
use std::sync::Arc;
use verdict::Verdict;

/// How a reconcile ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Nothing can be built, for a reason.
    Invalid {
        /// The reason.
        invalid: Invalid,
        /// Whether it may and should run all the same.
        power: Power,
        /// When the clock alone may change that.
        look_again: Option<Timestamp>,
    },
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
        /// What became of a change that is not its owner's own.
        rollout: Rollout,
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
        Outcome::Invalid { invalid, power, .. } => Verdict::invalid(invalid, power, children, &before),
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
    if let Outcome::Built { order, credentials, rollout, .. } = outcome {
        let parts = Parts { children, order };
        status.plan = Some(order.plan.clone());
        status.template = Some(order.template_name.clone());
        status.data_id = Some(order.data_id.clone());
        status.endpoints = Some(endpoints(order));
        status.components = parts.components();
        status.volumes = parts.bound_once(&status.volumes);
        status.initialized |= parts.is_initialized() && parts.all_serve();
        status.rollout_expected_at = match rollout {
            Rollout::Waits { until } => until.map(Time),
            _ => None,
        };
        // Only a Secret that is there and ours is shown.
        let kept = status.credentials_secret_ref.filter(|_| fetched.credentials_there.is_some());
        status.credentials_secret_ref = credentials.clone().map(|name| SecretRef { name }).or(kept);
    }
    let mut said = verdict.conditions();
    said.push(admitted(&fetched.place, &instance.spec.plan_ref));
    match outcome {
        Outcome::Built { order, .. } => said.push(Parts { children, order }.storage()),
        Outcome::Invalid { invalid, .. } if invalid.reason == VOLUME_MISSING => {
            said.push(Said::no(conditions::STORAGE_READY, VOLUME_MISSING, invalid.message.clone()));
        }
        _ => {}
    }
    said.extend(domains(instance));
    said.extend(access(instance));
    said.push(updates(instance, outcome, settings));
    status.conditions = conditions::update(&before.conditions, said, instance.metadata.generation, now);
    // What was known of the storage is not forgotten while nothing can be built: it says whether there is data to lose.
    let storage = conditions::find(&before.conditions, conditions::STORAGE_READY);
    if let Some(old) =
        storage.filter(|_| conditions::find(&status.conditions, conditions::STORAGE_READY).is_none())
    {
        status.conditions.push(old.clone());
    }
    status
}

/// For how long what changes on the way to the first start is not written on its own: most of it is over by then.
const SMALL_STEPS: SignedDuration = SignedDuration::from_secs(20);

/// Whether `now` is too early to write `after`, and how much so: where it was said a moment ago that the instance is being made, and
/// nothing is new but which of its parts are there.
pub fn too_early_to_say(
    before: Option<&ServiceInstanceStatus>,
    after: &ServiceInstanceStatus,
    now: Timestamp,
) -> Option<std::time::Duration> {
    let before = before.filter(|before| *before != after && before.phase == Some(Phase::Provisioning))?;
    let known = |status: &ServiceInstanceStatus| {
        let ServiceInstanceStatus { components: _, volumes: _, conditions, .. } = status.clone();
        let conditions: Vec<_> =
            conditions.into_iter().filter(|one| one.type_ != conditions::STORAGE_READY).collect();
        ServiceInstanceStatus { components: Vec::new(), volumes: Vec::new(), conditions, ..status.clone() }
    };
    let since = conditions::find(&before.conditions, conditions::RECONCILING)?.last_transition_time.0;
    let left = SMALL_STEPS - now.duration_since(since);
    if known(before) != known(after) {
        return None;
    }
    std::time::Duration::try_from(left).ok().filter(|left| !left.is_zero())
}

/// The reason of a volume that was there once and is gone.
pub const VOLUME_MISSING: &str = "VolumeMissing";
const VOLUME_PENDING: &str = "VolumePending";

/// Whether every volume was there once, so that one that is missing now is data lost and not a beginning.
pub fn storage_was_complete(status: &ServiceInstanceStatus) -> bool {
    conditions::find(&status.conditions, conditions::STORAGE_READY)
        .is_some_and(|said| said.reason != VOLUME_PENDING)
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

/// Access from outside is in the schema, and is not made yet.
fn access(instance: &ServiceInstance) -> Option<Said> {
    instance.spec.access.as_ref().is_some_and(|access| access.external).then(|| {
        let message = "Access from outside the cluster is not opened by this version of the operator; it is reached from within.";
        Said::no(conditions::ACCESS_READY, "AccessUnsupported", message)
    })
}

/// Whether a change that is not the owner's own waits, and for what.
fn updates(instance: &ServiceInstance, outcome: &Outcome, settings: &Settings) -> Said {
    let own = instance.spec.maintenance_window.as_ref();
    if let Some(Err(problem)) = own.map(Window::parse) {
        let message = format!(
            "spec.maintenanceWindow is not kept: {problem}. Correct it; until then the platform's window counts."
        );
        return Said::unknown(conditions::UPDATE_PENDING, "WindowInvalid", message);
    }
    if !matches!(outcome, Outcome::Built { rollout: Rollout::Waits { .. }, .. }) {
        return Said::no(conditions::UPDATE_PENDING, "UpToDate", "Nothing waits to be rolled out.");
    }
    let message = if own.is_some() || settings.updates.window.is_some() {
        "A newer form of the app waits, since rolling it out restarts the app. That happens in its maintenance window, at \
         spec.rolloutAt, or with its owner's next change of plan, parameters or restartedAt."
    } else {
        "A newer form of the app waits, since rolling it out restarts the app, and it has no maintenance window. Set spec.rolloutAt \
         to the present to have it now; the owner's next change of plan, parameters or restartedAt rolls it out as well."
    };
    Said::yes(conditions::UPDATE_PENDING, "UpdateAvailable", message)
}

/// The status of an instance whose reconciles keep failing: what was said before, and that it does not get on.
pub fn failing(instance: &ServiceInstance, settings: &Settings, now: Timestamp) -> ServiceInstanceStatus {
    let mut status = instance.status.clone().unwrap_or_default();
    let message = "Calls to the API server fail and are tried again. If this lasts, an administrator must look at the operator's log.";
    let reconciling = conditions::find(&status.conditions, conditions::RECONCILING);
    let since = reconciling.filter(|one| one.status == "True").map_or(now, |one| one.last_transition_time.0);
    let bound = SignedDuration::from_secs(i64::from(settings.bounds.provisioning_seconds));
    let mut said = vec![Said::yes(conditions::RECONCILING, "Retrying", message)];
    if now.duration_since(since) >= bound {
        said.push(Said::yes(conditions::STALLED, "Retrying", message));
    }
    let generation = instance.metadata.generation;
    for new in conditions::update(&status.conditions, said, generation, now) {
        match status.conditions.iter_mut().find(|old| old.type_ == new.type_) {
            Some(old) => *old = new,
            None => status.conditions.push(new),
        }
    }
    status.phase = status.phase.or(Some(Phase::Pending));
    status
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
