//! Every call that the operator makes for its own purposes goes through here: with a time-out, one field manager, and
//! preconditions, so that nothing deleted is resurrected and nothing foreign is touched.

use crate::{kinds::Kind, leader::Lease, observed::Key};
use crds::managers;
use jiff::Timestamp;
use kube::{
    Api, Client,
    api::{
        DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions,
        PropagationPolicy,
    },
    core::{ApiResource, GroupVersionKind, Status},
};
use serde_json::{Value, json};
use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

/// The longest that one call may take.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How many events about one object are read: they are for a person, and repeats are counted within one.
const MOST_EVENTS: u32 = 50;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No answer in time. It may have been done all the same.
    #[error("no answer from the API server within {CALL_TIMEOUT:?}")]
    TimedOut,
    /// The API server said no.
    #[error("{}", .0.message)]
    Refused(Box<Status>),
    /// The call did not get through, or its answer did not.
    #[error("the API server can't be reached: {0}")]
    Transport(#[source] kube::Error),
    /// There is an object of that name which is somebody else's.
    #[error("there is a {kind} {name} that is somebody else's")]
    Taken {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// This replica no longer leads: it may not write.
    #[error("this replica no longer leads, so it writes nothing")]
    NotLeading,
    /// An answer that makes no sense.
    #[error("an answer of the API server can't be understood: {0}")]
    Answer(&'static str),
}

impl CallError {
    /// The HTTP status, where the API server answered.
    pub fn code(&self) -> Option<u16> {
        if let Self::Refused(status) = self { Some(status.code) } else { None }
    }

    /// Why, as one of few words: a metric's label.
    pub fn label(&self) -> &'static str {
        match self {
            Self::TimedOut => "timed_out",
            Self::Refused(status) => match status.code {
                403 => "forbidden",
                404 => "not_found",
                409 => "conflict",
                422 => "invalid",
                429 => "too_many_requests",
                500.. => "server_error",
                _ => "refused",
            },
            Self::Transport(_) => "unreachable",
            Self::Taken { .. } => "taken",
            Self::NotLeading => "not_leading",
            Self::Answer(_) => "bad_answer",
        }
    }

    /// Nothing of that name.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// There is one already.
    pub fn is_already_there(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code == 409 && status.reason == "AlreadyExists")
    }

    /// Refused by a ResourceQuota for want of room (and not because it has not been counted yet).
    pub fn is_quota_exceeded(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code == 403 && status.message.contains("exceeded quota"))
    }

    /// Refused by a policy or webhook of the cluster, and not for want of a right.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code >= 400 && status.code < 500
            && (status.message.contains("denied the request") || status.message.contains("denied request")))
    }

    /// Refused for what the object is: trying the same again will not help.
    pub fn is_invalid(&self) -> bool {
        self.code() == Some(422)
    }
}

impl From<kube::Error> for CallError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Refused(status),
            other => Self::Transport(other),
        }
    }
}

/// The version of an object that a write is meant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion.
    pub version: u64,
}

/// The API server, for child objects and for status.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    lease: Arc<Lease>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cluster")
    }
}

async fn bounded<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, CallError> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(CallError::TimedOut),
    }
}

fn to_json(object: DynamicObject) -> Result<Value, CallError> {
    serde_json::to_value(object).map_err(|_| CallError::Answer("not JSON"))
}

impl Cluster {
    /// Speaks through `client`, and writes as long as `lease` holds.
    pub fn new(client: Client, lease: Arc<Lease>) -> Self {
        Self { client, lease }
    }

    /// A write: refused once the lease has run out, so that a leader that was stopped and woke up again finishes at most
    /// the call that was under way.
    async fn write<T>(&self, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, CallError> {
        if !self.lease.holds(Instant::now()) {
            return Err(CallError::NotLeading);
        }
        bounded(call).await
    }

    fn api(&self, resource: &ApiResource, namespace: &str) -> Api<DynamicObject> {
        if namespace.is_empty() {
            Api::all_with(self.client.clone(), resource)
        } else {
            Api::namespaced_with(self.client.clone(), namespace, resource)
        }
    }

    /// The one server-side apply of child objects. With what was seen it changes that very version of that very object or
    /// fails; without, it creates what is not there.
    ///
    /// # Errors
    /// As [`CallError`]; 409 when the object of that uid, or that version of it, is gone.
    pub async fn apply(&self, key: &Key, object: &Value, seen: Option<&Seen>) -> Result<Value, CallError> {
        let mut object = object.clone();
        if let (Some(seen), Some(metadata)) = (seen, object["metadata"].as_object_mut()) {
            metadata.insert("uid".into(), json!(seen.uid));
            metadata.insert("resourceVersion".into(), json!(seen.version.to_string()));
        }
        let params = PatchParams::apply(managers::OPERATOR).force();
        let api = self.api(&key.kind.resource(), &key.namespace);
        to_json(self.write(api.patch(&key.name, &params, &Patch::Apply(&object))).await?)
    }

    /// Creates an object that must not be there yet.
    ///
    /// # Errors
    /// As [`CallError`]; [`CallError::is_already_there`] when it is.
    pub async fn create(&self, key: &Key, object: &Value) -> Result<Value, CallError> {
        let object: DynamicObject = serde_json::from_value(object.clone())
            .map_err(|_| CallError::Answer("the object to create is none"))?;
        let params =
            PostParams { field_manager: Some(managers::OPERATOR.to_owned()), ..PostParams::default() };
        let api = self.api(&key.kind.resource(), &key.namespace);
        to_json(self.write(api.create(&params, &object)).await?)
    }

    /// Reads an object; none where there is none.
    ///
    /// # Errors
    /// As [`CallError`], but for 404.
    pub async fn get(&self, key: &Key) -> Result<Option<Value>, CallError> {
        let api = self.api(&key.kind.resource(), &key.namespace);
        match bounded(api.get_opt(&key.name)).await? {
            Some(object) => Ok(Some(to_json(object)?)),
            None => Ok(None),
        }
    }

    /// Reads an object live by listing its name, where we may list a kind but need no right to get it.
    ///
    /// # Errors
    /// As [`CallError`].
    pub async fn look(
        &self,
        resource: &ApiResource,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Value>, CallError> {
        let params = ListParams::default().fields(&format!("metadata.name={name}"));
        let list = bounded(self.api(resource, namespace).list(&params)).await?;
        list.items.into_iter().next().map(to_json).transpose()
    }

    /// The time by the API server's own clock: the creation time of an object that is only tried.
    ///
    /// # Errors
    /// As [`CallError`].
    pub async fn server_time(&self, namespace: &str) -> Result<Timestamp, CallError> {
        let key = key(Kind::ConfigMap, namespace, "");
        // A name that the API server makes up: one that somebody else took would stop the clock.
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"generateName": "nakhoda-clock-", "namespace": namespace},
        }))
        .map_err(|_| CallError::Answer("the object to try is none"))?;
        let params = PostParams { dry_run: true, field_manager: Some(managers::OPERATOR.to_owned()) };
        let answer = bounded(self.api(&key.kind.resource(), namespace).create(&params, &object)).await?;
        answer.metadata.creation_timestamp.map(|time| time.0).ok_or(CallError::Answer("no creation time"))
    }

    /// Reads a list live, past every cache.
    ///
    /// # Errors
    /// As [`CallError`].
    pub async fn list(
        &self,
        resource: &ApiResource,
        namespace: &str,
        selector: &str,
    ) -> Result<Vec<Value>, CallError> {
        let api = self.api(resource, namespace);
        let list = bounded(api.list(&ListParams::default().labels(selector))).await?;
        list.items.into_iter().map(to_json).collect()
    }

    /// Reads a page of a list over all namespaces, in a time of its own; also the token of the next page.
    ///
    /// # Errors
    /// As [`CallError`].
    pub async fn page(
        &self,
        resource: &ApiResource,
        params: &ListParams,
        patience: Duration,
    ) -> Result<(Vec<Value>, Option<String>), CallError> {
        let api = self.api(resource, "");
        let list =
            tokio::time::timeout(patience, api.list(params)).await.map_err(|_| CallError::TimedOut)??;
        let next = list.metadata.continue_.filter(|token| !token.is_empty());
        let page: Result<Vec<Value>, CallError> = list.items.into_iter().map(to_json).collect();
        Ok((page?, next))
    }

    /// The newest events about an object, by its uid.
    ///
    /// # Errors
    /// As [`CallError`].
    pub async fn events(&self, namespace: &str, uid: &str) -> Result<Vec<Value>, CallError> {
        let resource = ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk("events.k8s.io", "v1", "Event"),
            "events",
        );
        let params = ListParams::default().fields(&format!("regarding.uid={uid}")).limit(MOST_EVENTS);
        let list = bounded(self.api(&resource, namespace).list(&params)).await?;
        list.items.into_iter().map(to_json).collect()
    }

    /// Changes an object by a JSON merge patch that names its uid; fails where that very object is gone.
    ///
    /// # Errors
    /// As [`CallError`].
    pub async fn merge(&self, key: &Key, patch: &Value) -> Result<Value, CallError> {
        let params =
            PatchParams { field_manager: Some(managers::OPERATOR.to_owned()), ..PatchParams::default() };
        let api = self.api(&key.kind.resource(), &key.namespace);
        to_json(self.write(api.patch(&key.name, &params, &Patch::Merge(patch))).await?)
    }

    /// Asks for the deletion of the very object of that uid. Gone already, or another by now, is fine.
    ///
    /// # Errors
    /// As [`CallError`], but for 404 and a conflict about the uid.
    pub async fn delete(&self, key: &Key, uid: &str) -> Result<(), CallError> {
        self.delete_in(&key.kind.resource(), &key.namespace, &key.name, uid).await
    }

    /// Asks for the deletion of that very version of that very object, as it was seen: data that somebody has taken up since is
    /// another version. Gone already is fine.
    ///
    /// # Errors
    /// As [`CallError`], but for 404; 409 where it has changed, or another has its name.
    pub async fn delete_version(&self, key: &Key, seen: &Seen) -> Result<(), CallError> {
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions {
                uid: Some(seen.uid.clone()),
                resource_version: Some(seen.version.to_string()),
            }),
            ..DeleteParams::default()
        };
        let api = self.api(&key.kind.resource(), &key.namespace);
        match self.write(api.delete(&key.name, &params)).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn delete_in(
        &self,
        resource: &ApiResource,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> Result<(), CallError> {
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            ..DeleteParams::default()
        };
        match self.write(self.api(resource, namespace).delete(name, &params)).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            // A conflict about the uid is fine, any other is not; only a look tells them apart. Secrets can't be listed.
            Err(error) if error.code() == Some(409) => {
                let live = if resource.kind == Kind::Secret.name() {
                    self.get(&key(Kind::Secret, namespace, name)).await?
                } else {
                    self.look(resource, namespace, name).await?
                };
                let same = live.is_some_and(|live| live.pointer("/metadata/uid") == Some(&json!(uid)));
                if same { Err(error) } else { Ok(()) }
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the whole status of one of our own resources; `body` names the uid, and where it also names a
    /// resourceVersion, only that very version is changed.
    ///
    /// # Errors
    /// As [`CallError`]; 409 where the object or that version of it is gone.
    pub async fn apply_status(
        &self,
        resource: &ApiResource,
        namespace: &str,
        name: &str,
        body: &Value,
    ) -> Result<Value, CallError> {
        let params = PatchParams::apply(managers::OPERATOR).force();
        to_json(
            self.write(self.api(resource, namespace).patch_status(name, &params, &Patch::Apply(body)))
                .await?,
        )
    }

    /// Changes the metadata of one of our own resources by merge; `body` names the uid and the resourceVersion.
    ///
    /// # Errors
    /// As [`CallError`]; 409 where that version is no longer the newest.
    pub async fn merge_own(
        &self,
        resource: &ApiResource,
        namespace: &str,
        name: &str,
        body: &Value,
    ) -> Result<Value, CallError> {
        let params =
            PatchParams { field_manager: Some(managers::OPERATOR.to_owned()), ..PatchParams::default() };
        to_json(self.write(self.api(resource, namespace).patch(name, &params, &Patch::Merge(body))).await?)
    }

    /// Deletes one of our own resources by uid, as offboarding does. Gone already is fine.
    ///
    /// # Errors
    /// As [`CallError`].
    pub async fn delete_own(
        &self,
        resource: &ApiResource,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> Result<(), CallError> {
        self.delete_in(resource, namespace, name, uid).await
    }
}

/// The key of an object in a namespace.
pub fn key(kind: Kind, namespace: &str, name: &str) -> Key {
    let namespace = if kind.is_cluster_scoped() { "" } else { namespace };
    Key { kind, namespace: namespace.to_owned(), name: name.to_owned() }
}
