//! Events: what people read at the end of `kubectl describe`.

use crds::{ServiceInstance, ServiceInstanceStatus, instance::Phase, managers};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The longest that recording an event may take: an event is never worth waiting for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Records events.
pub struct Report {
    recorder: Recorder,
    /// What people were told of already, by uid and generation.
    told: Mutex<HashMap<String, Option<i64>>>,
}

impl Report {
    /// Records through `client` in the name of `identity`.
    pub fn new(client: Client, identity: &str) -> Self {
        let reporter =
            Reporter { controller: managers::OPERATOR.to_owned(), instance: Some(identity.to_owned()) };
        Self { recorder: Recorder::new(client, reporter), told: Mutex::default() }
    }

    /// Forgets everything that is gone.
    pub fn keep_only(&self, alive: impl Fn(&str) -> bool) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid, _| alive(uid));
    }

    /// The phase of an instance changed.
    pub async fn phase_changed(&self, before: &ServiceInstance, now: &ServiceInstanceStatus) {
        let (Some(phase), old) = (now.phase, before.status.as_ref()) else { return };
        let old_reason = old.and_then(|old| old.reason.clone());
        if old.and_then(|old| old.phase) == Some(phase) && old_reason == now.reason {
            return;
        }
        let ready = crds::conditions::find(&now.conditions, crds::conditions::READY);
        let note = ready.map(|condition| condition.message.clone()).unwrap_or_default();
        let type_ = match phase {
            Phase::Failed | Phase::Degraded | Phase::Suspended => EventType::Warning,
            _ => EventType::Normal,
        };
        let reason = now.reason.clone().unwrap_or_else(|| format!("{phase:?}"));
        self.publish(before, type_, &reason, &note).await;
    }

    /// Somebody asked us to keep our hands off.
    ///
    /// Told once per generation.
    pub async fn hands_off<K: Resource<DynamicType = ()>>(&self, object: &K) {
        let (uid, generation) = (object.meta().uid.clone().unwrap_or_default(), object.meta().generation);
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(uid, generation);
        if told == Some(generation) {
            return;
        }
        let note = "The annotation nakhoda.dev/reconcile is disabled: nothing is done until it is removed.";
        self.publish(object, EventType::Warning, "ReconcileDisabled", note).await;
    }

    /// It does not get on.
    pub async fn failed<K: Resource<DynamicType = ()>>(&self, object: &K, error: &str) {
        let note: String = format!("The API server refuses or does not answer; it is tried again: {error}")
            .chars()
            .take(900)
            .collect();
        self.publish(object, EventType::Warning, "Retrying", &note).await;
    }

    /// Something of note happened.
    pub async fn publish<K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        type_: EventType,
        reason: &str,
        note: &str,
    ) {
        self.publish_about(object, type_, reason, note, None).await;
    }

    /// Something of note happened, to do with another object.
    pub async fn publish_about<K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        type_: EventType,
        reason: &str,
        note: &str,
        secondary: Option<ObjectReference>,
    ) {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(note.to_owned()),
            action: "Reconcile".to_owned(),
            secondary,
        };
        let reference = object.object_ref(&());
        match tokio::time::timeout(PATIENCE, self.recorder.publish(&event, &reference)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "an event could not be recorded"),
            Err(_) => tracing::debug!("no answer about an event"),
        }
    }
}
