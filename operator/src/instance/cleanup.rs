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
    let note = release_note(context, instance, now);
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
        let mut note = note.clone();
        if instance.status.as_ref().is_some_and(|status| status.initialized) {
            note[labels::INITIALIZED] = json!("true");
        }
        merge_release(context, &secret, &live, &note).await?;
    }
    for live in volumes {
        let name = live.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let key = apply::key(Kind::PersistentVolumeClaim, &namespace, name);
        merge_release(context, &key, &live, &note).await?;
    }
    if let Some(tenant) = instance.tenant() {
        context.caches.wake_tenants.send(ObjectRef::new(tenant));
    }
    Ok(())
}

/// What is noted on the data: the time of its release, by the later of the operator's clock and the API server's at the order
/// to delete, so that neither alone brings the end nearer; and whether an order to destroy it stands from before, which was
/// about another release and must not end this one.
fn release_note(context: &Context, instance: &ServiceInstance, now: Timestamp) -> Value {
    let deleted_at = instance.metadata.deletion_timestamp.as_ref().map_or(now, |time| time.0);
    let keep_for = context.settings.retention.keep_for(&instance.spec.retention.keep_for);
    let ordered = instance.tenant().and_then(|name| context.caches.tenant(name)).is_some_and(|tenant| {
        tenant.spec.retained.get(&fetch::data_id(instance)).is_some_and(|order| order.purge)
    });
    note_of_release(now.max(deleted_at), keep_for, ordered)
}

fn note_of_release(at: Timestamp, keep_for: SignedDuration, stale_order: bool) -> Value {
    let second = Timestamp::from_second(at.as_second()).unwrap_or(at);
    let keep_until = second.checked_add(keep_for).unwrap_or(Timestamp::MAX);
    json!({
        labels::RELEASED_AT: second.to_string(),
        labels::KEEP_UNTIL: keep_until.to_string(),
        labels::PURGE_ORDERED_AT: null,
        labels::PURGE_ORDER_VOID: stale_order.then_some("true"),
    })
}

async fn merge_release(context: &Context, key: &Key, live: &Value, note: &Value) -> Result<(), CallError> {
    let patch = json!({"metadata": {
        "uid": live["metadata"]["uid"],
        "resourceVersion": live["metadata"]["resourceVersion"],
        "labels": {labels::INSTANCE: null, labels::INSTANCE_NAME: null},
        "annotations": note,
    }});
    match context.cluster.merge(key, &patch).await {
        Ok(answer) => execute::remember(&context.children, key, &answer),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    Ok(())
}
