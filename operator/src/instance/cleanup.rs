//! What happens when an instance is deleted: its pods end, its data is let go, and only then does it vanish. Cleanup
//! reads, deletes workloads, and writes the moment of release once; it never touches data.

use super::fetch;
use crate::{
    apply::{self, CallError},
    context::Context,
    instance::execute,
    kinds::Kind,
    observed::{Child, Key, State},
};
use crds::{ServiceInstance, labels, names};
use jiff::{SignedDuration, Timestamp};
use kube::{ResourceExt as _, runtime::reflector::ObjectRef};
use serde_json::{Value, json};
use std::sync::Arc;

/// What is left to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Pods that have not ended yet.
    Pods,
    /// Nothing: the finalizer can go.
    Nothing,
}

/// The next steps of a deletion, from what is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Steps {
    /// Workloads to delete.
    pub delete: Vec<(Key, String)>,
    /// What must end before the data is let go.
    pub left: Left,
}

/// Workloads go first, and nothing else happens while a pod is left.
pub fn steps(children: &[Arc<Child>]) -> Steps {
    let workloads =
        children.iter().filter(|child| child.key.kind.is_workload() || child.key.kind == Kind::Job);
    let delete = workloads
        .clone()
        .filter(|child| !child.terminating)
        .map(|c| (c.key.clone(), c.uid.clone()))
        .collect();
    let pods = children.iter().any(|child| matches!(child.state, State::Pod { finished: false, .. }));
    let left = if pods || workloads.count() > 0 { Left::Pods } else { Left::Nothing };
    Steps { delete, left }
}

/// Goes as far as it can now.
///
/// # Errors
/// As the calls'.
pub async fn cleanup(
    context: &Context,
    instance: &ServiceInstance,
    now: Timestamp,
) -> Result<Left, CallError> {
    let uid = instance.uid().unwrap_or_default();
    let steps = steps(&context.children_of(instance));
    for (key, uid) in &steps.delete {
        context.cluster.delete(key, uid).await?;
        context.children.deleted(key, uid);
    }
    if steps.left == Left::Nothing {
        if runs_after_all(context, instance, &uid).await? {
            return Ok(Left::Pods);
        }
        match release(context, instance, &uid, now).await {
            Err(error) if error.code() == Some(403) && namespace_is_ending(context, instance).await? => {
                tracing::warn!(
                    instance.name = instance.name_any(),
                    "its namespace is being deleted, and its data with it"
                );
            }
            other => other?,
        }
    }
    Ok(steps.left)
}

/// Whether somebody deletes the whole namespace: our rights in it go first then, and no data in it can be kept.
async fn namespace_is_ending(context: &Context, instance: &ServiceInstance) -> Result<bool, CallError> {
    let key = apply::key(Kind::Namespace, "", &instance.namespace().unwrap_or_default());
    let live = context.cluster.get(&key).await?;
    Ok(live.is_none_or(|live| live.pointer("/metadata/deletionTimestamp").is_some()))
}

/// Asks the API server itself: a pod that the caches don't know of yet would write to data that another instance may
/// already have taken up.
async fn runs_after_all(context: &Context, instance: &ServiceInstance, uid: &str) -> Result<bool, CallError> {
    let namespace = instance.namespace().unwrap_or_default();
    let selector = format!("{}={uid}", labels::INSTANCE);
    let mut found = false;
    for kind in [Kind::StatefulSet, Kind::Deployment, Kind::Pod] {
        for live in context.cluster.list(&kind.resource(), &namespace, &selector).await? {
            let Some(child) = Child::reduce(kind, &live) else { continue };
            found |= !matches!(child.state, State::Pod { finished: true, .. });
            context.children.seen(child);
        }
    }
    Ok(found)
}

/// Lets the data go: its Secret first, then its volumes, since a volume that is free means that its Secret is, too.
async fn release(
    context: &Context,
    instance: &ServiceInstance,
    uid: &str,
    now: Timestamp,
) -> Result<(), CallError> {
    let namespace = instance.namespace().unwrap_or_default();
    let keep_for = context.settings.retention.keep_for(&instance.spec.retention.keep_for);
    let secret = apply::key(Kind::Secret, &namespace, &names::data_secret(&fetch::data_id(instance)));
    // Live, past the cache: nothing may be overlooked when the last one who knows of it goes.
    let selector = format!("{}={uid},{}", labels::INSTANCE, labels::DATA);
    let volumes =
        context.cluster.list(&Kind::PersistentVolumeClaim.resource(), &namespace, &selector).await?;
    if let Some(live) = context.cluster.get(&secret).await?
        && (!volumes.is_empty()
            || live.pointer("/metadata/labels").and_then(|all| all.get(labels::INSTANCE))
                == Some(&json!(uid)))
    {
        let initialized = instance.status.as_ref().is_some_and(|status| status.initialized);
        let notes = if initialized { json!({labels::INITIALIZED: "true"}) } else { json!({}) };
        merge_release(context, &secret, &live, (keep_for, notes), now).await?;
    }
    for live in volumes {
        let name = live.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let key = apply::key(Kind::PersistentVolumeClaim, &namespace, name);
        merge_release(context, &key, &live, (keep_for, json!({})), now).await?;
    }
    if let Some(tenant) = instance.tenant() {
        context.caches.wake_tenants.send(ObjectRef::new(tenant));
    }
    Ok(())
}

async fn merge_release(
    context: &Context,
    key: &Key,
    live: &Value,
    (keep_for, mut notes): (SignedDuration, Value),
    now: Timestamp,
) -> Result<(), CallError> {
    let second = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let keep_until = second.checked_add(keep_for).unwrap_or(Timestamp::MAX);
    notes[labels::RELEASED_AT] = json!(second.to_string());
    notes[labels::KEEP_UNTIL] = json!(keep_until.to_string());
    let patch = json!({"metadata": {
        "uid": live["metadata"]["uid"],
        "resourceVersion": live["metadata"]["resourceVersion"],
        "labels": {labels::INSTANCE: null, labels::INSTANCE_NAME: null},
        "annotations": notes,
    }});
    match context.cluster.merge(key, &patch).await {
        Ok(answer) => execute::remember(&context.children, key, &answer),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    Ok(())
}
