//! A cluster in memory: as much of the API server and its controllers as an instance's plan meets.

use crate::{
    apply,
    instance::{
        fetch::{self, Fetched, Secrets},
        fixtures,
        plan::Operation,
    },
    kinds::Kind,
    observed::{Child, Key, Owner},
};
use base64::Engine as _;
use crds::{labels, managers, names, template::SecretType};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// The cluster; `told` is what the instance's status says of its credentials.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub objects: BTreeMap<Key, Value>,
    pub told: Option<String>,
    version: u64,
}

impl Model {
    /// Does one operation as the API server would, and checks what must hold at every moment.
    pub fn execute(&mut self, operation: &Operation) {
        match operation {
            Operation::Generate(secret) => {
                let values = secret.secrets.iter().map(|one| {
                    let value = if one.type_ == SecretType::Bcrypt { "hash" } else { "text" };
                    (one.name.clone(), json!(format!("{value} made at {}", self.version)))
                });
                let mut object = secret.object.clone();
                object["stringData"] = Value::Object(values.collect::<Map<String, Value>>());
                self.create(&secret.key, object);
            }
            Operation::Create(object) => self.create(&object.key, object.object.clone()),
            Operation::Apply { object, seen } => {
                let live = self.objects.get(&object.key).map(|live| &live["metadata"]);
                let seen = seen.as_ref().map(|seen| (json!(seen.uid), json!(seen.version.to_string())));
                let live = live.map(|live| (live["uid"].clone(), live["resourceVersion"].clone()));
                assert!(seen.is_none() || seen == live, "a conflict about {:?}", object.key);
                self.check_order(&object.key, &object.object);
                let mut whole = object.object.clone();
                if object.held {
                    whole["spec"]["template"] = self.objects[&object.key]["spec"]["template"].clone();
                }
                self.put(&object.key, whole);
            }
            Operation::Note { key, patch } => {
                let live = self.objects.get_mut(key).expect("what is noted on is there");
                let wanted = patch["metadata"].get("resourceVersion");
                assert!(
                    wanted.is_none_or(|version| *version == live["metadata"]["resourceVersion"]),
                    "another version"
                );
                assert_eq!(patch["metadata"]["uid"], live["metadata"]["uid"]);
                merge(live, patch);
                self.touch(key);
            }
            Operation::Delete { key, uid } => {
                let live = self.objects.remove(key).expect("what is deleted is there");
                assert_eq!(live["metadata"]["uid"], json!(uid));
                assert!(live["metadata"]["labels"].get(labels::DATA).is_none(), "data was deleted: {key:?}");
            }
        }
    }

    /// There already is fine, and nothing of it changes.
    fn create(&mut self, key: &Key, mut object: Value) {
        if self.objects.contains_key(key) {
            return;
        }
        let engine = base64::engine::general_purpose::STANDARD;
        if let Some(Value::Object(text)) = object.as_object_mut().and_then(|map| map.remove("stringData")) {
            let encoded =
                text.into_iter().map(|(name, value)| (name, json!(engine.encode(value.as_str().unwrap()))));
            object["data"] = Value::Object(encoded.collect());
        }
        self.put(key, object);
    }

    /// What it depends on is up before it starts, and is not taken away while it runs.
    fn check_order(&self, key: &Key, wanted: &Value) {
        let replicas = wanted.pointer("/spec/replicas").and_then(Value::as_i64);
        match (key.kind, replicas) {
            (Kind::Deployment, Some(1)) if !self.has_pod("app") => {
                assert!(self.has_pod("db"), "the app before its database");
            }
            (Kind::StatefulSet, Some(0)) => assert!(!self.has_pod("app"), "the database before its app"),
            _ => {}
        }
    }

    fn has_pod(&self, component: &str) -> bool {
        let is_of = |object: &Value| object["metadata"]["labels"][labels::COMPONENT] == component;
        self.objects.iter().any(|(key, object)| key.kind == Kind::Pod && is_of(object))
    }

    /// Stores an object, as all ours.
    pub fn put(&mut self, key: &Key, mut object: Value) {
        let before = self.objects.get(key);
        let generation = before.map_or(0, |old| old["metadata"]["generation"].as_i64().unwrap_or(0)) + 1;
        let uid = before.map_or_else(
            || json!(format!("uid-of-{}-{}", key.name, self.version)),
            |old| old["metadata"]["uid"].clone(),
        );
        let status = before.map(|old| old["status"].clone());
        object["metadata"]["name"] = json!(key.name);
        object["metadata"]["namespace"] = json!(key.namespace);
        object["metadata"]["uid"] = uid;
        object["metadata"]["generation"] = json!(generation);
        object["metadata"]["managedFields"] =
            json!([{"manager": managers::OPERATOR, "operation": "Apply", "fieldsV1": {}}]);
        if let Some(status) = status {
            object["status"] = status;
        }
        self.objects.insert(key.clone(), object);
        self.touch(key);
    }

    fn touch(&mut self, key: &Key) {
        self.version += 1;
        self.objects.get_mut(key).unwrap()["metadata"]["resourceVersion"] = json!(self.version.to_string());
    }

    /// Lets the other controllers do their part; whether there was anything.
    pub fn settle(&mut self) -> bool {
        let keys: Vec<Key> = self.objects.keys().cloned().collect();
        // Every one of them, whatever the others say.
        keys.into_iter().filter(|key| self.settle_one(key)).count() > 0
    }

    fn settle_one(&mut self, key: &Key) -> bool {
        let Some(live) = self.objects.get(key).cloned() else { return false };
        let status = match key.kind {
            Kind::PersistentVolumeClaim => {
                json!({"phase": "Bound", "capacity": live["spec"]["resources"]["requests"]})
            }
            Kind::StatefulSet | Kind::Deployment => {
                let replicas = live["spec"]["replicas"].as_i64().unwrap_or(0);
                let pod = apply::key(Kind::Pod, &key.namespace, &format!("{}-0", key.name));
                if replicas == 0 {
                    self.objects.remove(&pod);
                } else if !self.objects.contains_key(&pod) {
                    self.put(&pod, json!({"metadata": {"labels": live["metadata"]["labels"]}}));
                }
                json!({
                    "observedGeneration": live["metadata"]["generation"], "replicas": replicas,
                    "readyReplicas": replicas, "updatedReplicas": replicas,
                })
            }
            Kind::Job => json!({"conditions": [{"type": "Complete", "status": "True"}]}),
            _ => return false,
        };
        let moved = live["status"] != status;
        self.objects.get_mut(key).unwrap()["status"] = status;
        self.touch(key);
        moved
    }

    /// What `fetch` would gather.
    pub fn fetch(&self, base: &Fetched) -> Fetched {
        let mut fetched = base.clone();
        let reduced = || {
            self.objects.iter().filter_map(|(key, object)| Some(Arc::new(Child::reduce(key.kind, object)?)))
        };
        let secret = self.objects.get(&Self::data_secret(base));
        let owner = Some(Owner::Instance(fixtures::UID.to_owned()));
        fetched.children =
            reduced().filter(|child| child.key.kind != Kind::Secret && child.owner == owner).collect();
        let of_data = |child: &Arc<Child>| {
            child.key.kind == Kind::PersistentVolumeClaim && child.data.as_ref() == Some(&base.data_id)
        };
        fetched.volumes = reduced().filter(of_data).map(|child| (child.key.name.clone(), child)).collect();
        fetched.secrets = match secret {
            Some(secret) => Secrets::There(fetch::decode(secret)),
            None if fetched.volumes.is_empty() => Secrets::NotYet,
            None => Secrets::Lost,
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        fetched.secret_version = secret.map(|secret| text(&secret["metadata"]["resourceVersion"]));
        fetched.secret_uid = secret.map(|secret| text(&secret["metadata"]["uid"]));
        let notes = secret.map(|secret| secret["metadata"]["annotations"].clone()).unwrap_or_default();
        fetched.secret_notes = serde_json::from_value(notes).unwrap_or_default();
        let fixed = fetched.secret_notes.get(labels::FIXED);
        fetched.fixed = fixed.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let credentials = self.told.as_ref().map(|name| apply::key(Kind::Secret, &namespace(base), name));
        let live = credentials
            .and_then(|key| Some((key.name.clone(), text(&self.objects.get(&key)?["metadata"]["uid"]))));
        fetched.credentials_there = live;
        fetched
    }

    /// Where the generated secrets are.
    pub fn data_secret(base: &Fetched) -> Key {
        apply::key(Kind::Secret, &namespace(base), &names::data_secret(&base.data_id))
    }

    /// Everything but what differs from run to run without meaning anything.
    pub fn masked(&self) -> BTreeMap<Key, Value> {
        let mut all = self.objects.clone();
        for object in all.values_mut() {
            let metadata = object["metadata"].as_object_mut().unwrap();
            metadata.retain(|key, _| !matches!(key.as_str(), "uid" | "resourceVersion" | "generation"));
            if let Some(status) = object["status"].as_object_mut() {
                status.remove("observedGeneration");
            }
        }
        all
    }
}

fn namespace(base: &Fetched) -> String {
    base.instance.metadata.namespace.clone().unwrap_or_default()
}

/// A JSON merge patch, but for what names the object.
fn merge(live: &mut Value, patch: &Value) {
    match (live, patch) {
        (Value::Object(live), Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    live.remove(key);
                } else if !matches!(key.as_str(), "uid" | "resourceVersion") {
                    merge(live.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (live, patch) => *live = patch.clone(),
    }
}
