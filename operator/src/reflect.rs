//! The watches: Nakhoda's own kinds into stores, child objects into the reduced cache, and for every change that
//! matters a trigger to whoever must look. They run on every replica, so that a new leader starts with warm caches.

use crate::{
    cache::ChildCache,
    kinds::Kind,
    observed::{Child, Owner},
};
use crds::{ServiceInstance, ServicePlan, ServiceTemplate, TenantQuota, labels, names};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::DynamicObject,
    runtime::{
        WatchStreamExt as _,
        reflector::{ObjectRef, Store, store::Writer},
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;
use std::{
    collections::{BTreeSet, HashMap},
    fmt::Debug,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};
use tokio::sync::mpsc;

/// After how many seconds a watch is renewed, so that one that silently died is noticed.
const WATCH_SECONDS: u32 = 60;

/// Where triggers go: nowhere until this replica leads.
#[derive(Debug)]
pub struct Slot<K: Resource<DynamicType = ()>> {
    sender: Mutex<Option<mpsc::UnboundedSender<ObjectRef<K>>>>,
}

impl<K: Resource<DynamicType = ()>> Default for Slot<K> {
    fn default() -> Self {
        Self { sender: Mutex::new(None) }
    }
}

impl<K: Resource<DynamicType = ()>> Slot<K> {
    /// From now on triggers are delivered to the returned end.
    pub fn open(&self) -> mpsc::UnboundedReceiver<ObjectRef<K>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        *self.sender.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        receiver
    }

    /// Triggers a reconcile.
    pub fn send(&self, object: ObjectRef<K>) {
        if let Some(sender) = self.sender.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            let _ = sender.send(object);
        }
    }
}

/// Nakhoda's own four kinds, who belongs to whom, and where triggers go.
#[derive(Debug)]
pub struct Caches {
    /// Instances.
    pub instances: Store<ServiceInstance>,
    /// Tenants.
    pub tenants: Store<TenantQuota>,
    /// Templates.
    pub templates: Store<ServiceTemplate>,
    /// Plans.
    pub plans: Store<ServicePlan>,
    /// Triggers to the instance controller.
    pub wake_instances: Slot<ServiceInstance>,
    /// Triggers to the tenant controller.
    pub wake_tenants: Slot<TenantQuota>,
    /// Triggers to the template controller.
    pub wake_templates: Slot<ServiceTemplate>,
    /// Triggers to the plan controller.
    pub wake_plans: Slot<ServicePlan>,
    index: Mutex<Index>,
    synced: [AtomicBool; 4],
}

/// Instances by uid and by namespace.
#[derive(Debug, Default)]
struct Index {
    by_uid: HashMap<String, ObjectRef<ServiceInstance>>,
    by_namespace: HashMap<String, BTreeSet<String>>,
}

/// The writing ends of the stores.
pub struct Writers {
    instances: Writer<ServiceInstance>,
    tenants: Writer<TenantQuota>,
    templates: Writer<ServiceTemplate>,
    plans: Writer<ServicePlan>,
}

impl Caches {
    /// Empty caches, and the ends to fill them by.
    pub fn new() -> (Self, Writers) {
        let writers = Writers {
            instances: Writer::default(),
            tenants: Writer::default(),
            templates: Writer::default(),
            plans: Writer::default(),
        };
        let caches = Self {
            instances: writers.instances.as_reader(),
            tenants: writers.tenants.as_reader(),
            templates: writers.templates.as_reader(),
            plans: writers.plans.as_reader(),
            wake_instances: Slot::default(),
            wake_tenants: Slot::default(),
            wake_templates: Slot::default(),
            wake_plans: Slot::default(),
            index: Mutex::default(),
            synced: Default::default(),
        };
        (caches, writers)
    }

    /// The tenant of that name.
    pub fn tenant(&self, name: &str) -> Option<Arc<TenantQuota>> {
        self.tenants.get(&ObjectRef::new(name))
    }

    /// The plan of that name.
    pub fn plan(&self, name: &str) -> Option<Arc<ServicePlan>> {
        self.plans.get(&ObjectRef::new(name))
    }

    /// The template of that name.
    pub fn template(&self, name: &str) -> Option<Arc<ServiceTemplate>> {
        self.templates.get(&ObjectRef::new(name))
    }

    /// The instances in a namespace, by name.
    pub fn instances_in(&self, namespace: &str) -> Vec<Arc<ServiceInstance>> {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let names = index.by_namespace.get(namespace);
        names
            .into_iter()
            .flatten()
            .filter_map(|name| self.instances.get(&ObjectRef::new(name).within(namespace)))
            .collect()
    }

    /// The kinds that were not listed yet.
    pub fn unsynced(&self) -> Vec<&'static str> {
        let kinds = ["ServiceInstance", "TenantQuota", "ServiceTemplate", "ServicePlan"];
        kinds
            .into_iter()
            .zip(&self.synced)
            .filter(|(_, synced)| !synced.load(Ordering::Acquire))
            .map(|(kind, _)| kind)
            .collect()
    }

    /// Triggers everything there is, as the sweep and a new leader do.
    pub fn wake_all(&self) {
        wake_each(&self.templates, &self.wake_templates);
        wake_each(&self.plans, &self.wake_plans);
        wake_each(&self.tenants, &self.wake_tenants);
        wake_each(&self.instances, &self.wake_instances);
    }

    /// Triggers whoever owns a child.
    fn wake_owner(&self, owner: &Owner) {
        match owner {
            Owner::Instance(uid) => {
                let found =
                    self.index.lock().unwrap_or_else(PoisonError::into_inner).by_uid.get(uid).cloned();
                if let Some(object) = found {
                    self.wake_instances.send(object);
                }
            }
            Owner::Tenant(name) => self.wake_tenants.send(ObjectRef::new(name)),
        }
    }

    fn wake_plan(&self, name: &str) {
        self.wake_plans.send(ObjectRef::new(name));
        if let Some(plan) = self.plan(name) {
            self.wake_templates.send(ObjectRef::new(&plan.spec.template_ref));
        }
    }

    fn wake_instances_where(&self, wanted: impl Fn(&ServiceInstance) -> bool) {
        for instance in self.instances.state().iter().filter(|instance| wanted(instance)) {
            self.wake_instances.send(ObjectRef::from_obj(&**instance));
        }
    }
}

fn wake_each<K: Resource<DynamicType = ()> + Clone>(store: &Store<K>, slot: &Slot<K>) {
    store.state().iter().for_each(|object| slot.send(ObjectRef::from_obj(&**object)));
}

/// Starts every watch. They end with the runtime.
pub fn start(client: &Client, caches: &Arc<Caches>, children: &Arc<ChildCache>, writers: Writers) {
    let Writers { instances, tenants, templates, plans } = writers;
    tokio::spawn(follow(watch(Api::all(client.clone())), instances, Arc::clone(caches), 0, instance_changed));
    tokio::spawn(follow(watch(Api::all(client.clone())), tenants, Arc::clone(caches), 1, tenant_changed));
    tokio::spawn(follow(watch(Api::all(client.clone())), templates, Arc::clone(caches), 2, template_changed));
    tokio::spawn(follow(watch(Api::all(client.clone())), plans, Arc::clone(caches), 3, plan_changed));
    for kind in Kind::WATCHED {
        let api = Api::<DynamicObject>::all_with(client.clone(), &kind.resource());
        tokio::spawn(follow_children(api, kind, Arc::clone(caches), Arc::clone(children)));
    }
}

fn watch<K>(api: Api<K>) -> impl Stream<Item = Result<Event<K>, watcher::Error>>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    watcher::watcher(api, watcher::Config::default().timeout(WATCH_SECONDS)).default_backoff().modify(
        |object| {
            object.managed_fields_mut().clear();
        },
    )
}

/// Keeps a store, and calls `changed` with what was and what is.
async fn follow<K>(
    events: impl Stream<Item = Result<Event<K>, watcher::Error>>,
    mut writer: Writer<K>,
    caches: Arc<Caches>,
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

fn index_instance(caches: &Caches, old: Option<&ServiceInstance>, new: Option<&ServiceInstance>) {
    let mut index = caches.index.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(old) = old.filter(|old| new.is_none_or(|new| new.uid() != old.uid())) {
        index.by_uid.remove(&old.uid().unwrap_or_default());
        if new.is_none()
            && let Some(names) = index.by_namespace.get_mut(&old.namespace().unwrap_or_default())
        {
            names.remove(&old.name_any());
        }
    }
    if let Some(new) = new {
        index.by_uid.insert(new.uid().unwrap_or_default(), ObjectRef::from_obj(new));
        index.by_namespace.entry(new.namespace().unwrap_or_default()).or_default().insert(new.name_any());
    }
}

/// What of an object's metadata decides anything.
fn fingerprint<K: Resource>(object: &K) -> impl PartialEq + use<K> {
    let meta = object.meta();
    let of = (meta.uid.clone(), meta.generation, meta.deletion_timestamp.clone());
    (of, meta.annotations.clone(), meta.finalizers.clone())
}

fn instance_changed(caches: &Caches, old: Option<&ServiceInstance>, new: Option<&ServiceInstance>) {
    index_instance(caches, old, new);
    let Some(any) = new.or(old) else { return };
    if old.map(fingerprint) == new.map(fingerprint) {
        return;
    }
    caches.wake_instances.send(ObjectRef::from_obj(any));
    let demand = |instance: &ServiceInstance| (instance.uid(), instance.spec.plan_ref.clone());
    if old.map(demand) == new.map(demand) {
        return;
    }
    if let Some(tenant) = any.namespace().as_deref().and_then(names::tenant_of_namespace) {
        caches.wake_tenants.send(ObjectRef::new(tenant));
    }
    for plan in old.into_iter().chain(new).map(|instance| &instance.spec.plan_ref).collect::<BTreeSet<_>>() {
        caches.wake_plan(plan);
    }
}

fn tenant_changed(caches: &Caches, old: Option<&TenantQuota>, new: Option<&TenantQuota>) {
    let Some(any) = new.or(old) else { return };
    if old.map(fingerprint) != new.map(fingerprint) {
        caches.wake_tenants.send(ObjectRef::from_obj(any));
    }
    let namespace = names::tenant_namespace(&any.name_any());
    if old.is_none() || new.is_none() {
        let all = caches.instances_in(&namespace);
        for instance in &all {
            caches.wake_instances.send(ObjectRef::from_obj(&**instance));
        }
        return;
    }
    let places = |tenant: Option<&TenantQuota>| -> BTreeSet<(String, String, String)> {
        let status = tenant.and_then(|tenant| tenant.status.clone()).unwrap_or_default();
        let admitted = status.admitted.into_iter().map(|one| (one.name, one.uid, one.plan));
        let waiting = status.waiting.into_iter().map(|one| (one.name, one.uid, one.message));
        admitted.chain(waiting).collect()
    };
    for (name, _, _) in places(old).symmetric_difference(&places(new)) {
        caches.wake_instances.send(ObjectRef::new(name).within(&namespace));
    }
}

fn template_changed(caches: &Caches, old: Option<&ServiceTemplate>, new: Option<&ServiceTemplate>) {
    let Some(any) = new.or(old) else { return };
    if old.map(fingerprint) == new.map(fingerprint) {
        return;
    }
    let name = any.name_any();
    caches.wake_templates.send(ObjectRef::from_obj(any));
    let plans: BTreeSet<String> = caches
        .plans
        .state()
        .iter()
        .filter(|plan| plan.spec.template_ref == name)
        .map(|plan| plan.name_any())
        .collect();
    for plan in &plans {
        caches.wake_plans.send(ObjectRef::new(plan));
    }
    caches.wake_instances_where(|instance| plans.contains(&instance.spec.plan_ref));
}

fn plan_changed(caches: &Caches, old: Option<&ServicePlan>, new: Option<&ServicePlan>) {
    let Some(any) = new.or(old) else { return };
    if old.map(fingerprint) == new.map(fingerprint) {
        return;
    }
    let name = any.name_any();
    caches.wake_plans.send(ObjectRef::from_obj(any));
    caches.wake_templates.send(ObjectRef::new(&any.spec.template_ref));
    let concerned = |instance: &ServiceInstance| instance.spec.plan_ref == name;
    caches.wake_instances_where(concerned);
    for instance in caches.instances.state().iter().filter(|instance| concerned(instance)) {
        if let Some(tenant) = instance.tenant() {
            caches.wake_tenants.send(ObjectRef::new(tenant));
        }
    }
}

/// Keeps the children of a kind.
async fn follow_children(
    api: Api<DynamicObject>,
    kind: Kind,
    caches: Arc<Caches>,
    children: Arc<ChildCache>,
) {
    let selector = match kind {
        Kind::Pod => labels::INSTANCE.to_owned(),
        _ => format!("{}={}", labels::MANAGED_BY, labels::MANAGER),
    };
    let config = watcher::Config::default().timeout(WATCH_SECONDS).labels(&selector);
    let events = watcher::watcher(api, config).default_backoff().map_ok(|event| reduce(kind, event));
    let mut events = std::pin::pin!(events);
    let mut listing = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Reduced::Init) => listing.clear(),
            Ok(Reduced::Listed(child)) => listing.extend(child.map(|child| *child)),
            Ok(Reduced::Done) => {
                let owners = children.listed(kind, std::mem::take(&mut listing), Instant::now());
                for owner in &owners {
                    caches.wake_owner(owner);
                }
            }
            Ok(Reduced::Changed(child)) => {
                if let Some(owner) = child.and_then(|child| children.seen(*child)) {
                    caches.wake_owner(&owner);
                }
            }
            Ok(Reduced::Gone(child)) => {
                if let Some(owner) = child.and_then(|child| children.gone(&child)) {
                    caches.wake_owner(&owner);
                }
            }
            Err(error) => tracing::warn!(kind = kind.name(), %error, "a watch failed and is renewed"),
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
