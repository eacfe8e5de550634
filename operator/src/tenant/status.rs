//! What is said of a tenant: pure.

use super::{admission::Decision, retention::Judgement};
use crate::settings::Settings;
use crds::{
    TenantQuota, TenantQuotaStatus,
    conditions::{self, Said},
    names,
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

/// How many of those who wait are listed: the status must fit into the store.
const MOST_WAITING: usize = 200;

/// Why a tenant can't be had now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A constant CamelCase word.
    pub reason: &'static str,
    /// What is wrong, what happens next, who must act.
    pub message: String,
    /// Whether somebody must act.
    pub stalled: bool,
    /// Whether it may last: a wait that was ordered.
    pub may_last: bool,
}

impl Problem {
    /// There is a namespace of that name that the operator did not make.
    pub fn namespace_taken(name: &str) -> Self {
        let message = format!(
            "The namespace {name} exists and was not made by Nakhoda, so it is left alone. An administrator must remove it or name the tenant otherwise."
        );
        Self { reason: "NamespaceTaken", message, stalled: true, may_last: false }
    }

    /// The namespace is being deleted.
    pub fn namespace_ending(name: &str) -> Self {
        let message = format!("The namespace {name} is being deleted; it is made anew once it is gone.");
        Self { reason: "NamespaceTerminating", message, stalled: false, may_last: false }
    }
}

fn said(ready: Option<&str>, problem: Option<&Problem>) -> Vec<Said> {
    match (ready, problem) {
        (Some(message), _) => vec![
            Said::yes(conditions::READY, "Ready", message),
            Said::no(conditions::RECONCILING, "Settled", ""),
            Said::no(conditions::STALLED, "NotStalled", ""),
        ],
        (None, Some(problem)) => {
            let (reason, message) = (problem.reason, problem.message.as_str());
            let yes_no = |type_, yes| {
                if yes { Said::yes(type_, reason, message) } else { Said::no(type_, reason, "") }
            };
            vec![
                Said::no(conditions::READY, reason, message),
                yes_no(conditions::RECONCILING, !problem.stalled),
                yes_no(conditions::STALLED, problem.stalled),
            ]
        }
        (None, None) => Vec::new(),
    }
}

/// No wait without a bound: what goes on for too long needs somebody.
fn bounded(problem: &Problem, before: &TenantQuotaStatus, settings: &Settings, now: Timestamp) -> Problem {
    let since =
        conditions::find(&before.conditions, conditions::RECONCILING).filter(|old| old.status == "True");
    let waited = since.map_or(SignedDuration::ZERO, |old| now.duration_since(old.last_transition_time.0));
    let already =
        conditions::find(&before.conditions, conditions::STALLED).is_some_and(|old| old.status == "True");
    let stuck = problem.may_last || problem.stalled;
    let too_long = waited >= SignedDuration::from_secs(i64::from(settings.bounds.stopping_seconds));
    if stuck || !(too_long || (already && since.is_none() && before_says(before, problem.reason))) {
        return problem.clone();
    }
    let hint = "This lasts longer than it should: an administrator must look for finalizers of somebody else, and at the operator's log.";
    Problem { message: format!("{} {hint}", problem.message), stalled: true, ..problem.clone() }
}

fn before_says(before: &TenantQuotaStatus, reason: &str) -> bool {
    conditions::find(&before.conditions, conditions::READY).is_some_and(|ready| ready.reason == reason)
}

/// A tenant that can't be had: the list of places stays as it is.
pub fn unusable(
    tenant: &TenantQuota,
    problem: &Problem,
    settings: &Settings,
    now: Timestamp,
) -> TenantQuotaStatus {
    let mut status = tenant.status.clone().unwrap_or_default();
    let problem = &bounded(problem, &status, settings, now);
    status.observed_generation = tenant.metadata.generation;
    status.conditions =
        conditions::update(&status.conditions, said(None, Some(problem)), tenant.metadata.generation, now);
    status
}

/// A tenant whose namespace is not complete yet: nobody new gets a place.
pub fn settling(
    tenant: &TenantQuota,
    data: Judgement,
    settings: &Settings,
    now: Timestamp,
) -> TenantQuotaStatus {
    let problem = Problem {
        reason: "Settling",
        message: "Its namespace, policies and quota are being made; this takes seconds.".to_owned(),
        stalled: false,
        may_last: false,
    };
    let before = tenant.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let mut status = unusable(tenant, &problem, settings, now);
    status.namespace = Some(names::tenant_namespace(&tenant.name_any()));
    let Judgement { retained, orphaned, said, .. } = data;
    (status.retained, status.orphaned) = (retained, orphaned);
    status.conditions.extend(conditions::update(before, said, tenant.metadata.generation, now));
    status
}

/// A tenant that is complete, with its list of places.
pub fn status(
    tenant: &TenantQuota,
    decision: Decision,
    data: Judgement,
    now: Timestamp,
) -> TenantQuotaStatus {
    let Decision { admitted, waiting, used } = decision;
    let Judgement { retained, orphaned, said: of_data, .. } = data;
    let before = tenant.status.clone().unwrap_or_default();
    let mut all = said(Some("Its namespace, policies and quota are in place."), None);
    all.extend(of_data);
    TenantQuotaStatus {
        observed_generation: tenant.metadata.generation,
        namespace: Some(names::tenant_namespace(&tenant.name_any())),
        admitted,
        waiting: waiting.into_iter().take(MOST_WAITING).collect(),
        used: Some(used),
        retained,
        orphaned,
        conditions: conditions::update(&before.conditions, all, tenant.metadata.generation, now),
    }
}
