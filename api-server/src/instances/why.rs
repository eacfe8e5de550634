//! Why an app is as it is: what its conditions complain of, that which counts most first; and what that comes to. Pure.

use crds::{
    ServiceInstance,
    conditions::{self, Condition},
    instance::Phase,
    reasons::{self, Who},
};
use jiff::Timestamp;

/// The reason of what was bought and of which the cluster has nothing yet.
pub const ORDERED: &str = "Ordered";
/// What is said of it.
const ORDERED_SAYS: &str = "It is paid for, and is about to be made; this takes seconds.";

/// A cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// One constant word, as docs/reasons.md has it.
    pub reason: String,
    /// What is wrong, what happens next, who must act.
    pub message: String,
    /// Who must act.
    pub who: Who,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// What it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
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

/// The condition's status in which it is no complaint.
fn is_fine(condition: &Condition) -> bool {
    let wanted = match condition.type_.as_str() {
        conditions::RECONCILING
        | conditions::STALLED
        | conditions::SUSPENDED
        | conditions::UPDATE_PENDING => "False",
        _ => "True",
    };
    condition.status == wanted
}

fn who(reason: &str) -> Who {
    reasons::find(reason).map_or(Who::Nobody, |reason| reason.who)
}

/// Every cause, the one that counts most first; none where all is well.
pub fn ranked(resource: Option<&ServiceInstance>) -> Vec<Why> {
    let Some(status) = resource.and_then(|resource| resource.status.as_ref()) else {
        let (reason, message) = (ORDERED.to_owned(), ORDERED_SAYS.to_owned());
        return vec![Why { reason, message, who: Who::Nobody, since: None }];
    };
    let mut all: Vec<Why> = Vec::new();
    for condition in status.conditions.iter().filter(|one| !is_fine(one)) {
        let since = Some(condition.last_transition_time.0);
        match all.iter_mut().find(|why| why.reason == condition.reason) {
            Some(known) => known.since = known.since.min(since),
            None => all.push(Why {
                reason: condition.reason.clone(),
                message: condition.message.clone(),
                who: who(&condition.reason),
                since,
            }),
        }
    }
    // The operator's own word, also where no condition complains of it: stopped by its owner is as it should be.
    if let Some(reason) = status.reason.as_ref().filter(|one| all.iter().all(|why| why.reason != **one)) {
        let message = reasons::sentence(reason).to_owned();
        all.push(Why { reason: reason.clone(), message, who: who(reason), since: None });
    }
    let place = |why: &Why| (status.reason.as_deref() != Some(&why.reason), reasons::rank(&why.reason));
    all.sort_by_key(place);
    all
}

/// The phase; what nobody has said anything of yet is pending.
pub fn phase(resource: Option<&ServiceInstance>) -> Phase {
    let status = resource.and_then(|resource| resource.status.as_ref());
    status.and_then(|status| status.phase).unwrap_or(Phase::Pending)
}

/// Whether a condition is true of what the operator has seen last.
pub fn is(resource: Option<&ServiceInstance>, condition: &str) -> bool {
    let status = resource.and_then(|resource| resource.status.as_ref());
    let found = status.and_then(|status| conditions::find(&status.conditions, condition));
    found.is_some_and(|one| one.status == "True")
}

/// Whether the operator is done with what was asked for last.
pub fn is_settled(resource: &ServiceInstance) -> bool {
    let observed = resource.status.as_ref().and_then(|status| status.observed_generation);
    observed == resource.metadata.generation && !is(Some(resource), conditions::RECONCILING)
}

/// What it comes to.
pub fn verdict(resource: Option<&ServiceInstance>) -> Verdict {
    let is_stuck = is(resource, conditions::STALLED);
    match phase(resource) {
        Phase::Failed => Verdict::Failed,
        Phase::Pending | Phase::Provisioning if is_stuck => Verdict::Failed,
        Phase::Degraded => Verdict::Degraded,
        Phase::Suspended => Verdict::Suspended,
        _ if is_stuck => Verdict::Degraded,
        Phase::Running => Verdict::Healthy,
        Phase::Stopped => Verdict::Stopped,
        Phase::Pending
        | Phase::Provisioning
        | Phase::Updating
        | Phase::Restarting
        | Phase::Stopping
        | Phase::Terminating => Verdict::Working,
    }
}

/// When anything of what is said of it changed last.
pub fn last_change(resource: &ServiceInstance) -> Option<Timestamp> {
    let conditions = &resource.status.as_ref()?.conditions;
    conditions.iter().map(|condition| condition.last_transition_time.0).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn instance(phase: &str, reason: Option<&str>, conditions: &[(&str, &str, &str)]) -> ServiceInstance {
        let said: Vec<Value> = conditions
            .iter()
            .map(|(type_, status, reason)| {
                json!({"type": type_, "status": status, "reason": reason, "message": reasons::sentence(reason),
                    "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z"})
            })
            .collect();
        serde_json::from_value(json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServiceInstance",
            "metadata": {"name": "a", "generation": 1}, "spec": {"planRef": "p"},
            "status": {"observedGeneration": 1, "phase": phase, "reason": reason, "conditions": said}}))
        .unwrap()
    }

    fn words(instance: &ServiceInstance) -> Vec<String> {
        ranked(Some(instance)).into_iter().map(|why| why.reason).collect()
    }

    #[test]
    fn what_runs_has_no_complaint_and_what_was_only_ordered_says_so() {
        let fine = [
            ("Ready", "True", "Running"),
            ("Available", "True", "Running"),
            ("Reconciling", "False", "Settled"),
            ("Stalled", "False", "NotStalled"),
            ("Suspended", "False", "MayRun"),
            ("Admitted", "True", "Admitted"),
        ];
        let runs = instance("Running", None, &fine);
        assert_eq!(
            (words(&runs).len(), verdict(Some(&runs)), is_settled(&runs)),
            (0, Verdict::Healthy, true)
        );
        let ordered = ranked(None);
        assert_eq!((ordered[0].reason.as_str(), ordered[0].who), (ORDERED, Who::Nobody));
        assert_eq!(verdict(None), Verdict::Working);
    }

    #[test]
    fn of_several_causes_the_operators_own_comes_first_and_the_others_by_rank() {
        let broken = instance(
            "Degraded",
            Some("CrashLooping"),
            &[
                ("UpdatePending", "True", "UpdateAvailable"),
                ("Ready", "False", "CrashLooping"),
                ("Available", "False", "CrashLooping"),
                ("DomainsReady", "False", "DomainUnverified"),
                ("StorageReady", "False", "VolumePending"),
                ("Stalled", "True", "CrashLooping"),
            ],
        );
        let words = words(&broken);
        assert_eq!(words.first().map(String::as_str), Some("CrashLooping"));
        assert_eq!(words.len(), 4, "{words:?}");
        let ranks: Vec<usize> = words.iter().map(|word| reasons::rank(word)).collect();
        assert!(ranks.is_sorted(), "{words:?}");
        let first = ranked(Some(&broken)).remove(0);
        assert_eq!((first.who, first.since.is_some()), (Who::Administrator, true));
        assert_eq!(verdict(Some(&broken)), Verdict::Degraded);
    }

    #[test]
    fn what_its_owner_stopped_says_so_though_nothing_is_wrong() {
        let stopped = instance("Stopped", Some("Stopped"), &[("Ready", "True", "Stopped")]);
        assert_eq!(
            (words(&stopped), verdict(Some(&stopped))),
            (vec!["Stopped".to_owned()], Verdict::Stopped)
        );
    }

    #[test]
    fn what_is_stuck_before_it_ever_was_there_has_failed() {
        let stuck = instance("Provisioning", Some("TooSlow"), &[("Stalled", "True", "TooSlow")]);
        assert_eq!(verdict(Some(&stuck)), Verdict::Failed);
        let grows = instance("Running", None, &[("Stalled", "True", "VolumeGrowthFailed")]);
        assert_eq!(verdict(Some(&grows)), Verdict::Degraded);
    }
}
