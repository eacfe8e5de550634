//! One judgement of an instance, from which its phase and conditions follow.

use super::{
    Refused,
    parts::{self, Parts},
};
use crate::{
    cause::Cause,
    instance::{power::Power, validate::Invalid},
    observed::{Child, State},
    settings::Settings,
};
use crds::{
    ServiceInstance, ServiceInstanceStatus,
    conditions::{self, Said},
    instance::Phase,
    reasons,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use std::sync::Arc;

/// One judgement, from which phase and conditions follow.
pub(super) struct Verdict {
    pub(super) phase: Phase,
    pub(super) ready: (bool, &'static str, String),
    available: (bool, &'static str, String),
    reconciling: Option<(&'static str, String)>,
    stalled: Option<(&'static str, String)>,
    suspended: Option<(bool, &'static str, String)>,
    /// What it is called once it has lasted too long.
    overdue: Option<(&'static str, String)>,
}

/// Since when it has been on its way without being stuck.
pub(super) fn waits_since(conditions: &[Condition]) -> Option<Timestamp> {
    let since = |type_, status| {
        conditions::find(conditions, type_)
            .filter(|condition| condition.status == status)
            .map(|condition| condition.last_transition_time.0)
    };
    // Where it was stuck meanwhile, the wait begins anew.
    since(conditions::RECONCILING, "True")
        .max(since(conditions::STALLED, "False"))
        .filter(|_| since(conditions::RECONCILING, "True").is_some())
}

/// How long a phase may last.
pub(super) fn bound(phase: Option<Phase>, settings: &Settings) -> SignedDuration {
    let seconds = match phase {
        Some(Phase::Stopping | Phase::Terminating) => settings.bounds.stopping_seconds,
        _ => settings.bounds.provisioning_seconds,
    };
    SignedDuration::from_secs(i64::from(seconds))
}

/// What keeps pods from ending, where their node is not heard of.
fn lost_node(children: &[Arc<Child>]) -> Option<(&'static str, String)> {
    let lost = |child: &Arc<Child>| {
        matches!(child.state, State::Pod { finished: false, cause: Some(Cause::NodeLost), .. })
    };
    let message = reasons::sentence(reasons::NODE_LOST).to_owned();
    children.iter().any(lost).then_some((reasons::NODE_LOST, message))
}

/// Whether it had credentials or complete volumes before.
fn was_made(before: &ServiceInstanceStatus) -> bool {
    before.credentials_secret_ref.is_some() || super::storage_was_complete(before)
}

/// Whether nothing was made of it before.
fn never_made(before: &ServiceInstanceStatus) -> bool {
    before.phase.is_none() || !was_made(before)
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
            overdue: None,
        }
    }

    /// One of which the registry says all there is to say.
    fn known(phase: Phase, reason: &'static str) -> Self {
        Self::of(phase, false, reason, reasons::sentence(reason))
    }

    fn going_on(mut self) -> Self {
        self.reconciling = Some((self.ready.1, self.ready.2.clone()));
        self
    }

    fn stuck(mut self) -> Self {
        self.stalled = Some((self.ready.1, self.ready.2.clone()));
        self
    }

    /// What was available and still has a ready pod stays so: not being able to change it does not stop it.
    fn still_serving(mut self, children: &[Arc<Child>], before: &ServiceInstanceStatus) -> Self {
        let serves =
            children.iter().any(|child| matches!(child.state, State::Workload { ready, .. } if ready > 0));
        let was_available = conditions::find(&before.conditions, conditions::AVAILABLE)
            .is_some_and(|old| old.status == "True");
        if serves && was_available {
            self = self.serving_all_the_same();
        }
        self
    }

    /// It serves, though nothing of it can be changed.
    fn serving_all_the_same(mut self) -> Self {
        self.available = (true, reasons::RUNNING, reasons::sentence(reasons::RUNNING).to_owned());
        self.phase = Phase::Degraded;
        self
    }

    /// Whatever else is said of it: what may not run is suspended once nothing of it may run any more, also where nothing was ever
    /// made of it or nothing can be built. Whoever sold it waits for that.
    pub(super) fn held(mut self, power: &Power, children: &[Arc<Child>]) -> Self {
        if let Power::Suspended { reason, message } = power {
            self.suspended.get_or_insert_with(|| (!parts::may_run(children), reason, message.clone()));
        }
        self
    }

    /// What can't be built says why; that it may not run says more, and the reason still stalls it. What is up serves, whatever is
    /// wrong with its order: nobody keeps an app from being available that runs.
    pub(super) fn invalid(
        invalid: &Invalid,
        power: &Power,
        is_up: bool,
        children: &[Arc<Child>],
        before: &ServiceInstanceStatus,
    ) -> Self {
        let left = parts::may_run(children);
        let made = left || was_made(before);
        if let Power::Suspended { reason, message } = power
            && made
        {
            let mut verdict = Self::suspended(left, reason, message);
            verdict.overdue = lost_node(children);
            verdict.stalled = (!invalid.waiting).then(|| (invalid.reason, invalid.message.clone()));
            return verdict;
        }
        let phase = if invalid.waiting || invalid.reason == reasons::QUOTA_EXCEEDED {
            Phase::Pending
        } else {
            Phase::Failed
        };
        let verdict = Self::of(phase, false, invalid.reason, &invalid.message);
        let verdict = if is_up && power.is_on() {
            verdict.serving_all_the_same()
        } else {
            verdict.still_serving(children, before)
        };
        if invalid.waiting { verdict.going_on() } else { verdict.stuck() }
    }

    fn suspended(left: bool, reason: &'static str, message: &str) -> Self {
        let phase = if left { Phase::Stopping } else { Phase::Suspended };
        let mut verdict = Self::of(phase, false, reason, message);
        verdict.suspended = Some((!left, reason, message.to_owned()));
        if left { verdict.going_on() } else { verdict }
    }

    pub(super) fn deleting(children: &[Arc<Child>]) -> Self {
        let mut verdict = Self::known(Phase::Terminating, reasons::TERMINATING).going_on();
        verdict.overdue = lost_node(children);
        verdict
    }

    /// What a part was refused for stalls it. What is up serves all the same, also for the first time: a host that can't be had keeps no
    /// app from being available that runs.
    pub(super) fn refused(refused: &Refused, parts: &Parts<'_>, before: &ServiceInstanceStatus) -> Self {
        let verdict = Self::of(Phase::Failed, false, refused.reason, &refused.message).stuck();
        if parts.all_serve() && parts.is_initialized() && parts.order.power.is_on() {
            verdict.serving_all_the_same()
        } else if parts.serves_now() {
            verdict.still_serving(parts.children, before)
        } else {
            verdict
        }
    }

    pub(super) fn built(
        parts: &Parts<'_>,
        blocked: bool,
        before: &ServiceInstanceStatus,
        instance: &ServiceInstance,
    ) -> Self {
        if blocked {
            return Self::known(Phase::Pending, reasons::WAITING_FOR_DELETION).going_on();
        }
        match &parts.order.power {
            Power::On if parts.init_job_failed() => {
                Self::known(Phase::Failed, reasons::INIT_JOB_FAILED).stuck()
            }
            Power::On if parts.all_serve() && !parts.is_initialized() => Self::initializing(parts),
            Power::On if parts.all_serve() => Self::serving(parts, instance),
            Power::On => Self::on(parts, before, instance),
            Power::Stopped if parts::may_run(parts.children) => {
                let mut verdict = Self::known(Phase::Stopping, reasons::STOPPING).going_on();
                verdict.overdue = lost_node(parts.children);
                verdict
            }
            Power::Stopped => {
                let mut verdict = Self::known(Phase::Stopped, reasons::STOPPED);
                verdict.ready.0 = true;
                verdict
            }
            Power::Suspended { reason, message } => {
                let mut verdict = Self::suspended(parts::may_run(parts.children), reason, message);
                verdict.overdue = lost_node(parts.children);
                verdict
            }
        }
    }

    /// Its components are up, and nobody is let in yet.
    fn initializing(parts: &Parts<'_>) -> Self {
        let found = parts.cause().filter(|found| found.cause != Cause::NotReady);
        let Some(found) = found else {
            return Self::known(Phase::Provisioning, reasons::INITIALIZING).going_on();
        };
        let why = found.cause.reason();
        let verdict = Self::of(Phase::Provisioning, false, why, found.message()).going_on();
        if reasons::stalls_at_once(why) { verdict.stuck() } else { verdict }
    }

    /// It serves; that may not be all that was asked for.
    fn serving(parts: &Parts<'_>, instance: &ServiceInstance) -> Self {
        let mut verdict = if parts.lost_a_volume() {
            Self::known(Phase::Degraded, reasons::VOLUME_LOST).stuck()
        } else if parts.order.plan != instance.spec.plan_ref {
            Self::known(Phase::Running, reasons::UPGRADE_AWAITS_QUOTA).stuck()
        } else if parts.growth_failed() {
            Self::known(Phase::Running, reasons::VOLUME_GROWTH_FAILED).stuck()
        } else {
            let mut verdict = Self::known(Phase::Running, reasons::RUNNING);
            verdict.ready.0 = true;
            verdict
        };
        verdict.available = (true, reasons::RUNNING, reasons::sentence(reasons::RUNNING).to_owned());
        verdict
    }

    /// It should serve and does not yet, or not any more.
    fn on(parts: &Parts<'_>, before: &ServiceInstanceStatus, instance: &ServiceInstance) -> Self {
        let same_spec = before.observed_generation == instance.metadata.generation;
        let (phase, reason) = match before.phase {
            phase
                if never_made(before)
                    || matches!(phase, Some(Phase::Pending | Phase::Provisioning | Phase::Failed)) =>
            {
                (Phase::Provisioning, reasons::PROVISIONING)
            }
            Some(Phase::Stopped | Phase::Suspended | Phase::Stopping | Phase::Restarting) => {
                (Phase::Restarting, reasons::RESTARTING)
            }
            _ if parts.all_rolled_out() && same_spec => (Phase::Degraded, reasons::NOT_SERVING),
            _ => (Phase::Updating, reasons::UPDATING),
        };
        let served = matches!(phase, Phase::Degraded | Phase::Updating);
        if parts.lost_a_volume() {
            let phase = if served { Phase::Degraded } else { phase };
            return Self::known(phase, reasons::VOLUME_LOST).going_on().stuck();
        }
        let plain = || {
            let reason = if parts.waits_for_another() { reasons::DEPENDENCY_NOT_READY } else { reason };
            Self::known(phase, reason).going_on()
        };
        let Some(found) = parts.cause() else { return plain() };
        let (why, message) = (found.cause.reason(), found.message());
        if found.cause == Cause::NotReady && phase != Phase::Degraded {
            // What has only just started may need its time until it answers.
            let mut verdict = plain();
            verdict.overdue = Some((why, message));
            return verdict;
        }
        let at_once = reasons::stalls_at_once(why);
        let broken = at_once || found.cause.is_displacement();
        let phase = if served && broken { Phase::Degraded } else { phase };
        let mut verdict = Self::of(phase, false, why, message.clone()).going_on();
        verdict.overdue = Some((why, message));
        if at_once { verdict.stuck() } else { verdict }
    }

    /// No wait without a bound: what goes on for too long is stalled.
    pub(super) fn bounded(
        mut self,
        before: &ServiceInstanceStatus,
        settings: &Settings,
        now: Timestamp,
    ) -> Self {
        let stalled =
            conditions::find(&before.conditions, conditions::STALLED).filter(|old| old.status == "True");
        // What somebody has just put right begins its wait anew.
        let begins = stalled.is_some_and(|old| reasons::stalls_at_once(&old.reason));
        let since = waits_since(&before.conditions).filter(|_| !begins);
        let waited = since.map_or(SignedDuration::ZERO, |since| now.duration_since(since));
        if self.reconciling.is_none() || self.stalled.is_some() || waited < bound(Some(self.phase), settings)
        {
            return self;
        }
        let hint = reasons::sentence(reasons::TOO_SLOW);
        self.stalled = Some(match self.overdue.take() {
            Some((reason, message)) => {
                // A hold or a deletion still counts more in the column.
                if self.suspended.is_none() && self.phase != Phase::Terminating {
                    self.ready = (false, reason, message.clone());
                    self.available = self.ready.clone();
                    self.reconciling = Some((reason, message.clone()));
                }
                (reason, format!("{message} {hint}"))
            }
            None => (reasons::TOO_SLOW, format!("{} {hint}", self.ready.2)),
        });
        self
    }

    pub(super) fn conditions(&self) -> Vec<Said> {
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
            optional(conditions::RECONCILING, &self.reconciling, reasons::SETTLED),
            optional(conditions::STALLED, &self.stalled, reasons::NOT_STALLED),
            suspended.unwrap_or_else(|| {
                Said::no(conditions::SUSPENDED, reasons::MAY_RUN, reasons::sentence(reasons::MAY_RUN))
            }),
        ]
    }
}
