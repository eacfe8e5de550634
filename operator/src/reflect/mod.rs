//! The watches: Nakhoda's own kinds into stores, child objects into the reduced cache, and for every change that
//! matters a trigger to whoever must look. They run on every replica, so that a new leader starts with warm caches.

mod changes;
mod follow;

use crate::{cache::ChildCache, kinds::Kind, metrics::Metrics, nodes::Nodes, observed::Owner};
use changes::{instance_changed, plan_changed, template_changed, tenant_changed};
use crds::{ServiceInstance, ServicePlan, ServiceTemplate, TenantQuota};
use follow::{follow, follow_children, watch};
use kube::{
    Api, Client, Resource,
    api::DynamicObject,
    runtime::reflector::{ObjectRef, Store, store::Writer},
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// Where triggers go: nowhere until this replica leads.
#[derive(Debug)]
pub struct Slot<K: Resource<DynamicType = ()>> {
    sender: Mutex<Option<mpsc::UnboundedSender<ObjectRef<K>>>>,
    /// What was triggered and not begun yet, and since when.
    pending: Mutex<HashMap<ObjectRef<K>, Instant>>,
}

impl<K: Resource<DynamicType = ()>> Default for Slot<K> {
    fn default() -> Self {
        Self { sender: Mutex::new(None), pending: Mutex::default() }
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
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            pending.entry(object.clone()).or_insert_with(Instant::now);
            let _ = sender.send(object);
        }
    }

    /// What was triggered is looked at now, or was found to be gone.
    pub fn begun(&self, object: &ObjectRef<K>) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(object);
    }

    /// How many triggered objects have not been looked at yet, and for how long the oldest waits.
    pub fn pending(&self, now: Instant) -> (usize, Duration) {
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = pending.values().min().map(|since| now.saturating_duration_since(*since));
        (pending.len(), oldest.unwrap_or_default())
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
    pub fn wake_owner(&self, owner: &Owner) {
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
pub fn start(
    client: &Client,
    caches: &Arc<Caches>,
    children: &Arc<ChildCache>,
    (nodes, metrics): (&Arc<Nodes>, &Arc<Metrics>),
    writers: Writers,
) {
    let Writers { instances, tenants, templates, plans } = writers;
    tokio::spawn(follow(
        watch(client.clone(), instances.as_reader()),
        instances,
        Arc::clone(caches),
        Arc::clone(metrics),
        0,
        instance_changed,
    ));
    tokio::spawn(follow(
        watch(client.clone(), tenants.as_reader()),
        tenants,
        Arc::clone(caches),
        Arc::clone(metrics),
        1,
        tenant_changed,
    ));
    tokio::spawn(follow(
        watch(client.clone(), templates.as_reader()),
        templates,
        Arc::clone(caches),
        Arc::clone(metrics),
        2,
        template_changed,
    ));
    tokio::spawn(follow(
        watch(client.clone(), plans.as_reader()),
        plans,
        Arc::clone(caches),
        Arc::clone(metrics),
        3,
        plan_changed,
    ));
    for kind in Kind::WATCHED {
        let api = Api::<DynamicObject>::all_with(client.clone(), &kind.resource());
        let also = (Arc::clone(nodes), Arc::clone(metrics));
        tokio::spawn(follow_children(api, kind, Arc::clone(caches), Arc::clone(children), also));
    }
}
