//! The way from what is to what should be: a pure function to a list of operations, each a single call.

use super::{
    build::{Desired, Facts, Generated, Object},
    fetch::{Fetched, Secrets},
};
use crate::{
    kinds::Kind,
    observed::{Child, Key, State},
};
use crds::labels;
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc};

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Generate what is secret and create the Secret; there already is fine.
    Generate(Generated),
    /// Create an immutable object; there already is fine.
    Create(Object),
    /// Server-side apply; with a uid, of that very object.
    Apply {
        /// The object.
        object: Object,
        /// The one that is there, as it was seen.
        seen: Option<Box<Child>>,
    },
    /// Note on data whose it is and how long it is kept: a merge patch on that very object.
    Note {
        /// The volume or Secret.
        key: Key,
        /// The patch.
        patch: Value,
    },
    /// Delete that very object.
    Delete {
        /// The object.
        key: Key,
        /// Its uid.
        uid: String,
    },
}

/// The operations of this round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// In this order.
    pub operations: Vec<Operation>,
    /// Whether there is more to do once they are done, before anything else happens in the cluster.
    pub again: bool,
    /// Whether something of an earlier owner is in the way and must be gone first.
    pub blocked: Option<Key>,
}

/// What the world says, of what is to be built.
pub fn facts(fetched: &Fetched) -> Facts {
    let mut facts = Facts::default();
    if let Secrets::There(values) = &fetched.secrets {
        facts.secrets = Some(values.clone());
    }
    for child in &fetched.children {
        let Some(component) = &child.component else { continue };
        match &child.state {
            State::Workload { replicas, ready, updated, observed, pods, .. } => {
                facts.existing.insert(component.clone());
                if let Some(at) = &pods.rollout_at {
                    facts.rollout_at.insert(component.clone(), at.clone());
                }
                if *replicas > 0 {
                    facts.started.insert(component.clone());
                }
                if *observed && *ready > 0 && *updated > 0 {
                    facts.ready.insert(component.clone());
                }
            }
            State::Pod { finished: false, .. } => {
                facts.started.insert(component.clone());
            }
            State::Job { complete, .. } => {
                *facts.jobs.entry(component.clone()).or_default() |= *complete;
            }
            _ => {}
        }
    }
    for (name, child) in &fetched.volumes {
        if let Some(volume) = child.volume() {
            facts.volumes.insert(name.clone(), volume.clone());
        }
    }
    facts
}

/// The operations that lead from what was fetched to what is desired.
pub fn plan(desired: &Desired, fetched: &Fetched) -> Plan {
    let claims = claims(fetched);
    if !claims.is_empty() {
        return Plan { operations: claims, again: true, blocked: None };
    }
    if fetched.secrets == Secrets::NotYet {
        return Plan {
            operations: vec![Operation::Generate(desired.secret.clone())],
            again: true,
            blocked: None,
        };
    }
    let mut plan = Plan::default();
    plan.operations.extend(notes(desired, fetched));
    for object in &desired.volumes {
        plan.apply(object, fetched.volumes.get(&object.key.name));
    }
    if let Some(credentials) = &desired.credentials {
        plan.credentials(credentials, fetched);
    }
    for object in &desired.objects {
        let there = fetched.children.iter().find(|child| child.key == object.key);
        if !(desired.held && there.is_some_and(|child| may_wait(object, child))) {
            plan.apply(object, there);
        }
    }
    for job in &desired.jobs {
        if !is_under_way(job, fetched) {
            plan.operations.push(Operation::Create(job.clone()));
        }
    }
    plan.prune(desired, fetched);
    plan
}

/// Whether a job is there, or an earlier form of it is not over yet: two must never work at the same time.
fn is_under_way(job: &Object, fetched: &Fetched) -> bool {
    let name = job.object.pointer("/metadata/labels").and_then(|all| all.get(labels::COMPONENT));
    fetched.children.iter().any(|child| match child.state {
        State::Job { complete, .. } => {
            child.key == job.key || (!complete && child.component.as_deref() == name.and_then(Value::as_str))
        }
        State::Pod { finished: false, .. } => child.component.as_deref() == name.and_then(Value::as_str),
        _ => false,
    })
}

/// Whether an object stays as it is while the pods do: what an edited template says of ports or files would not fit them. What
/// the owner decided of it does not wait, nor does the repair of what somebody else changed.
fn may_wait(object: &Object, there: &Child) -> bool {
    !object.key.kind.is_workload() && there.is_intact() && there.inputs.as_deref() == object.inputs()
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    fn apply(&mut self, object: &Object, there: Option<&Arc<Child>>) {
        match there {
            Some(child) if child.hands_off => {}
            Some(child) if child.terminating => self.blocked = Some(child.key.clone()),
            Some(child) if child.is_as_desired(&object.hash) => {}
            there => {
                let seen = there.map(|child| Box::new((**child).clone()));
                self.operations.push(Operation::Apply { object: object.clone(), seen });
            }
        }
    }

    /// Credentials are immutable: changed ones have another name. The old go once the new are there.
    fn credentials(&mut self, credentials: &Object, fetched: &Fetched) {
        match &fetched.credentials_there {
            Some((name, _)) if *name == credentials.key.name => {}
            Some((name, uid)) => {
                self.operations.push(Operation::Create(credentials.clone()));
                let key = Key { name: name.clone(), ..credentials.key.clone() };
                self.operations.push(Operation::Delete { key, uid: uid.clone() });
            }
            None => self.operations.push(Operation::Create(credentials.clone())),
        }
    }

    /// Deletes what belongs to the instance and is no longer built. Data is never pruned.
    fn prune(&mut self, desired: &Desired, fetched: &Fetched) {
        let wanted: BTreeSet<&Key> =
            desired.objects.iter().chain(&desired.jobs).map(|object| &object.key).collect();
        let stale = fetched.children.iter().filter(|child| {
            child.key.kind.is_prunable()
                && !child.terminating
                && !child.hands_off
                // A job that is done is the sign that it is.
                && !matches!(child.state, State::Job { complete: true, .. })
                // While a change waits, only what the owner decides is taken away.
                && (!desired.held
                    || child.key.kind == Kind::Job
                    || (child.inputs.is_some() && !child.key.kind.is_workload()))
                && !wanted.contains(&child.key)
        });
        self.operations
            .extend(stale.map(|child| Operation::Delete { key: child.key.clone(), uid: child.uid.clone() }));
    }
}

/// What is noted on the data's Secret follows the instance (the volumes' notes are applied with them).
fn notes(desired: &Desired, fetched: &Fetched) -> Option<Operation> {
    let uid = fetched.secret_uid.as_ref()?;
    let wanted = desired.secret.object.pointer("/metadata/annotations")?.as_object()?;
    let changed: serde_json::Map<String, Value> = wanted
        .iter()
        .filter(|(key, value)| {
            *key != labels::FIXED && fetched.secret_notes.get(*key).map(String::as_str) != value.as_str()
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let mut patch = json!({"metadata": {"uid": uid, "annotations": changed}});
    // The volumes are ours by now, so the Secret is as well: marks of an earlier release on it would end in its destruction.
    let released = !fetched.volumes.is_empty() && fetched.secret_notes.contains_key(labels::RELEASED_AT);
    if released {
        patch["metadata"]["labels"] = owner_labels(fetched);
        for key in OF_A_RELEASE {
            patch["metadata"]["annotations"][key] = Value::Null;
        }
    }
    (released || !changed.is_empty()).then(|| Operation::Note { key: desired.secret.key.clone(), patch })
}

/// What is noted on released data, and taken off by whoever takes it up.
const OF_A_RELEASE: [&str; 5] = [
    labels::RELEASED_AT,
    labels::KEEP_UNTIL,
    labels::PURGE_ORDERED_AT,
    labels::PURGE_ORDER_VOID,
    labels::VOLUMES,
];

fn owner_labels(fetched: &Fetched) -> Value {
    let metadata = &fetched.instance.metadata;
    json!({labels::INSTANCE: metadata.uid, labels::INSTANCE_NAME: metadata.name})
}

/// Released data that this instance restores is taken up first, its Secret and then volume by volume, each in the very
/// version that was seen: of two instances that want the same, one gets it.
fn claims(fetched: &Fetched) -> Vec<Operation> {
    let labels = owner_labels(fetched);
    let cleared: serde_json::Map<String, Value> =
        OF_A_RELEASE.iter().map(|key| ((*key).to_owned(), Value::Null)).collect();
    let mut claims: Vec<Operation> = fetched
        .volumes
        .values()
        .filter(|child| child.volume().is_some_and(|volume| volume.release.released_at.is_some()))
        .map(|child| Operation::Note {
            key: child.key.clone(),
            patch: json!({"metadata": {
                "uid": child.uid, "resourceVersion": child.version.to_string(), "labels": labels, "annotations": cleared,
            }}),
        })
        .collect();
    if !claims.is_empty()
        && let Some(secret_uid) = &fetched.secret_uid
    {
        let namespace = fetched.instance.metadata.namespace.clone().unwrap_or_default();
        let key = Key { kind: Kind::Secret, namespace, name: crds::names::data_secret(&fetched.data_id) };
        // The Secret first: a claimed volume is the sign that its Secret is claimed as well.
        let version = &fetched.secret_version;
        let patch = json!({"metadata": {
            "uid": secret_uid, "resourceVersion": version, "labels": labels, "annotations": cleared,
        }});
        claims.insert(0, Operation::Note { key, patch });
    }
    claims
}
