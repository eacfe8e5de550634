//! The watches themselves: events into stores and caches.

use super::Caches;
use crate::{
    cache::ChildCache,
    kinds::Kind,
    metrics::Metrics,
    nodes::{self, Nodes},
    observed::Child,
};
use crds::labels;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::DynamicObject,
    core::ApiResource,
    runtime::{
        WatchStreamExt as _,
        reflector::{ObjectRef, Store, store::Writer},
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;
use std::{
    fmt::Debug,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

/// After how many seconds a watch is renewed, so that one that silently died is noticed.
const WATCH_SECONDS: u32 = 60;

/// Watches one of Nakhoda's own kinds, object by object: one that can't be read is left as it was and logged, and does not keep
/// the others from being seen.
pub(super) fn watch<K>(
    client: Client,
    store: Store<K>,
) -> impl Stream<Item = Result<Event<K>, watcher::Error>>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let api = Api::<DynamicObject>::all_with(client, &ApiResource::erase::<K>(&()));
    watcher::watcher(api, watcher::Config::default().timeout(WATCH_SECONDS)).default_backoff().try_filter_map(
        move |event| {
            let read = |object: DynamicObject| read::<K>(object, &store);
            let event = match event {
                Event::Apply(object) => read(object).map(Event::Apply),
                Event::Delete(object) => read(object).map(Event::Delete),
                Event::InitApply(object) => read(object).map(Event::InitApply),
                Event::Init => Some(Event::Init),
                Event::InitDone => Some(Event::InitDone),
            };
            futures::future::ready(Ok(event))
        },
    )
}

fn read<K>(mut object: DynamicObject, store: &Store<K>) -> Option<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned,
{
    object.metadata.managed_fields = None;
    let (name, namespace) = (object.name_any(), object.namespace());
    match object.try_parse::<K>() {
        Ok(parsed) => Some(parsed),
        Err(error) => {
            tracing::error!(kind = %K::kind(&()), object.name = name, object.namespace = namespace, %error,
                "an object can't be read and is left as it was; an administrator must correct it");
            let reference = ObjectRef::<K>::new(&name);
            let reference =
                namespace.iter().fold(reference, |reference, namespace| reference.within(namespace));
            store.get(&reference).map(|old| (*old).clone())
        }
    }
}

/// Keeps a store, and calls `changed` with what was and what is.
pub(super) async fn follow<K>(
    events: impl Stream<Item = Result<Event<K>, watcher::Error>>,
    mut writer: Writer<K>,
    caches: Arc<Caches>,
    metrics: Arc<Metrics>,
    number: usize,
    changed: fn(&Caches, Option<&K>, Option<&K>),
) where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    let store = writer.as_reader();
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                metrics.watch_failed(&K::kind(&()));
                tracing::warn!(kind = %K::kind(&()), %error, "a watch failed and is renewed");
                continue;
            }
        };
        match &event {
            Event::Apply(new) => {
                let old = store.get(&ObjectRef::from_obj(new));
                writer.apply_watcher_event(&event);
                changed(&caches, old.as_deref(), Some(new));
            }
            Event::Delete(gone) => {
                writer.apply_watcher_event(&event);
                changed(&caches, Some(gone), None);
            }
            Event::Init | Event::InitApply(_) => writer.apply_watcher_event(&event),
            Event::InitDone => {
                metrics.listed(&K::kind(&()));
                let before = store.state();
                writer.apply_watcher_event(&event);
                caches.synced[number].store(true, Ordering::Release);
                for old in before {
                    let new = store.get(&ObjectRef::from_obj(&*old));
                    changed(&caches, Some(&old), new.as_deref());
                }
                store.state().iter().for_each(|object| {
                    changed(&caches, None, Some(object));
                });
            }
        }
    }
}

/// Keeps the children of a kind.
pub(super) async fn follow_children(
    api: Api<DynamicObject>,
    kind: Kind,
    caches: Arc<Caches>,
    children: Arc<ChildCache>,
    (nodes, metrics): (Arc<Nodes>, Arc<Metrics>),
) {
    let selector = match kind {
        Kind::Pod => labels::INSTANCE.to_owned(),
        _ => format!("{}={}", labels::MANAGED_BY, labels::MANAGER),
    };
    let config = watcher::Config::default().timeout(WATCH_SECONDS).labels(&selector);
    let events = watcher::watcher(api, config).default_backoff().map_ok(|event| {
        if kind == Kind::Pod {
            nodes::follow::take_pod(&nodes, &event);
        }
        reduce(kind, event)
    });
    let mut events = std::pin::pin!(events);
    let mut listing = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Reduced::Init) => listing.clear(),
            Ok(Reduced::Listed(child)) => listing.extend(child.map(|child| *child)),
            Ok(Reduced::Done) => {
                metrics.listed(kind.name());
                let owners = children.listed(kind, std::mem::take(&mut listing), Instant::now());
                for owner in &owners {
                    caches.wake_owner(owner);
                }
            }
            Ok(Reduced::Changed(child)) => {
                for owner in child.into_iter().flat_map(|child| children.seen(*child)) {
                    caches.wake_owner(&owner);
                }
            }
            Ok(Reduced::Gone(child)) => {
                if let Some(owner) = child.and_then(|child| children.gone(&child)) {
                    caches.wake_owner(&owner);
                }
            }
            Err(error) => {
                metrics.watch_failed(kind.name());
                tracing::warn!(kind = kind.name(), %error, "a watch failed and is renewed");
            }
        }
    }
}

/// A watch event, reduced on arrival.
enum Reduced {
    Init,
    Listed(Option<Box<Child>>),
    Done,
    Changed(Option<Box<Child>>),
    Gone(Option<Box<Child>>),
}

fn reduce(kind: Kind, event: Event<DynamicObject>) -> Reduced {
    let child = |object: DynamicObject| {
        let value = serde_json::to_value(object).ok()?;
        Child::reduce(kind, &value).map(Box::new)
    };
    match event {
        Event::Apply(object) => Reduced::Changed(child(object)),
        Event::Delete(object) => Reduced::Gone(child(object)),
        Event::Init => Reduced::Init,
        Event::InitApply(object) => Reduced::Listed(child(object)),
        Event::InitDone => Reduced::Done,
    }
}
