//! One judgement of an instance, from which its phase and conditions follow.

use super::{Refused, parts::Parts};
use crate::{
    instance::{power::Power, validate::Invalid},
    observed::{Child, State},
    settings::Settings,
};
use crds::{
    ServiceInstance, ServiceInstanceStatus,
    conditions::{self, Said},
    instance::Phase,
};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// One judgement, from which phase and conditions follow.
pub(super) struct Verdict {
    pub(super) phase: Phase,
    pub(super) ready: (bool, &'static str, String),
    available: (bool, &'static str, String),
    reconciling: Option<(&'static str, String)>,
    stalled: Option<(&'static str, String)>,
    suspended: Option<(bool, &'static str, String)>,
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

    /// What was available and still has a ready pod stays so: not being able to change it does not stop it.
    fn still_serving(mut self, children: &[Arc<Child>], before: &ServiceInstanceStatus) -> Self {
        let serves =
            children.iter().any(|child| matches!(child.state, State::Workload { ready, .. } if ready > 0));
        if !serves {
            return self;
        }
        if let Some(old) =
            conditions::find(&before.conditions, conditions::AVAILABLE).filter(|old| old.status == "True")
        {
            self.available = (true, "Running", old.message.clone());
            self.phase = Phase::Degraded;
        }
        self
    }

    /// What can't be built says why; that it may not run says more, and the reason still stalls it.
    pub(super) fn invalid(
        invalid: &Invalid,
        power: &Power,
        children: &[Arc<Child>],
        before: &ServiceInstanceStatus,
    ) -> Self {
        let pods = children.iter().any(|child| matches!(child.state, State::Pod { finished: false, .. }));
        let made = pods || was_made(before);
        if let Power::Suspended { reason, message } = power
            && made
        {
            let mut verdict = Self::suspended(pods, reason, message);
            verdict.stalled = (!invalid.waiting).then(|| (invalid.reason, invalid.message.clone()));
            return verdict;
        }
        let phase =
            if invalid.waiting || invalid.reason == "QuotaExceeded" { Phase::Pending } else { Phase::Failed };
        let verdict =
            Self::of(phase, false, invalid.reason, &invalid.message).still_serving(children, before);
        if invalid.waiting { verdict.going_on() } else { verdict.stuck() }
    }

    fn suspended(left: bool, reason: &'static str, message: &str) -> Self {
        let phase = if left { Phase::Stopping } else { Phase::Suspended };
        let mut verdict = Self::of(phase, false, reason, message);
        verdict.suspended = Some((!left, reason, message.to_owned()));
        if left { verdict.going_on() } else { verdict }
    }

    pub(super) fn deleting() -> Self {
        let message = "It is being deleted: its pods end first, then its data is let go and kept for the time of spec.retention.";
        Self::of(Phase::Terminating, false, "Terminating", message).going_on()
    }

    pub(super) fn refused(refused: &Refused, parts: &Parts<'_>, before: &ServiceInstanceStatus) -> Self {
        let verdict = Self::of(Phase::Failed, false, refused.reason, &refused.message).stuck();
        if parts.serves_now() { verdict.still_serving(parts.children, before) } else { verdict }
    }

    pub(super) fn built(
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
            Power::Suspended { reason, message } => Self::suspended(parts.pods_left(), reason, message),
        }
    }

    fn on(parts: &Parts<'_>, before: &ServiceInstanceStatus, instance: &ServiceInstance) -> Self {
        if parts.init_job_failed() {
            let message = "A job that prepares the app for its first use has failed again and again, so visitors are not let in. An \
                           administrator must look at its log; setting restartedAt tries it anew.";
            return Self::of(Phase::Failed, false, "InitJobFailed", message).stuck();
        }
        if parts.all_serve() && !parts.is_initialized() {
            let message =
                "Its parts are up, and it is being prepared for its first use; then visitors are let in.";
            return Self::of(Phase::Provisioning, false, "Initializing", message).going_on();
        }
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
            phase
                if never_made(before)
                    || matches!(phase, Some(Phase::Pending | Phase::Provisioning | Phase::Failed)) =>
            {
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
    pub(super) fn bounded(
        mut self,
        before: &ServiceInstanceStatus,
        settings: &Settings,
        now: Timestamp,
    ) -> Self {
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
            optional(conditions::RECONCILING, &self.reconciling, "Settled"),
            optional(conditions::STALLED, &self.stalled, "NotStalled"),
            suspended.unwrap_or_else(|| Said::no(conditions::SUSPENDED, "MayRun", "Nothing holds it back.")),
        ]
    }
}
