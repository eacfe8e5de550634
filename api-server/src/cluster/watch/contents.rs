//! All objects of a kind, as they were at one moment.

use super::Watched;
use kube::{Resource, ResourceExt as _};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Which object of its kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its namespace; none where its kind has none.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl Key {
    /// Of a kind without namespaces.
    pub fn named(name: &str) -> Self {
        Self { namespace: None, name: name.to_owned() }
    }

    /// Of one in a namespace.
    pub fn within(namespace: &str, name: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), name: name.to_owned() }
    }

    /// An object's.
    pub fn of(object: &impl Resource) -> Self {
        Self { namespace: object.meta().namespace.clone(), name: object.name_any() }
    }
}

/// An object came, changed or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub key: Key,
    /// Its uid.
    pub uid: String,
    /// Whether it went.
    pub is_gone: bool,
}

/// All objects of a kind, as they were at one moment.
#[derive(Clone, Debug)]
pub struct Contents<K> {
    by_key: BTreeMap<Key, Arc<K>>,
    by_uid: HashMap<String, Key>,
}

impl<K> Default for Contents<K> {
    fn default() -> Self {
        Self { by_key: BTreeMap::new(), by_uid: HashMap::new() }
    }
}

impl<K: Watched> FromIterator<K> for Contents<K> {
    fn from_iter<I: IntoIterator<Item = K>>(objects: I) -> Self {
        let mut contents = Self::default();
        for object in objects {
            contents.put(object);
        }
        contents
    }
}

impl<K: Watched> Contents<K> {
    /// The object of that key.
    pub fn get(&self, key: &Key) -> Option<&Arc<K>> {
        self.by_key.get(key)
    }

    /// The object of that name, of a kind without namespaces.
    pub fn named(&self, name: &str) -> Option<&Arc<K>> {
        self.get(&Key::named(name))
    }

    /// The object of that uid: one that was made anew under the same name is another.
    pub fn by_uid(&self, uid: &str) -> Option<&Arc<K>> {
        self.get(self.by_uid.get(uid)?)
    }

    /// All of them, by namespace and name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<K>> {
        self.by_key.values()
    }

    /// Those of a namespace, by name.
    pub fn within(&self, namespace: &str) -> impl Iterator<Item = &Arc<K>> {
        let first = Key::within(namespace, "");
        let is_within = move |key: &Key| key.namespace == first.namespace;
        self.by_key
            .range(Key::within(namespace, "")..)
            .take_while(move |(key, _)| is_within(key))
            .map(|(_, object)| object)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    pub(super) fn put(&mut self, object: K) -> Change {
        let key = Key::of(&object);
        self.take(&key);
        let uid = object.uid().unwrap_or_default();
        self.by_uid.insert(uid.clone(), key.clone());
        self.by_key.insert(key.clone(), Arc::new(object));
        Change { key, uid, is_gone: false }
    }

    pub(super) fn take(&mut self, key: &Key) -> Option<Change> {
        let uid = self.by_key.remove(key)?.uid().unwrap_or_default();
        self.by_uid.remove(&uid);
        Some(Change { key: key.clone(), uid, is_gone: true })
    }

    /// What is another in `self` than it was in `before`.
    pub(super) fn since(&self, before: &Self) -> Vec<Change> {
        let version = |object: &Arc<K>| (object.uid(), object.resource_version());
        let gone = before.by_key.iter().filter(|(_, object)| {
            let uid = object.uid().unwrap_or_default();
            !self.by_uid.contains_key(&uid)
        });
        let here = self.by_key.iter().filter(|(key, object)| {
            let was = before.by_key.get(*key);
            was.is_none_or(|was| version(was) != version(object))
        });
        let change = |is_gone: bool| {
            move |(key, object): (&Key, &Arc<K>)| Change {
                key: key.clone(),
                uid: object.uid().unwrap_or_default(),
                is_gone,
            }
        };
        gone.map(change(true)).chain(here.map(change(false))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::ServiceInstance;
    use serde_json::json;

    fn instance(namespace: &str, name: &str, uid: &str, version: &str) -> ServiceInstance {
        serde_json::from_value(json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServiceInstance",
            "metadata": {"namespace": namespace, "name": name, "uid": uid, "resourceVersion": version},
            "spec": {"planRef": "ghost-small"}}))
        .unwrap()
    }

    fn contents(all: &[(&str, &str, &str, &str)]) -> Contents<ServiceInstance> {
        all.iter().map(|(namespace, name, uid, version)| instance(namespace, name, uid, version)).collect()
    }

    #[test]
    fn an_object_is_found_by_name_by_uid_and_by_namespace() {
        let mut all = contents(&[
            ("a", "x", "1", "1"),
            ("b", "x", "2", "1"),
            ("b", "y", "3", "1"),
            ("c", "x", "4", "1"),
        ]);
        let names: Vec<_> = all.within("b").map(|one| one.name_any()).collect();
        assert_eq!(names, ["x", "y"]);
        assert_eq!(all.by_uid("4").unwrap().metadata.namespace.as_deref(), Some("c"));
        assert!(all.get(&Key::within("c", "y")).is_none());
        // Made anew under its name, it is another.
        all.put(instance("c", "x", "5", "2"));
        assert!(all.by_uid("4").is_none() && all.by_uid("5").is_some());
        assert!(all.take(&Key::within("c", "x")).is_some() && all.by_uid("5").is_none());
    }

    #[test]
    fn a_new_list_tells_what_changed_since_the_old_one() {
        let before = contents(&[
            ("a", "same", "1", "1"),
            ("a", "changed", "2", "1"),
            ("a", "gone", "3", "1"),
            ("a", "anew", "4", "1"),
        ]);
        let after = contents(&[
            ("a", "same", "1", "1"),
            ("a", "changed", "2", "9"),
            ("a", "anew", "5", "9"),
            ("a", "new", "6", "9"),
        ]);
        let told: Vec<_> = after.since(&before).into_iter().map(|one| (one.uid, one.is_gone)).collect();
        let told: Vec<_> = told.iter().map(|(uid, is_gone)| (uid.as_str(), *is_gone)).collect();
        assert_eq!(told, [("4", true), ("3", true), ("5", false), ("2", false), ("6", false)]);
    }
}
