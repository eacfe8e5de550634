//! What happens when a tenant is deleted: refused while there is data, unless its destruction was ordered; then the
//! instances go, then the namespace.

use super::{
    Context, children,
    retention::{APART, CLOCK_DISAGREES, Clocks},
    status,
    status::Problem,
    write,
};
use crate::{apply::CallError, kinds::Kind, own};
use crds::{ServiceInstance, TenantQuota, conditions, labels, names, quota::Offboard, reasons};
use jiff::{SignedDuration, Timestamp};
use kube::{ResourceExt as _, core::ApiResource, runtime::controller::Action};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// How often an offboarding looks again beside the watches.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Goes as far as it can now.
///
/// # Errors
/// As the calls'.
pub async fn delete(context: &Context, tenant: Arc<TenantQuota>) -> Result<Action, CallError> {
    let finished = context.own_tenants.is_finished(&tenant.uid().unwrap_or_default());
    if finished || !tenant.finalizers().iter().any(|one| one == labels::FINALIZER) {
        return Ok(Action::await_change());
    }
    let namespace = names::tenant_namespace(&tenant.name_any());
    let key = crate::apply::key(Kind::Namespace, "", &namespace);
    let Some(live) = context.cluster.get(&key).await?.filter(|live| is_of(live, &tenant)) else {
        own::remove_finalizer(&context.cluster, &context.own_tenants, &tenant).await?;
        return Ok(Action::await_change());
    };
    let problem = next_step(context, &tenant, &namespace, &live).await?;
    write(context, &tenant, status::unusable(&tenant, &problem, &context.settings, context.clock.now()))
        .await?;
    Ok(Action::requeue(LOOK_AGAIN))
}

fn is_of(namespace: &Value, tenant: &TenantQuota) -> bool {
    let label =
        namespace.pointer("/metadata/labels").and_then(|all| all.get(labels::TENANT)).and_then(Value::as_str);
    label == Some(&tenant.name_any())
}

async fn next_step(
    context: &Context,
    tenant: &TenantQuota,
    namespace: &str,
    live: &Value,
) -> Result<Problem, CallError> {
    if live.pointer("/metadata/deletionTimestamp").is_some() {
        return Ok(ending(reasons::NAMESPACE_TERMINATING, "Its namespace is being deleted."));
    }
    let ordered = tenant.spec.offboard == Some(Offboard::DeleteData);
    let instances = live_instances(context, namespace).await?;
    let claims =
        context.cluster.list(&Kind::PersistentVolumeClaim.resource(), namespace, labels::DATA).await?;
    if !ordered && (!claims.is_empty() || !instances.is_empty()) {
        let message = "It still has instances or kept data, so nothing is deleted. Set spec.offboard to DeleteData to destroy all of it.";
        return Ok(Problem {
            reason: reasons::DATA_RETAINED,
            message: message.to_owned(),
            stalled: true,
            may_last: true,
        });
    }
    if ordered && let Some(waiting) = wait_left(context, tenant, namespace).await? {
        return Ok(waiting);
    }
    if ordered && !still_ordered(context, tenant).await? {
        return Err(CallError::Answer(
            "the order to destroy was taken back, and the cache does not know it yet",
        ));
    }
    if !instances.is_empty() {
        let resource = ApiResource::erase::<ServiceInstance>(&());
        for one in instances.iter().filter(|one| one.metadata.deletion_timestamp.is_none()) {
            let uid = one.uid().unwrap_or_default();
            context.cluster.delete_own(&resource, namespace, &one.name_any(), &uid).await?;
        }
        return Ok(ending(reasons::DELETING_INSTANCES, "Its instances are being deleted."));
    }
    let key = crate::apply::key(Kind::Namespace, "", namespace);
    let uid = live.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
    context.cluster.delete(&key, uid).await?;
    if let Some(child) = children(context, tenant).iter().find(|child| child.key == key) {
        context.children.deleted(&child.key, &child.uid);
    }
    Ok(ending(reasons::NAMESPACE_TERMINATING, "Its namespace is being deleted."))
}

/// What is said while an order to destroy is noted.
const DESTROYS: [&str; 3] =
    [reasons::OFFBOARD_WAITING, reasons::DELETING_INSTANCES, reasons::NAMESPACE_TERMINATING];

/// Destroying data takes an order, a waiting time, and two clocks that agree. The order's own time is the API server's.
async fn wait_left(
    context: &Context,
    tenant: &TenantQuota,
    namespace: &str,
) -> Result<Option<Problem>, CallError> {
    // The order may come long after the deletion, and may have been taken back and given again: it counts from when it was noted.
    let deleted_at = tenant.metadata.deletion_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0);
    let observed = tenant.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let noted = conditions::find(observed, conditions::RECONCILING)
        .filter(|said| said.status == "True" && DESTROYS.contains(&said.reason.as_str()));
    let ordered_at = noted.map_or(Timestamp::MAX, |said| deleted_at.max(said.last_transition_time.0));
    let wait = SignedDuration::from_secs(i64::from(context.settings.retention.offboard_wait_seconds));
    let server = Some(context.cluster.server_time(namespace).await?);
    let clocks = Clocks { operator: context.clock.now(), server };
    let end = ordered_at.checked_add(wait).unwrap_or(Timestamp::MAX);
    if clocks.are_past(end) {
        let apart = !clocks.agree(context.settings.retention.clock_tolerance());
        return Ok(apart.then(clocks_disagree));
    }
    let message = "All of it is destroyed once the waiting time of the operator's settings is over. Taking spec.offboard back stops that.";
    Ok(Some(Problem {
        reason: reasons::OFFBOARD_WAITING,
        message: message.to_owned(),
        stalled: false,
        may_last: true,
    }))
}

/// Asks the API server itself: an order that was taken back a moment ago must not be carried out.
async fn still_ordered(context: &Context, tenant: &TenantQuota) -> Result<bool, CallError> {
    let resource = ApiResource::erase::<TenantQuota>(&());
    let live = context.cluster.look(&resource, "", &tenant.name_any()).await?;
    Ok(live.is_some_and(|live| {
        live.pointer("/metadata/uid").and_then(Value::as_str) == tenant.metadata.uid.as_deref()
            && live.pointer("/spec/offboard").and_then(Value::as_str) == Some("DeleteData")
    }))
}

fn clocks_disagree() -> Problem {
    Problem { reason: CLOCK_DISAGREES, message: APART.to_owned(), stalled: true, may_last: true }
}

async fn live_instances(context: &Context, namespace: &str) -> Result<Vec<ServiceInstance>, CallError> {
    let live = context.cluster.list(&ApiResource::erase::<ServiceInstance>(&()), namespace, "").await?;
    let live: Result<Vec<ServiceInstance>, _> = live.into_iter().map(serde_json::from_value).collect();
    live.map_err(|_| CallError::Answer("an instance of the tenant can't be read"))
}

fn ending(reason: &'static str, message: &str) -> Problem {
    Problem { reason, message: message.to_owned(), stalled: false, may_last: false }
}
