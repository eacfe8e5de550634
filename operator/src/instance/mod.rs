//! `ServiceInstance`: fetch → validate → build → plan → execute → status.

pub mod build;
pub mod cleanup;
pub mod execute;
pub mod fetch;
pub mod fill;
#[cfg(test)]
mod fixtures;
pub mod parameters;
pub mod plan;
pub mod power;
pub mod status;
pub mod validate;

use crate::{
    apply::CallError,
    context::Context,
    own::{self, Own},
};
use crds::{ServiceInstance, ServiceInstanceStatus, labels};
use fetch::{Fetched, Place};
use jiff::{SignedDuration, Timestamp};
use kube::{
    ResourceExt as _,
    runtime::{controller::Action, reflector::ObjectRef},
};
use status::{Outcome, Refused};
use std::{sync::Arc, time::Duration};

/// How many rounds one reconcile may take before it yields.
const ROUNDS: usize = 4;
/// The longest that a wake-up is set ahead: a clock that jumps is noticed, and timers have their limits.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// How long a new instance may wait for its tenant's decision before anything is said of it.
const QUIET_SECONDS: i64 = 5;

/// Converges one instance.
///
/// # Errors
/// When a call failed and it must be tried again.
pub async fn reconcile(instance: Arc<ServiceInstance>, context: Arc<Context>) -> Result<Action, CallError> {
    let instance = context.own_instances.newest(instance);
    if instance.annotations().get(labels::RECONCILE).is_some_and(|value| value == "disabled") {
        context.report.hands_off(&*instance).await;
        return Ok(Action::await_change());
    }
    let now = context.clock.now();
    if instance.metadata.deletion_timestamp.is_some() {
        return delete(&context, instance, now).await;
    }
    let instance = own::ensure_finalizer(&context.cluster, &context.own_instances, instance).await?;
    let (fetched, outcome) = converge(&context, instance, now).await?;
    if is_too_early(&fetched, now) {
        return Ok(Action::requeue(Duration::from_secs(QUIET_SECONDS.unsigned_abs())));
    }
    let children = context.children_of(&fetched.instance);
    let status = status::status(&fetched, &children, &outcome, &context.settings, now);
    write_status(&context, &fetched.instance, &status).await?;
    Ok(next(&outcome, &status, &context, now))
}

/// A new instance that the tenant controller has not looked at yet: the first word about it comes from there.
fn is_too_early(fetched: &Fetched, now: Timestamp) -> bool {
    let created = fetched.instance.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let age = created.map_or(SignedDuration::MAX, |created| now.duration_since(created));
    fetched.place == Place::Unknown
        && fetched.tenant.is_some()
        && fetched.instance.status.is_none()
        && age < SignedDuration::from_secs(QUIET_SECONDS)
        && age > SignedDuration::from_secs(-QUIET_SECONDS)
}

/// What may not run and never did gets nothing at all: no volume for what nobody pays for.
fn makes_nothing(fetched: &Fetched, order: &validate::Validated) -> bool {
    matches!(order.power, power::Power::Suspended { .. })
        && fetched.secrets == fetch::Secrets::NotYet
        && fetched.children.is_empty()
}

/// Goes round until there is nothing left to write now.
async fn converge(
    context: &Context,
    instance: Arc<ServiceInstance>,
    now: Timestamp,
) -> Result<(Fetched, Outcome), CallError> {
    let mut rounds = 0;
    loop {
        rounds += 1;
        let fetched = fetch::fetch(context, Arc::clone(&instance)).await?;
        let order = match validate::validate(&fetched, &context.settings, now) {
            Ok(order) => order,
            Err(invalid) => return Ok((fetched, Outcome::Invalid(invalid))),
        };
        if makes_nothing(&fetched, &order) {
            let outcome =
                Outcome::Built { order: Box::new(order), credentials: None, blocked: false, refused: None };
            return Ok((fetched, outcome));
        }
        let desired = build::build(&order, &plan::facts(&fetched), &context.settings);
        let plan = plan::plan(&desired, &fetched);
        let refused = execute_all(context, &plan).await?;
        if plan.operations.iter().any(|one| matches!(one, plan::Operation::Note { .. })) {
            context.caches.wake_tenants.send(ObjectRef::new(&order.tenant));
        }
        if plan.again && refused.is_none() && rounds < ROUNDS {
            continue;
        }
        let credentials = desired.credentials.map(|object| object.key.name);
        let outcome =
            Outcome::Built { order: Box::new(order), credentials, blocked: plan.blocked.is_some(), refused };
        return Ok((fetched, outcome));
    }
}

/// Does one operation after the other; what was refused for good ends the round and is said in the status.
async fn execute_all(context: &Context, plan: &plan::Plan) -> Result<Option<Refused>, CallError> {
    for operation in &plan.operations {
        match execute::execute(&context.cluster, &context.children, operation).await {
            Ok(()) => {}
            Err(error) if error.is_quota_exceeded() => {
                let message = "The namespace's ResourceQuota leaves no room for a part of it. Retained data and ending pods count, too: \
                               free some of it, or ask for a higher limit. It is tried again.";
                return Ok(Some(Refused { reason: "ResourceQuotaExceeded", message: message.to_owned() }));
            }
            Err(error) if error.is_invalid() => {
                let detail: String = error.to_string().chars().take(400).collect();
                let message = format!(
                    "The API server refuses a part of it: {detail}. An administrator must correct the template or plan."
                );
                return Ok(Some(Refused { reason: "Rejected", message }));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

async fn delete(
    context: &Context,
    instance: Arc<ServiceInstance>,
    now: Timestamp,
) -> Result<Action, CallError> {
    if !instance.finalizers().iter().any(|one| one == labels::FINALIZER) {
        return Ok(Action::await_change());
    }
    match cleanup::cleanup(context, &instance, now).await? {
        cleanup::Left::Nothing => {
            own::remove_finalizer(&context.cluster, &context.own_instances, &*instance).await?;
            Ok(Action::await_change())
        }
        cleanup::Left::Pods => {
            let fetched = fetch::fetch(context, instance).await?;
            let children = context.children_of(&fetched.instance);
            let status = status::status(&fetched, &children, &Outcome::Deleting, &context.settings, now);
            write_status(context, &fetched.instance, &status).await?;
            Ok(next(&Outcome::Deleting, &status, context, now))
        }
    }
}

async fn write_status(
    context: &Context,
    instance: &ServiceInstance,
    status: &ServiceInstanceStatus,
) -> Result<(), CallError> {
    if instance.status.as_ref() == Some(status) {
        return Ok(());
    }
    own::write_status(&context.cluster, &context.own_instances, instance, status, None).await?;
    context.report.phase_changed(instance, status).await;
    Ok(())
}

/// When the clock alone may change something: the entitlement's end, or a wait that lasts too long.
fn next(outcome: &Outcome, status: &ServiceInstanceStatus, context: &Context, now: Timestamp) -> Action {
    let by_entitlement = if let Outcome::Built { order, .. } = outcome { order.look_again } else { None };
    let soonest = [by_entitlement, status::next_look(status, &context.settings)].into_iter().flatten().min();
    let retry = match outcome {
        Outcome::Built { refused: Some(_), .. } => Some(Duration::from_secs(20)),
        Outcome::Built { blocked: true, .. } => Some(Duration::from_secs(2)),
        Outcome::Invalid(invalid) if invalid.reason == "WaitingForDeletion" => Some(Duration::from_secs(2)),
        // What is in the way there is nothing that we watch.
        Outcome::Invalid(invalid)
            if matches!(invalid.reason, "NameTaken" | "SecretNameTaken" | "SecretMissing") =>
        {
            Some(Duration::from_secs(30))
        }
        _ => None,
    };
    let until = soonest
        .map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default() + Duration::from_millis(50));
    match [until, retry].into_iter().flatten().min() {
        Some(pause) => Action::requeue(pause.min(LONGEST_PAUSE)),
        None => Action::await_change(),
    }
}

impl Own for ServiceInstance {
    type Status = ServiceInstanceStatus;

    fn status(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }
}
