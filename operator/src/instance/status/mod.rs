//! What is said of an instance: a pure function of the outcome of its reconcile, on failure too.

mod outside;
mod parts;
#[cfg(test)]
mod tests;
mod verdict;

use super::{
    fetch::{Fetched, Place},
    power::Power,
    rollout::Rollout,
    validate::{self, Invalid, Validated},
    window::Window,
};
use crate::{observed::Child, settings::Settings};
use crds::{
    ServiceInstance, ServiceInstanceStatus,
    conditions::{self, Said},
    instance::{Endpoints, Phase, SecretRef},
    reasons,
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
        /// How many volumes it should have by now.
        volumes: usize,
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
    let parts = |order| Parts { children, order, told: &fetched.told };
    let verdict = judge(fetched, children, outcome, &before).bounded(&before, settings, now);
    let mut status = before.clone();
    status.observed_generation = instance.metadata.generation;
    status.phase = Some(verdict.phase);
    status.reason = (verdict.ready.1 != reasons::RUNNING).then(|| verdict.ready.1.to_owned());
    if let Outcome::Built { order, credentials, rollout, .. } = outcome {
        let parts = parts(order);
        status.plan = Some(order.plan.clone());
        status.template = Some(order.template_name.clone());
        status.data_id = Some(order.data_id.clone());
        let external = outside::external(order.access.as_ref(), children, settings);
        status.endpoints = Some(Endpoints { external, ..endpoints(order) });
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
        Outcome::Built { order, volumes, .. } => said.push(parts(order).storage(*volumes)),
        Outcome::Invalid { invalid, .. } if invalid.reason == reasons::VOLUME_MISSING => {
            said.push(Said::no(conditions::STORAGE_READY, reasons::VOLUME_MISSING, invalid.message.clone()));
        }
        _ => {}
    }
    if !matches!(outcome, Outcome::Deleting) {
        status.domains = outside::hosts(fetched, children);
        said.extend(outside::domains_ready(fetched, &status.domains));
    }
    let external = status.endpoints.as_ref().and_then(|endpoints| endpoints.external.as_ref());
    said.extend(outside::access_ready(outcome, external));
    said.push(updates(instance, outcome, settings));
    status.conditions = conditions::update(&before.conditions, said, instance.metadata.generation, now);
    // What was known of the storage is not forgotten while nothing can be built: it says whether there is data to lose. Nor is what
    // was known of the way in, while it is asked for.
    let asks = instance.spec.access.as_ref().is_some_and(|access| access.external);
    for (type_, kept) in [(conditions::STORAGE_READY, true), (conditions::ACCESS_READY, asks)] {
        let old = conditions::find(&before.conditions, type_).filter(|_| kept);
        if let Some(old) = old.filter(|_| conditions::find(&status.conditions, type_).is_none()) {
            status.conditions.push(old.clone());
        }
    }
    status
}

/// The judgement that phase and conditions follow from.
fn judge(
    fetched: &Fetched,
    children: &[Arc<Child>],
    outcome: &Outcome,
    before: &ServiceInstanceStatus,
) -> Verdict {
    let parts = |order| Parts { children, order, told: &fetched.told };
    match outcome {
        Outcome::Deleting => Verdict::deleting(children),
        Outcome::Invalid { invalid, power, .. } => {
            let is_up = is_up(fetched, children);
            Verdict::invalid(invalid, power, is_up, children, before).held(power, children)
        }
        Outcome::Built { order, blocked, refused, .. } => {
            let verdict = match refused {
                Some(refused) => Verdict::refused(refused, &parts(order), before),
                None => Verdict::built(&parts(order), *blocked, before, &fetched.instance),
            };
            verdict.held(&order.power, children)
        }
    }
}

/// Whether all that its template names is up, though it can't be built now.
fn is_up(fetched: &Fetched, children: &[Arc<Child>]) -> bool {
    let initialized = validate::is_initialized(fetched);
    fetched.template.as_ref().is_some_and(|template| parts::is_up(template, initialized, children))
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
    // That a component waits for another is no news either while both are being made.
    let plain = |reason: &mut String, message: &mut String| {
        if reason.as_str() == reasons::DEPENDENCY_NOT_READY {
            reasons::PROVISIONING.clone_into(reason);
            reasons::sentence(reasons::PROVISIONING).clone_into(message);
        }
    };
    let known = |status: &ServiceInstanceStatus| {
        let mut known = status.clone();
        (known.components, known.volumes) = (Vec::new(), Vec::new());
        known.conditions.retain(|one| one.type_ != conditions::STORAGE_READY);
        known.conditions.iter_mut().for_each(|one| plain(&mut one.reason, &mut one.message));
        known.reason.iter_mut().for_each(|reason| plain(reason, &mut String::new()));
        known
    };
    let since = conditions::find(&before.conditions, conditions::RECONCILING)?.last_transition_time.0;
    let left = SMALL_STEPS - now.duration_since(since);
    if known(before) != known(after) {
        return None;
    }
    std::time::Duration::try_from(left).ok().filter(|left| !left.is_zero())
}

/// Whether every volume was there once, so that one that is missing now is data lost and not a beginning.
pub fn storage_was_complete(status: &ServiceInstanceStatus) -> bool {
    conditions::find(&status.conditions, conditions::STORAGE_READY)
        .is_some_and(|said| said.reason != reasons::VOLUME_PENDING)
}

fn endpoints(order: &Validated) -> Endpoints {
    let spec = &order.template.spec;
    if let Some(http) = &spec.expose.http {
        let url = format!("https://{}", order.primary_host());
        let admin = http.admin_path.as_ref().map(|path| format!("{url}{path}"));
        return Endpoints {
            host: Some(order.host.clone()),
            public: Some(url),
            admin,
            ..Endpoints::default()
        };
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
    let not = |reason| Said::no(conditions::ADMITTED, reason, reasons::sentence(reason));
    match place {
        Place::Admitted(admitted) if admitted.plan != wanted => not(reasons::UPGRADE_AWAITS_QUOTA),
        Place::Admitted(_) => {
            Said::yes(conditions::ADMITTED, reasons::ADMITTED, reasons::sentence(reasons::ADMITTED))
        }
        Place::Unknown => not(reasons::AWAITING_ADMISSION),
        Place::Waiting(waiting) if waiting.reason == reasons::PLAN_NOT_FOUND => {
            Said::no(conditions::ADMITTED, reasons::PLAN_NOT_FOUND, waiting.message.clone())
        }
        Place::Waiting(waiting) => {
            Said::no(conditions::ADMITTED, reasons::QUOTA_EXCEEDED, waiting.message.clone())
        }
    }
}

/// Whether a change that is not the owner's own waits, and for what.
fn updates(instance: &ServiceInstance, outcome: &Outcome, settings: &Settings) -> Said {
    let own = instance.spec.maintenance_window.as_ref();
    if let Some(Err(problem)) = own.map(Window::parse) {
        let message = format!(
            "spec.maintenanceWindow is not kept: {problem}. Correct it; until then the platform's window counts."
        );
        return Said::unknown(conditions::UPDATE_PENDING, reasons::WINDOW_INVALID, message);
    }
    if !matches!(outcome, Outcome::Built { rollout: Rollout::Waits { .. }, .. }) {
        let message = reasons::sentence(reasons::UP_TO_DATE);
        return Said::no(conditions::UPDATE_PENDING, reasons::UP_TO_DATE, message);
    }
    let has_window = own.is_some() || settings.updates.window.is_some();
    let reason = if has_window { reasons::UPDATE_AVAILABLE } else { reasons::UPDATE_AWAITS_OWNER };
    Said::yes(conditions::UPDATE_PENDING, reason, reasons::sentence(reason))
}

/// The status of an instance whose reconciles keep failing: what was said before, and that it does not get on.
pub fn failing(instance: &ServiceInstance, settings: &Settings, now: Timestamp) -> ServiceInstanceStatus {
    let mut status = instance.status.clone().unwrap_or_default();
    let message = reasons::sentence(reasons::RETRYING);
    let reconciling = conditions::find(&status.conditions, conditions::RECONCILING);
    let since = reconciling.filter(|one| one.status == "True").map_or(now, |one| one.last_transition_time.0);
    let bound = SignedDuration::from_secs(i64::from(settings.bounds.provisioning_seconds));
    let mut said = vec![Said::yes(conditions::RECONCILING, reasons::RETRYING, message)];
    if now.duration_since(since) >= bound {
        said.push(Said::yes(conditions::STALLED, reasons::RETRYING, message));
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
    let since = verdict::waits_since(&status.conditions)?;
    if conditions::find(&status.conditions, conditions::STALLED).is_some_and(|c| c.status == "True") {
        return None;
    }
    let bound = verdict::bound(status.phase, settings);
    since.checked_add(bound).ok()
}
