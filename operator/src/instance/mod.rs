//! `ServiceInstance`: fetch → validate → build → plan → execute → status.

pub mod access;
pub mod build;
pub mod cleanup;
pub mod close;
pub mod data;
pub mod events;
pub mod execute;
pub mod fetch;
pub mod fill;
#[cfg(test)]
mod fixtures;
pub mod plan;
pub mod power;
pub mod rollout;
pub mod status;
pub mod validate;
pub mod window;

use crate::{
    apply::CallError,
    context::Context,
    domains,
    kinds::Kind,
    observed::State,
    own::{self, Own},
};
use crds::{ServiceInstance, ServiceInstanceStatus, labels, reasons};
use fetch::{Fetched, Place};
use jiff::{SignedDuration, Timestamp};
use kube::{
    ResourceExt as _,
    core::ApiResource,
    runtime::{controller::Action, reflector::ObjectRef},
};
use rollout::Rollout;
use serde_json::{Value, json};
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
    let (mut fetched, outcome) = match converge(&context, Arc::clone(&instance), now).await {
        Ok(done) => done,
        Err(error) => {
            say_that_it_fails(&context, &instance, now).await;
            return Err(error);
        }
    };
    if is_too_early(&fetched, now) {
        return Ok(Action::requeue(Duration::from_secs(QUIET_SECONDS.unsigned_abs())));
    }
    let children = context.children_of(&fetched.instance);
    let ask = events::ask(&fetched, &children, &outcome, now);
    if ask == events::Ask::Now {
        fetched.told = events::told(&context, &children).await;
    }
    let status = status::status(&fetched, &children, &outcome, &context.settings, now);
    if let Some(pause) = status::too_early_to_say(fetched.instance.status.as_ref(), &status, now) {
        return Ok(Action::requeue(pause));
    }
    write_status(&context, &fetched.instance, &status).await?;
    Ok(next(&outcome, &status, ask.again(), &context, now))
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

/// What may not run and never did gets nothing at all: no volume for what nobody pays for, and no retained data taken up,
/// whose time of keeping would end.
fn makes_nothing(fetched: &Fetched, order: &validate::Validated) -> bool {
    let released = || {
        fetched
            .volumes
            .values()
            .any(|child| child.volume().is_some_and(|volume| volume.release.released_at.is_some()))
    };
    matches!(order.power, power::Power::Suspended { .. })
        && fetched.children.is_empty()
        && (fetched.secrets == fetch::Secrets::NotYet || released())
}

/// On failure, too, the status says what is going on, once it has lasted.
async fn say_that_it_fails(context: &Context, instance: &ServiceInstance, now: Timestamp) {
    if !context.backoff.has_lasted(&instance.uid().unwrap_or_default()) {
        return;
    }
    let status = status::failing(instance, &context.settings, now);
    if let Err(error) = write_status(context, instance, &status).await {
        tracing::debug!(%error, "the status of a failing instance can't be written either");
    }
}

/// What can't be built must still stop when it may not run: its workloads are scaled to nothing where they stand.
async fn switch_off(context: &Context, fetched: &Fetched) -> Result<(), CallError> {
    for child in &fetched.children {
        if matches!(child.state, State::Job { complete: false, .. }) && !child.terminating {
            context.cluster.delete(&child.key, &child.uid).await?;
            context.children.deleted(&child.key, &child.uid);
            continue;
        }
        if child.hands_off || !matches!(child.state, State::Workload { replicas, .. } if replicas > 0) {
            continue;
        }
        let patch = json!({"metadata": {"uid": child.uid}, "spec": {"replicas": 0}});
        let answer = context.cluster.merge(&child.key, &patch).await?;
        execute::remember(&context.children, &child.key, &answer);
    }
    Ok(())
}

/// Whether the plan would begin something that outlives a mistake: data made or taken up. Before that, the API server itself
/// is asked whether the instance still exists; a cache may be behind, and its data already let go.
fn begins_data(plan: &plan::Plan) -> bool {
    plan.operations.iter().any(|operation| match operation {
        plan::Operation::Generate(_) | plan::Operation::Note { .. } => true,
        plan::Operation::Apply { object, seen } => {
            seen.is_none() && object.key.kind == Kind::PersistentVolumeClaim
        }
        _ => false,
    })
}

async fn still_lives(context: &Context, instance: &ServiceInstance) -> Result<bool, CallError> {
    let resource = ApiResource::erase::<ServiceInstance>(&());
    let live = context
        .cluster
        .look(&resource, &instance.namespace().unwrap_or_default(), &instance.name_any())
        .await?;
    Ok(live.is_some_and(|live| {
        live.pointer("/metadata/uid").and_then(Value::as_str) == instance.metadata.uid.as_deref()
            && live.pointer("/metadata/deletionTimestamp").is_none()
    }))
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
        let fetched = fetch::fetch(context, Arc::clone(&instance), now).await?;
        let order = match validate::validate(&fetched, &context.settings, now) {
            Ok(order) => order,
            Err(invalid) => {
                let (power, look_again) =
                    power::decide(&fetched.instance.spec, context.settings.unsubscribed, now);
                if !power.is_on() {
                    switch_off(context, &fetched).await?;
                }
                close::close(context, &fetched).await?;
                return Ok((fetched, Outcome::Invalid { invalid, power, look_again }));
            }
        };
        if makes_nothing(&fetched, &order) {
            let volumes = data::claim_names(&order.template, &order.data_id).count();
            let outcome = Outcome::Built {
                order: Box::new(order),
                credentials: None,
                volumes,
                blocked: false,
                refused: None,
                rollout: Rollout::UpToDate,
            };
            return Ok((fetched, outcome));
        }
        let mut desired = build::build(&order, &plan::facts(&fetched), &context.settings);
        let rollout = rollout::decide(&desired, &fetched, &order, now);
        if matches!(rollout, Rollout::Waits { .. }) {
            rollout::hold(&mut desired, &fetched);
        }
        let plan = plan::plan(&desired, &fetched);
        if begins_data(&plan) && !still_lives(context, &fetched.instance).await? {
            return Err(CallError::Answer(
                "the instance is gone or ending, and the cache does not know it yet",
            ));
        }
        let refused = execute_all(context, &plan).await?;
        if plan.operations.iter().any(|one| matches!(one, plan::Operation::Note { .. })) {
            context.caches.wake_tenants.send(ObjectRef::new(&order.tenant));
        }
        if plan.again && refused.is_none() && rounds < ROUNDS {
            continue;
        }
        // What was refused may not be there: the status names only credentials that are.
        let credentials = desired.credentials.filter(|_| refused.is_none()).map(|object| object.key.name);
        let (volumes, blocked) = (desired.volumes.len(), plan.blocked.is_some());
        let order = Box::new(order);
        let outcome = Outcome::Built { order, credentials, volumes, blocked, refused, rollout };
        return Ok((fetched, outcome));
    }
}

/// Does one operation after the other. What is refused for good is said in the status, and does not keep the rest from being
/// done: a volume that can't grow must not keep its app from being stopped.
async fn execute_all(context: &Context, plan: &plan::Plan) -> Result<Option<Refused>, CallError> {
    let mut refused = None;
    for operation in &plan.operations {
        if let Err(error) = execute::execute(&context.cluster, &context.children, operation).await {
            let why = refusal(operation, error)?;
            refused.get_or_insert(why);
        }
        // Data is begun and claimed in an order that means something: what was refused must not be passed over.
        if refused.is_some() && plan.again {
            break;
        }
    }
    Ok(refused)
}

/// What was refused for good; anything else is an error to be tried again.
fn refusal(operation: &plan::Operation, error: CallError) -> Result<Refused, CallError> {
    if let CallError::Taken { kind, name } = &error {
        let message = format!(
            "There is a {kind} {name} that Nakhoda did not make for it. An administrator must remove it."
        );
        return Ok(Refused { reason: reasons::NAME_TAKEN, message });
    }
    let reason = if error.is_quota_exceeded() {
        reasons::RESOURCE_QUOTA_EXCEEDED
    } else if error.is_denied() {
        reasons::ADMISSION_DENIED
    } else if error.code() == Some(403) && is_about_a_volume(operation) {
        reasons::VOLUME_NOT_EXPANDABLE
    } else if error.is_invalid() {
        let detail: String = error.to_string().chars().take(400).collect();
        let message = format!(
            "The API server refuses a part of it: {detail}. An administrator must correct the template or plan."
        );
        return Ok(Refused { reason: reasons::REJECTED, message });
    } else {
        return Err(error);
    };
    Ok(Refused { reason, message: reasons::sentence(reason).to_owned() })
}

fn is_about_a_volume(operation: &plan::Operation) -> bool {
    matches!(operation, plan::Operation::Apply { object, seen: Some(_) } if object.key.kind == Kind::PersistentVolumeClaim)
}

async fn delete(
    context: &Context,
    instance: Arc<ServiceInstance>,
    now: Timestamp,
) -> Result<Action, CallError> {
    let finished = context.own_instances.is_finished(&instance.uid().unwrap_or_default());
    if finished || !instance.finalizers().iter().any(|one| one == labels::FINALIZER) {
        return Ok(Action::await_change());
    }
    match cleanup::cleanup(context, &instance, now).await? {
        cleanup::Left::Nothing => {
            own::remove_finalizer(&context.cluster, &context.own_instances, &*instance).await?;
            Ok(Action::await_change())
        }
        cleanup::Left::Pods => {
            let fetched = fetch::fetch(context, instance, now).await?;
            let children = context.children_of(&fetched.instance);
            let status = status::status(&fetched, &children, &Outcome::Deleting, &context.settings, now);
            write_status(context, &fetched.instance, &status).await?;
            Ok(next(&Outcome::Deleting, &status, None, context, now))
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
    let before = instance.status.as_ref().map(|before| before.domains.as_slice()).unwrap_or_default();
    for host in domains::changed_hosts(before, &status.domains) {
        context.caches.wake_claimants(&host);
    }
    context.report.phase_changed(instance, status).await;
    Ok(())
}

/// When the clock alone may change something: the entitlement's end, or a wait that lasts too long.
fn next(
    outcome: &Outcome,
    status: &ServiceInstanceStatus,
    ask: Option<Duration>,
    context: &Context,
    now: Timestamp,
) -> Action {
    let by_entitlement = match outcome {
        Outcome::Built { order, .. } => order.look_again,
        Outcome::Invalid { look_again, .. } => *look_again,
        Outcome::Deleting => None,
    };
    let by_rollout = match outcome {
        Outcome::Built { rollout: Rollout::Waits { until }, .. } => *until,
        Outcome::Built { order, .. } => order.rollout_later,
        _ => None,
    };
    let settings = &context.settings;
    let by_lapse = domains::next_lapse(&status.domains, settings.domains.lapse_after(), now);
    let by_bound = status::next_look(status, settings);
    let soonest = [by_entitlement, by_rollout, by_lapse, by_bound].into_iter().flatten().min();
    let retry = match outcome {
        Outcome::Built { refused: Some(_), .. } => Some(Duration::from_secs(20)),
        Outcome::Built { blocked: true, .. } => Some(Duration::from_secs(2)),
        Outcome::Invalid { invalid, .. } if invalid.reason == reasons::WAITING_FOR_DELETION => {
            Some(Duration::from_secs(2))
        }
        // What is in the way there is nothing that we watch.
        Outcome::Invalid { invalid, .. }
            if matches!(
                invalid.reason,
                reasons::NAME_TAKEN
                    | reasons::SECRET_NAME_TAKEN
                    | reasons::SECRET_MISSING
                    | reasons::VOLUME_MISSING
            ) =>
        {
            Some(Duration::from_secs(30))
        }
        _ => None,
    };
    let until = soonest
        .map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default() + Duration::from_millis(50));
    match [until, retry, ask].into_iter().flatten().min() {
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
