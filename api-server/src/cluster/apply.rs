//! Writing one concern of a resource: server-side apply under a manager of its own, with the rules of the cluster asked first, what others
//! manage named and left alone, and a line in the audit log before each change.

use super::{CallError, Cluster};
use crate::{
    audit::{self, Actor, Entry},
    http::problem::{Code, FieldError, Problem},
    state::State,
};
use kube::{
    Api, Resource, ResourceExt as _,
    api::{DynamicObject, Patch, PatchParams},
    core::{ApiResource, object::HasSpec},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::fmt::Debug;

/// How often a change is tried while the operator writes the same resource's status.
const TRIES: u32 = 5;
/// The bits of a version that count generations; the others are the time at which the resource was made.
const GENERATIONS: u32 = 20;

/// A kind of resource of which something is written here.
pub trait Written:
    Resource<DynamicType = ()> + HasSpec<Spec: DeserializeOwned + PartialEq> + DeserializeOwned + Clone + Debug
{
}

impl<K> Written for K where
    K: Resource<DynamicType = ()>
        + HasSpec<Spec: DeserializeOwned + PartialEq>
        + DeserializeOwned
        + Clone
        + Debug
{
}

/// A resource: as it is read, and with what this version does not know.
#[derive(Clone, Debug)]
pub struct Found<K> {
    /// As this version knows it.
    pub known: K,
    /// All of it.
    pub whole: DynamicObject,
}

/// Under which manager which resource is written, and whether what others manage is taken from them.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The manager.
    pub manager: &'static str,
    /// The resource's namespace, where its kind has them.
    pub namespace: Option<&'a str>,
    /// The resource.
    pub name: &'a str,
    /// Whether fields are taken over.
    pub take_over: bool,
    /// Fields that are maps of which each entry is somebody's: what changes one names the entries that become others, and null takes one away.
    pub by_entry: &'static [&'static str],
}

/// Who changes something, and how the audit log calls that.
#[derive(Clone, Debug)]
pub struct Told<'a> {
    /// Who.
    pub actor: &'a Actor,
    /// Why.
    pub reason: Option<&'a str>,
    /// The verb: `plan.change`. What came to nothing is told with `_failed`, what nobody knows of with `_unconfirmed`.
    pub actions: [&'static str; 3],
    /// The kind of thing: `plan`.
    pub entity_type: &'static str,
    /// Which of them.
    pub entity_id: &'a str,
}

impl<K: Written> Found<K> {
    /// Reads one.
    ///
    /// # Errors
    /// 503 where the cluster is away.
    pub async fn find(
        cluster: &Cluster,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<Self>, Problem> {
        let found = cluster.call(async |client| within::<K>(client, namespace).get_opt(name).await).await?;
        found.map(Self::read).transpose()
    }

    pub(super) fn read(whole: DynamicObject) -> Result<Self, Problem> {
        let known = whole.clone().try_parse().map_err(|error| Problem::internal(&error))?;
        Ok(Self { known, whole })
    }

    /// How often its spec was changed.
    pub fn generation(&self) -> i64 {
        self.known.meta().generation.unwrap_or_default()
    }

    /// Of one that was deleted and made anew it is another.
    pub fn version(&self) -> i64 {
        let made = self.known.meta().creation_timestamp.as_ref().map(|time| time.0.as_second());
        (made.unwrap_or_default() << GENERATIONS) + self.generation()
    }

    /// Whether a manager has made it so, and nobody has changed it since. What can't be read as a spec is no such thing.
    pub(super) fn is_made(&self, manager: &str, spec: &Map<String, Value>) -> bool {
        let meant = meant::<K>(&Value::Object(spec.clone()));
        !ours(&self.whole, manager).is_empty() && meant.is_ok_and(|meant| *self.known.spec() == meant)
    }

    /// Its spec with some of its fields changed; null takes one away.
    fn changed(whole: Option<&DynamicObject>, changes: &Map<String, Value>, by_entry: &[&str]) -> Value {
        let spec = whole.and_then(|whole| whole.data["spec"].as_object().cloned()).unwrap_or_default();
        Value::Object(put(spec, changes, by_entry))
    }
}

fn put(mut spec: Map<String, Value>, changes: &Map<String, Value>, by_entry: &[&str]) -> Map<String, Value> {
    for (field, value) in changes {
        let value = match value {
            Value::Object(entries) if by_entry.contains(&field.as_str()) => {
                put_entries(spec.get(field), entries)
            }
            value => value.clone(),
        };
        if value.is_null() {
            spec.remove(field);
        } else {
            spec.insert(field.clone(), value);
        }
    }
    spec
}

/// A map with some of its entries changed. One without any is none: whoever says that it is empty says it of the whole map.
fn put_entries(map: Option<&Value>, entries: &Map<String, Value>) -> Value {
    let map = map.and_then(Value::as_object).cloned().unwrap_or_default();
    let map = put(map, entries, &[]);
    if map.is_empty() { Value::Null } else { Value::Object(map) }
}

/// What a manager is to say of a spec: what it has said, with the changes. An entry that others have set to just that stays theirs, unless
/// it is taken over.
fn said<K>(found: Option<&Found<K>>, place: &Place<'_>, changes: &Map<String, Value>) -> Map<String, Value> {
    let Some(found) = found else { return put(Map::new(), changes, place.by_entry) };
    let (ours, all) = (ours(&found.whole, place.manager), &found.whole.data["spec"]);
    let mut changes = changes.clone();
    for field in place.by_entry.iter().filter(|_| !place.take_over) {
        let Some(Value::Object(entries)) = changes.get_mut(*field) else { continue };
        let is_ours = |entry: &str| ours.get(*field).is_some_and(|map| map.get(entry).is_some());
        entries.retain(|entry, value| is_ours(entry) || all[*field][entry.as_str()] != *value);
    }
    put(ours, &changes, place.by_entry)
}

/// The way to the resources of a kind without namespaces.
pub(super) fn api<K: Written>(client: kube::Client) -> Api<DynamicObject> {
    within::<K>(client, None)
}

/// The way to the resources of a kind, in a namespace where it has them.
fn within<K: Written>(client: kube::Client, namespace: Option<&str>) -> Api<DynamicObject> {
    let kind = ApiResource::erase::<K>(&());
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &kind),
        None => Api::all_with(client, &kind),
    }
}

/// Applies some fields of a spec, beside what this manager has applied of it before.
///
/// # Errors
/// 409 where another manager has any of them, 412 where it was changed since it was read, 422 where the cluster does not take them, 503
/// where it is away.
pub(crate) async fn apply<K: Written>(
    cluster: &Cluster,
    place: Place<'_>,
    found: Option<&Found<K>>,
    changes: &Map<String, Value>,
    dry_run: bool,
) -> Result<Found<K>, Problem> {
    let Place { manager, namespace, name, take_over, by_entry: _ } = place;
    let (mut latest, mut force) = (found.cloned(), take_over);
    for _ in 0..TRIES {
        let spec = said(latest.as_ref(), &place, changes);
        let body = document(name, latest.as_ref(), &spec)?;
        let (params, patch) =
            (PatchParams { dry_run, force, ..PatchParams::apply(manager) }, Patch::Apply(&body));
        let done = cluster
            .call(async |client| within::<K>(client, namespace).patch(name, &params, &patch).await)
            .await;
        let error = match done {
            Ok(applied) => return Found::read(applied),
            Err(error) => error,
        };
        let managed = error.managed();
        let others: Vec<&String> = managed.iter().filter(|one| !one.contains(manager)).collect();
        if let [_, ..] = others[..] {
            let what = others.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let detail = format!(
                "{what}. Change it there, or take it over with `take_over`; a tool that goes on applying it sets it back."
            );
            return Err(Problem::with(Code::ManagedElsewhere, detail));
        }
        if !managed.is_empty() && !force {
            // What this manager created, it may also apply.
            force = true;
            continue;
        }
        if error.status().is_none_or(|status| status.code != 409) {
            return Err(error.into());
        }
        // Most often only its status was written meanwhile.
        let now = Found::find(cluster, namespace, name).await?;
        let uid = |found: &Option<Found<K>>| found.as_ref().and_then(|found| found.known.uid());
        let generation = |found: &Option<Found<K>>| found.as_ref().map(Found::generation);
        if (uid(&now), generation(&now)) != (uid(&latest), generation(&latest)) {
            return Err(Problem::new(Code::PreconditionFailed));
        }
        latest = now;
    }
    Err(CallError::TimedOut.into())
}

/// Changes fields of a resource that was read, or makes it where there is none: asks the cluster's rules first, writes a line of the audit
/// log, then does it. A change that then fails gets another line that says so. Not to be given up half-way: run it as a task of its own.
///
/// # Errors
/// 409 where another tool manages any of the fields, 412 where it was changed since it was read, 422 where the cluster does not take
/// them, 503 where it is away.
pub async fn edit<K: Written>(
    state: &State,
    place: Place<'_>,
    found: Option<Found<K>>,
    changes: &Map<String, Value>,
    told: &Told<'_>,
) -> Result<Found<K>, Problem> {
    let cluster = &state.cluster;
    let before = found.as_ref().map(|found| found.whole.data["spec"].clone());
    let wanted = Found::<K>::changed(found.as_ref().map(|found| &found.whole), changes, place.by_entry);
    let meant = meant::<K>(&wanted)?;
    if let Some(found) = found.as_ref().filter(|found| *found.known.spec() == meant && !place.take_over) {
        return Ok(found.clone());
    }
    // The rules of the resource are asked first: what it does not take is no change.
    let would = apply(cluster, place, found.as_ref(), changes, true).await?;
    if *would.known.spec() != meant {
        return Err(Problem::with(Code::ManagedElsewhere, kept_elsewhere(&would.whole, &wanted, changes)));
    }
    let mut after = wanted.clone();
    if place.take_over {
        after["take_over"] = json!(true);
    }
    record(state, told, 0, before.as_ref(), Some(&after)).await?;
    let error = match apply(cluster, place, found.as_ref(), changes, false).await {
        Ok(found) => return Ok(found),
        Err(error) => error,
    };
    // An answer that was lost may have been a yes.
    let version = found.as_ref().map(Found::version);
    let outcome = match Found::<K>::find(cluster, place.namespace, place.name).await {
        Ok(Some(now)) if *now.known.spec() == meant && Some(now.version()) != version => return Ok(now),
        Ok(_) => 1,
        Err(_) => 2,
    };
    record(state, told, outcome, Some(&after), before.as_ref()).await?;
    Err(error)
}

/// A spec as this version knows it. What can't be read is said as the cluster would say it.
fn meant<K: Written>(wanted: &Value) -> Result<K::Spec, Problem> {
    serde_path_to_error::deserialize(wanted).map_err(|error| {
        let (field, message) = (error.path().to_string(), error.inner().to_string());
        Problem::fields(Code::Invalid, vec![FieldError { field, message }])
    })
}

/// What is said where an apply would not lead to what is wanted, though it is refused by nobody: a field that was left out stays, since
/// somebody else applied it, too.
fn kept_elsewhere(would: &DynamicObject, wanted: &Value, changes: &Map<String, Value>) -> String {
    let differs = changes.keys().filter(|field| would.data["spec"][*field] != wanted[*field]);
    let fields: Vec<String> = differs.map(|field| format!(".spec.{field}")).collect();
    format!("{}: another tool has set what is left out here. Take it out there.", fields.join(", "))
}

/// A line of the audit log.
pub(super) async fn record(
    state: &State,
    told: &Told<'_>,
    outcome: usize,
    before: Option<&Value>,
    after: Option<&Value>,
) -> Result<(), Problem> {
    let Told { actor, reason, actions, entity_type, entity_id } = told;
    let entry = Entry {
        action: actions.get(outcome).copied().unwrap_or_default(),
        entity_type,
        entity_id,
        before: before.cloned(),
        after: after.cloned(),
        reason: *reason,
    };
    let mut connection = state.db.acquire().await?;
    Ok(audit::record(&mut connection, actor, entry, state.clock.now()).await?)
}

/// The resource with that spec. Of what is there already it names which it means, and as it was read.
pub(super) fn document<K: Written>(
    name: &str,
    found: Option<&Found<K>>,
    spec: &Map<String, Value>,
) -> Result<DynamicObject, Problem> {
    let metadata = found.map_or_else(
        || json!({"name": name}),
        |found| {
            let known = &found.known;
            let (namespace, version) = (known.namespace(), known.resource_version());
            json!({"name": name, "namespace": namespace, "uid": known.uid(), "resourceVersion": version})
        },
    );
    let (api_version, kind) = (K::api_version(&()), K::kind(&()));
    let object = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec});
    serde_json::from_value(object).map_err(|error| Problem::internal(&error))
}

/// What a manager has applied of a spec, as it is now. An apply removes what it leaves out, and shares what it names: so it must name
/// all of its own, and nothing of others.
fn ours(whole: &DynamicObject, manager: &str) -> Map<String, Value> {
    let of_ours = whole.metadata.managed_fields.iter().flatten().find(|entry| {
        entry.manager.as_deref() == Some(manager) && entry.operation.as_deref() == Some("Apply")
    });
    let fields = of_ours.and_then(|entry| Some(entry.fields_v1.as_ref()?.0.get("f:spec")?.clone()));
    let projected = fields.and_then(|fields| project(&whole.data["spec"], &fields));
    projected.and_then(|spec| spec.as_object().cloned()).unwrap_or_default()
}

/// The part of a value that a set of fields names; what has no fields below is meant as it is.
fn project(value: &Value, fields: &Value) -> Option<Value> {
    let named = fields.as_object()?;
    if named.is_empty() {
        return Some(value.clone());
    }
    match value {
        Value::Object(object) => {
            let below = named.iter().filter_map(|(name, below)| Some((name.strip_prefix("f:")?, below)));
            let parts: Map<String, Value> = below
                .filter_map(|(name, below)| Some((name.to_owned(), project(object.get(name)?, below)?)))
                .collect();
            Some(Value::Object(parts))
        }
        Value::Array(items) => {
            Some(Value::Array(items.iter().filter_map(|item| project_item(item, named)).collect()))
        }
        _ => Some(value.clone()),
    }
}

/// An item of a list, where it is among those that a set names by their keys or values.
fn project_item(item: &Value, named: &Map<String, Value>) -> Option<Value> {
    named.iter().find_map(|(name, below)| {
        let (kind, text) = name.split_once(':')?;
        let key: Value = serde_json::from_str(text).ok()?;
        match kind {
            "v" => (key == *item).then(|| item.clone()),
            "k" => {
                let is_it = key.as_object()?.iter().all(|(field, value)| item[field] == *value);
                is_it.then(|| project(item, below)).flatten()
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::managers::{OWNER, TENANT};

    #[test]
    fn only_what_this_manager_applied_is_applied_again() {
        let whole: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "nakhoda.dev/v1alpha1", "kind": "TenantQuota",
            "metadata": {"name": "u1", "managedFields": [
                {"manager": TENANT, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {
                    "f:owner": {}, "f:limits": {"f:instances": {}},
                    "f:retained": {"f:aaaaaaaaaaaa": {".": {}, "f:keepUntil": {}}}}}},
                {"manager": "gitops", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {
                    "f:retained": {"f:bbbbbbbbbbbb": {"f:purge": {}}}}}},
            ]},
            "spec": {"owner": "1", "limits": {"instances": 3, "cpu": "8"}, "offboard": "DeleteData", "retained": {
                "aaaaaaaaaaaa": {"keepUntil": "2027-01-01T00:00:00Z", "purge": false}, "bbbbbbbbbbbb": {"purge": true}}},
        }))
        .unwrap();
        assert_eq!(
            Value::Object(ours(&whole, TENANT)),
            json!({"owner": "1", "limits": {"instances": 3},
                "retained": {"aaaaaaaaaaaa": {"keepUntil": "2027-01-01T00:00:00Z"}}})
        );
    }

    #[test]
    fn of_a_map_only_the_entries_that_are_named_change_and_what_others_have_stays_theirs() {
        let whole: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServiceInstance",
            "metadata": {"name": "a", "managedFields": [
                {"manager": OWNER, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {
                    "f:displayName": {}, "f:parameters": {"f:title": {}}}}},
                {"manager": "gitops", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {
                    "f:parameters": {"f:colour": {}}}}},
            ]},
            "spec": {"planRef": "p", "displayName": "A", "parameters": {"title": "Old", "colour": "red"}},
        }))
        .unwrap();
        let found = Found::<crds::ServiceInstance>::read(whole).unwrap();
        let by_entry = &["parameters"][..];
        let place = Place { manager: OWNER, namespace: None, name: "a", take_over: false, by_entry };
        let after = |place: &Place<'_>, parameters: Value| {
            let changes = Map::from_iter([("parameters".to_owned(), parameters)]);
            let meant = Found::<crds::ServiceInstance>::changed(Some(&found.whole), &changes, by_entry);
            (said(Some(&found), place, &changes).remove("parameters"), meant["parameters"].clone())
        };
        assert_eq!(
            after(&place, json!({"title": "New"})),
            (Some(json!({"title": "New"})), json!({"title": "New", "colour": "red"}))
        );
        assert_eq!(after(&place, json!({"title": null})), (None, json!({"colour": "red"})));
        let both = json!({"colour": "red", "size": "1"});
        let meant = json!({"title": "Old", "colour": "red", "size": "1"});
        assert_eq!(after(&place, both.clone()), (Some(json!({"title": "Old", "size": "1"})), meant.clone()));
        let taken = Place { take_over: true, ..place };
        assert_eq!(after(&taken, both), (Some(meant.clone()), meant));
    }

    #[test]
    fn of_a_list_only_the_items_of_this_manager_are_applied_again() {
        let value = json!([{"name": "a", "port": 1, "tls": true}, {"name": "b", "port": 2}]);
        let fields = json!({"k:{\"name\":\"a\"}": {".": {}, "f:name": {}, "f:port": {}}});
        assert_eq!(project(&value, &fields), Some(json!([{"name": "a", "port": 1}])));
        assert_eq!(project(&json!(["x", "y"]), &json!({"v:\"y\"": {}})), Some(json!(["y"])));
    }
}
