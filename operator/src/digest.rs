//! Whether an object is as it was desired, told by two hashes and no read.
//!
//! What is applied carries the hash of what was desired. Of a live object the fields that we own (by its
//! `managedFields`) are hashed in the same way; since everything we apply is written in the form that the API server
//! stores, both agree exactly when nobody changed a field of ours.

use crds::{labels, managers};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The hashes of an object: of its pod template, where it has one, and of the rest. Apart, so that the one can be held as it is
/// while the other moves on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Of everything but the pod template.
    pub rest: String,
    /// Of the pod template.
    pub pods: Option<String>,
}

impl Parts {
    /// The hash of the whole.
    pub fn whole(&self) -> String {
        match &self.pods {
            None => self.rest.clone(),
            Some(pods) => hash(&Value::from(vec![self.rest.clone(), pods.clone()])),
        }
    }

    fn of(object: Value) -> Self {
        let mut object = stripped(object);
        let template =
            object.get_mut("spec").and_then(Value::as_object_mut).and_then(|spec| spec.remove("template"));
        Self { rest: hash(&object), pods: template.as_ref().map(hash) }
    }
}

/// The hashes of what is desired: everything but kind, name and the annotations with the hashes themselves.
pub fn desired(object: &Value) -> Parts {
    Parts::of(object.clone())
}

/// The hash of what is desired as a whole.
pub fn desired_hash(object: &Value) -> String {
    desired(object).whole()
}

/// The hashes of those fields of a live object that we own by server-side apply; none where we own nothing.
pub fn owned(object: &Value) -> Option<Parts> {
    Some(Parts::of(project(object, owned_fields(object)?)?))
}

/// The pod template of a live object, as we last applied it.
pub fn owned_pod_template(object: &Value) -> Option<Value> {
    let mut owned = project(object, owned_fields(object)?)?;
    owned.pointer_mut("/spec/template").map(Value::take)
}

/// Whether we own the field at a path of `fieldsV1`, such as `/f:spec/f:replicas`.
pub fn owns(object: &Value, path: &str) -> bool {
    owned_fields(object).is_some_and(|fields| fields.pointer(path).is_some())
}

fn owned_fields(object: &Value) -> Option<&Value> {
    let entries = object.pointer("/metadata/managedFields")?.as_array()?;
    let ours = entries.iter().find(|entry| {
        entry["manager"] == managers::OPERATOR
            && entry["operation"] == "Apply"
            && entry.get("subresource").is_none()
    })?;
    ours.get("fieldsV1")
}

/// Takes out what names the object instead of describing it, and the annotations with hashes.
fn stripped(mut object: Value) -> Value {
    if let Some(top) = object.as_object_mut() {
        top.remove("apiVersion");
        top.remove("kind");
        top.remove("status");
        if let Some(metadata) = top.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|key, _| {
                matches!(key.as_str(), "labels" | "annotations" | "ownerReferences" | "finalizers")
            });
            if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
                annotations.remove(labels::HASH);
                annotations.remove(labels::PODS);
            }
            metadata.retain(|_, value| value.as_object().is_none_or(|map| !map.is_empty()));
        }
    }
    object
}

/// The part of `live` that a `fieldsV1` set names.
fn project(live: &Value, fields: &Value) -> Option<Value> {
    let fields = fields.as_object()?;
    let named = fields.keys().any(|key| key != ".");
    match live {
        _ if !named => Some(live.clone()),
        Value::Object(map) => Some(Value::Object(project_map(map, fields))),
        Value::Array(items) => {
            Some(Value::Array(items.iter().filter_map(|item| project_item(item, fields)).collect()))
        }
        other => Some(other.clone()),
    }
}

fn project_map(map: &Map<String, Value>, fields: &Map<String, Value>) -> Map<String, Value> {
    fields
        .iter()
        .filter_map(|(key, inner)| {
            let name = key.strip_prefix("f:")?;
            Some((name.to_owned(), project(map.get(name)?, inner)?))
        })
        .collect()
}

fn project_item(item: &Value, fields: &Map<String, Value>) -> Option<Value> {
    fields.iter().find_map(|(key, inner)| {
        if let Some(selector) = key.strip_prefix("k:") {
            let selector: Map<String, Value> = serde_json::from_str(selector).ok()?;
            return selector
                .iter()
                .all(|(name, value)| item.get(name) == Some(value))
                .then(|| project(item, inner))?;
        }
        let value: Value = serde_json::from_str(key.strip_prefix("v:")?).ok()?;
        (value == *item).then_some(value)
    })
}

fn hash(value: &Value) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    Sha256::digest(text.as_bytes()).iter().take(16).fold(String::new(), |mut hex, byte| {
        use std::fmt::Write as _;
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// JSON with sorted keys and with lists of objects sorted, since the order of keyed lists is the API server's.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            out.push('{');
            for key in keys {
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                canonical(&map[key], out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            let mut texts: Vec<String> = items
                .iter()
                .map(|item| {
                    let mut text = String::new();
                    canonical(item, &mut text);
                    text
                })
                .collect();
            if items.iter().all(Value::is_object) {
                texts.sort();
            }
            out.push('[');
            for text in texts {
                out.push_str(&text);
                out.push(',');
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn desired() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "a", "labels": {"x": "1"}, "annotations": {"nakhoda.dev/hash": "abc"}},
            "spec": {"ports": [{"port": 5432, "protocol": "TCP", "name": "pg"}], "selector": {"i": "1"}, "clusterIP": "None"},
        })
    }

    fn live() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "a", "uid": "u", "resourceVersion": "7", "labels": {"x": "1", "foreign": "2"},
                "annotations": {"nakhoda.dev/hash": "abc", "other": "y"},
                "managedFields": [
                    {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:metadata": {"f:labels": {"f:foreign": {}}}}},
                    {"manager": "nakhoda-operator", "operation": "Apply", "fieldsV1": {
                        "f:metadata": {"f:labels": {"f:x": {}}, "f:annotations": {"f:nakhoda.dev/hash": {}}},
                        "f:spec": {"f:clusterIP": {}, "f:selector": {"f:i": {}},
                            "f:ports": {"k:{\"port\":5432,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}, "f:protocol": {}, "f:name": {}}}}}},
                ]},
            "spec": {"ports": [{"port": 5432, "protocol": "TCP", "name": "pg", "targetPort": 5432}], "selector": {"i": "1"},
                "clusterIP": "None", "type": "ClusterIP", "sessionAffinity": "None"},
        })
    }

    #[test]
    fn defaults_and_foreign_fields_do_not_count_as_drift() {
        assert_eq!(owned(&live()), Some(super::desired(&desired())));
    }

    #[test]
    fn a_changed_field_of_ours_is_drift() {
        let mut changed = live();
        changed["spec"]["ports"][0]["name"] = json!("other");
        assert_ne!(owned(&changed), Some(super::desired(&desired())));
    }

    #[test]
    fn a_field_that_another_manager_took_over_is_drift() {
        let mut taken = live();
        taken["metadata"]["managedFields"][1]["fieldsV1"]["f:spec"]
            .as_object_mut()
            .unwrap()
            .remove("f:selector");
        assert_ne!(owned(&taken), Some(super::desired(&desired())));
    }

    #[test]
    fn the_order_of_keys_does_not_matter() {
        assert_eq!(
            desired_hash(&json!({"spec": {"a": 1, "b": 2}})),
            desired_hash(&json!({"spec": {"b": 2, "a": 1}}))
        );
    }

    #[test]
    fn a_pod_template_has_a_hash_of_its_own() {
        let workload = |replicas: i64, image: &str| {
            let spec =
                json!({"replicas": replicas, "template": {"spec": {"containers": [{"image": image}]}}});
            super::desired(&json!({"metadata": {"annotations": {"nakhoda.dev/pods": image}}, "spec": spec}))
        };
        let (one, other) = (workload(1, "a"), workload(0, "a"));
        assert!(one.pods == other.pods && one.rest != other.rest && one.whole() != other.whole());
        assert_eq!(Parts { pods: one.pods, ..workload(0, "b") }, other);
    }
}
