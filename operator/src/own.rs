//! What the operator writes to Nakhoda's own four kinds: finalizers and status, each at most once.

use crate::apply::{CallError, Cluster};
use crds::labels;
use kube::{Resource, ResourceExt as _, core::ApiResource};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

/// One of the four kinds.
pub trait Own: Resource<DynamicType = ()> + Clone + DeserializeOwned + Send + Sync + 'static {
    /// Its status.
    type Status: Serialize;

    /// Its status, where it has one.
    fn status(&self) -> Option<&Self::Status>;
}

/// The answers to our own writes, kept until the watch has caught up: a reconcile never works from less than it wrote.
#[derive(Debug)]
pub struct Newest<K> {
    written: Mutex<HashMap<String, Arc<K>>>,
    /// The uids whose end we have written: nothing is left to do for them, whatever the cache still shows.
    finished: Mutex<HashSet<String>>,
}

impl<K> Default for Newest<K> {
    fn default() -> Self {
        Self { written: Mutex::default(), finished: Mutex::default() }
    }
}

fn version<K: Resource>(object: &K) -> u64 {
    object.meta().resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0)
}

impl<K: Own> Newest<K> {
    /// The newer of what the watch says and what we wrote.
    pub fn newest(&self, seen: Arc<K>) -> Arc<K> {
        let uid = seen.uid().unwrap_or_default();
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        match written.get(&uid) {
            Some(ours) if version(&**ours) > version(&*seen) => Arc::clone(ours),
            Some(_) => {
                written.remove(&uid);
                seen
            }
            None => seen,
        }
    }

    /// Keeps an answer.
    fn keep(&self, answer: &Value) -> Option<Arc<K>> {
        let object: Arc<K> = Arc::new(serde_json::from_value(answer.clone()).ok()?);
        let uid = object.uid()?;
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(uid, Arc::clone(&object));
        Some(object)
    }

    /// Whether we have written its end.
    pub fn is_finished(&self, uid: &str) -> bool {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner).contains(uid)
    }

    fn finish(&self, uid: &str) {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner).insert(uid.to_owned());
    }

    /// Forgets everything that is gone.
    pub fn keep_only(&self, alive: impl Fn(&str) -> bool) {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid| alive(uid));
        self.written.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid, _| alive(uid));
    }
}

fn place<K: Own>(object: &K) -> (ApiResource, String, String) {
    (ApiResource::erase::<K>(&()), object.namespace().unwrap_or_default(), object.name_any())
}

/// The object with our finalizer on it.
///
/// # Errors
/// As the call's; 409 where somebody else was faster.
pub async fn ensure_finalizer<K: Own>(
    cluster: &Cluster,
    newest: &Newest<K>,
    object: Arc<K>,
) -> Result<Arc<K>, CallError> {
    if object.finalizers().iter().any(|one| one == labels::FINALIZER) {
        return Ok(object);
    }
    let mut finalizers = object.finalizers().to_vec();
    finalizers.push(labels::FINALIZER.to_owned());
    let answer = write_finalizers(cluster, &*object, &finalizers).await?;
    Ok(newest.keep(&answer).unwrap_or(object))
}

/// Takes our finalizer off: the last write to an object that is being deleted.
///
/// # Errors
/// As the call's, but for 404.
pub async fn remove_finalizer<K: Own>(
    cluster: &Cluster,
    newest: &Newest<K>,
    object: &K,
) -> Result<(), CallError> {
    let finalizers: Vec<String> =
        object.finalizers().iter().filter(|one| *one != labels::FINALIZER).cloned().collect();
    match write_finalizers(cluster, object, &finalizers).await {
        Ok(_) => {
            newest.finish(object.meta().uid.as_deref().unwrap_or_default());
            Ok(())
        }
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

async fn write_finalizers<K: Own>(
    cluster: &Cluster,
    object: &K,
    finalizers: &[String],
) -> Result<Value, CallError> {
    let (resource, namespace, name) = place(object);
    let meta = object.meta();
    let body = json!({"metadata": {"uid": meta.uid, "resourceVersion": meta.resource_version, "finalizers": finalizers}});
    cluster.merge_own(&resource, &namespace, &name, &body).await
}

/// Writes the whole status; with `version`, only onto that very version of the object.
///
/// # Errors
/// As the call's.
pub async fn write_status<K: Own>(
    cluster: &Cluster,
    newest: &Newest<K>,
    object: &K,
    status: &K::Status,
    version: Option<&str>,
) -> Result<Option<Arc<K>>, CallError> {
    let (resource, namespace, name) = place(object);
    let mut metadata = json!({"name": name, "uid": object.meta().uid});
    if let Some(version) = version {
        metadata["resourceVersion"] = json!(version);
    }
    if !namespace.is_empty() {
        metadata["namespace"] = json!(namespace);
    }
    let body = json!({
        "apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "status": status,
    });
    let answer = cluster.apply_status(&resource, &namespace, &name, &body).await?;
    Ok(newest.keep(&answer))
}
