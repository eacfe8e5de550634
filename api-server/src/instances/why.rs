//! Why an app is as it is: what its conditions complain of, that which counts most first; and what that comes to. Where nothing was said of
//! it, why that is. Pure.

use crate::subscriptions::Subscription;
use crds::{
    ServiceInstance, ServiceInstanceStatus, TenantQuota,
    conditions::{self, Condition},
    instance::Phase,
    reasons::{self, Who},
};
use jiff::Timestamp;

/// The reason of what was bought and of which the cluster has nothing yet.
pub const ORDERED: &str = "Ordered";
/// What is said of it.
const ORDERED_SAYS: &str = "It is paid for, and is about to be made; this takes seconds.";

/// The reason of what was made, and of which the cluster has nothing any more.
pub const VANISHED: &str = "Vanished";
/// What is said of it.
const VANISHED_SAYS: &str = "It was deleted in the cluster, and nothing makes it anew by itself. An administrator must put it back; or its owner cancels it, and what was not used of its price comes back.";

/// The reason of what can't be made, since the tenant's name is another's.
pub const TENANT_OF_ANOTHER: &str = "TenantOfAnother";
/// What is said of it.
const TENANT_OF_ANOTHER_SAYS: &str = "The tenant in which it would be made belongs to somebody else, so it is not made. An administrator must look; if it stays so it is given up, and all of its money comes back.";

/// What is known of an app.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// What it was bought by, where it was bought.
    pub row: Option<&'a Subscription>,
    /// Its resource, where that is there.
    pub resource: Option<&'a ServiceInstance>,
    /// Its owner's tenant, where there is one.
    pub tenant: Option<&'a TenantQuota>,
}

impl<'a> From<&'a ServiceInstance> for Known<'a> {
    fn from(resource: &'a ServiceInstance) -> Self {
        Self { resource: Some(resource), ..Self::default() }
    }
}

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

impl Known<'_> {
    fn status(&self) -> Option<&ServiceInstanceStatus> {
        self.resource?.status.as_ref()
    }

    /// Whether it was made, and is there no more. What was made a moment ago may not be seen yet.
    fn has_vanished(&self) -> bool {
        let row = self.row.filter(|row| row.end.is_none() && row.crossing.uid.is_some());
        self.resource.is_none() && row.is_some_and(|row| row.paid.is_some() || row.was_told_slow)
    }

    /// Why nothing is said of it.
    fn unsaid(&self) -> Why {
        let why = |reason: &str, message: &str, who| {
            let (reason, message) = (reason.to_owned(), message.to_owned());
            Why { reason, message, who, since: None }
        };
        if self.has_vanished() {
            return why(VANISHED, VANISHED_SAYS, Who::Administrator);
        }
        let is_anothers =
            |tenant: &TenantQuota| self.row.is_some_and(|row| tenant.spec.owner != row.user_id.to_string());
        if self.tenant.is_some_and(is_anothers) {
            return why(TENANT_OF_ANOTHER, TENANT_OF_ANOTHER_SAYS, Who::Administrator);
        }
        let status = self.tenant.and_then(|tenant| tenant.status.as_ref());
        let ready = status.and_then(|status| conditions::find(&status.conditions, conditions::READY));
        match ready.filter(|ready| ready.status != "True") {
            Some(ready) => Why {
                since: Some(ready.last_transition_time.0),
                ..why(&ready.reason, &ready.message, who(&ready.reason))
            },
            None => why(ORDERED, ORDERED_SAYS, Who::Nobody),
        }
    }
}

/// Every cause, the one that counts most first; none where all is well.
pub fn ranked(known: Known<'_>) -> Vec<Why> {
    let Some(status) = known.status() else { return vec![known.unsaid()] };
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
pub fn phase(known: Known<'_>) -> Phase {
    if known.has_vanished() {
        return Phase::Failed;
    }
    known.status().and_then(|status| status.phase).unwrap_or(Phase::Pending)
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
pub fn verdict(known: Known<'_>) -> Verdict {
    let is_stuck = match known.status() {
        Some(_) => is(known.resource, conditions::STALLED),
        None => known.unsaid().who != Who::Nobody,
    };
    match phase(known) {
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
    use crate::subscriptions::{Crossing, Paid, progress::tests::bought};
    use serde_json::{Value, json};
    use uuid::Uuid;

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
        ranked(instance.into()).into_iter().map(|why| why.reason).collect()
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
            (words(&runs).len(), verdict((&runs).into()), is_settled(&runs)),
            (0, Verdict::Healthy, true)
        );
        let ordered = ranked(Known::default());
        assert_eq!((ordered[0].reason.as_str(), ordered[0].who), (ORDERED, Who::Nobody));
        assert_eq!(verdict(Known::default()), Verdict::Working);
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
        let first = ranked((&broken).into()).remove(0);
        assert_eq!((first.who, first.since.is_some()), (Who::Administrator, true));
        assert_eq!(verdict((&broken).into()), Verdict::Degraded);
    }

    #[test]
    fn what_its_owner_stopped_says_so_though_nothing_is_wrong() {
        let stopped = instance("Stopped", Some("Stopped"), &[("Ready", "True", "Stopped")]);
        assert_eq!(
            (words(&stopped), verdict((&stopped).into())),
            (vec!["Stopped".to_owned()], Verdict::Stopped)
        );
    }

    #[test]
    fn what_is_stuck_before_it_ever_was_there_has_failed() {
        let stuck = instance("Provisioning", Some("TooSlow"), &[("Stalled", "True", "TooSlow")]);
        assert_eq!(verdict((&stuck).into()), Verdict::Failed);
        let grows = instance("Running", None, &[("Stalled", "True", "VolumeGrowthFailed")]);
        assert_eq!(verdict((&grows).into()), Verdict::Degraded);
    }

    fn tenant(owner: Uuid, ready: &str, reason: &str) -> TenantQuota {
        serde_json::from_value(json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "TenantQuota", "metadata": {"name": "u"},
            "spec": {"owner": owner}, "status": {"conditions": [{"type": "Ready", "status": ready, "reason": reason,
                "message": reasons::sentence(reason), "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}))
        .unwrap()
    }

    #[test]
    fn what_cant_be_made_says_what_keeps_its_tenant_from_being_ready() {
        let row = bought();
        let said = |owner: Uuid, ready: &str, reason: &str| {
            let tenant = tenant(owner, ready, reason);
            let known = Known { row: Some(&row), tenant: Some(&tenant), resource: None };
            let first = ranked(known).remove(0);
            (first.reason, first.who, verdict(known))
        };
        let of = |reason: &str, who, verdict| (reason.to_owned(), who, verdict);
        let (taken, ending) = (reasons::NAMESPACE_TAKEN, reasons::NAMESPACE_TERMINATING);
        let mine = row.user_id;
        assert_eq!(said(mine, "True", "Ready"), of(ORDERED, Who::Nobody, Verdict::Working));
        assert_eq!(said(mine, "False", taken), of(taken, Who::Administrator, Verdict::Failed));
        assert_eq!(said(mine, "False", ending), of(ending, Who::Nobody, Verdict::Working));
        let another = Uuid::from_u128(7);
        let foreign = of(TENANT_OF_ANOTHER, Who::Administrator, Verdict::Failed);
        assert_eq!(said(another, "True", "Ready"), foreign);
    }

    #[test]
    fn what_was_made_and_is_gone_says_so_once_that_is_sure() {
        let uid = Some(Uuid::from_u128(3));
        let made = Subscription { crossing: Crossing { uid, ..bought().crossing }, ..bought() };
        let said = |row: &Subscription| {
            let known = Known { row: Some(row), ..Known::default() };
            (ranked(known).remove(0).reason, phase(known))
        };
        let gone = (VANISHED.to_owned(), Phase::Failed);
        // It may only not be seen yet.
        assert_eq!(said(&made), (ORDERED.to_owned(), Phase::Pending));
        assert_eq!(said(&Subscription { was_told_slow: true, ..made.clone() }), gone);
        let paid = Some(Paid { start: Timestamp::UNIX_EPOCH, until: Timestamp::MAX });
        assert_eq!(said(&Subscription { paid, ..made }), gone);
    }
}
