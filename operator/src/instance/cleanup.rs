//! What happens when an instance is deleted: its pods end, its data is let go, and only then does it vanish. Cleanup
//! reads, deletes workloads, and writes the moment of release once; it never touches data.

use super::{data, fetch};
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
use std::{collections::BTreeSet, sync::Arc};

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
            // Where nothing was ever built for want of a tenant, there is nothing to let go, and no right to look.
            Err(error) if error.code() == Some(403) && never_built(instance) => {}
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

fn never_built(instance: &ServiceInstance) -> bool {
    instance.status.as_ref().is_none_or(|status| status.data_id.is_none())
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
        note[labels::VOLUMES] = volumes_noted(instance, &volumes, &live);
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

/// The annotations of that note.
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

/// The volumes that the data has, for the note on its Secret: those that were bound once, by the instance's status or as they are
/// now, and what a release that was interrupted has noted before. Null where there are none.
fn volumes_noted(instance: &ServiceInstance, volumes: &[Value], secret: &Value) -> Value {
    let of_status = instance.status.as_ref().map(|status| status.volumes.clone()).unwrap_or_default();
    let bound = volumes
        .iter()
        .filter(|volume| volume.pointer("/status/phase").and_then(Value::as_str) == Some("Bound"))
        .filter_map(|volume| volume.pointer("/metadata/name")?.as_str().map(str::to_owned));
    let all: BTreeSet<String> =
        of_status.into_iter().chain(bound).chain(data::volumes_of_note(&fetch::notes(secret))).collect();
    if all.is_empty() { Value::Null } else { json!(all.into_iter().collect::<Vec<_>>().join(",")) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_notes_its_whole_second_its_end_and_whether_an_order_stands_from_before() {
        let at = Timestamp::from_millisecond(1_800_000_000_123).unwrap();
        let note = note_of_release(at, SignedDuration::from_hours(24), true);
        let expected = json!({
            labels::RELEASED_AT: "2027-01-15T08:00:00Z", labels::KEEP_UNTIL: "2027-01-16T08:00:00Z",
            labels::PURGE_ORDERED_AT: null, labels::PURGE_ORDER_VOID: "true",
        });
        assert_eq!(note, expected);
        let note = note_of_release(at, SignedDuration::from_hours(24), false);
        assert_eq!(note[labels::PURGE_ORDER_VOID], Value::Null);
    }

    #[test]
    fn a_release_notes_the_volumes_that_were_bound_once_and_those_of_a_release_that_was_interrupted() {
        let status = crds::ServiceInstanceStatus { volumes: vec!["data-b".into()], ..Default::default() };
        let mut instance = ServiceInstance::new("shop", crds::ServiceInstanceSpec::default());
        let volume =
            |name: &str, phase: &str| json!({"metadata": {"name": name}, "status": {"phase": phase}});
        let there = [volume("data-c", "Bound"), volume("data-d", "Pending"), volume("data-b", "Lost")];
        let noted = json!({"metadata": {"annotations": {labels::VOLUMES: "data-a,data-b"}}});
        assert_eq!(volumes_noted(&instance, &[], &json!({})), Value::Null);
        assert_eq!(
            volumes_noted(&instance, &there, &json!({})),
            "data-c",
            "what was never bound has no data"
        );
        instance.status = Some(status);
        assert_eq!(volumes_noted(&instance, &there, &json!({})), "data-b,data-c");
        assert_eq!(volumes_noted(&instance, &there, &noted), "data-a,data-b,data-c");
    }
}
