//! What a change of one of Nakhoda's own objects means: who must look.

use super::Caches;
use crds::{ServiceInstance, ServicePlan, ServiceTemplate, TenantQuota, names};
use kube::{Resource, ResourceExt as _, runtime::reflector::ObjectRef};
use std::{collections::BTreeSet, sync::PoisonError};

/// Keeps the index; the hosts that the instance no longer asks for.
fn index_instance(
    caches: &Caches,
    old: Option<&ServiceInstance>,
    new: Option<&ServiceInstance>,
) -> Vec<String> {
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
    index.claims.changed(old, new)
}

/// What of an object's metadata decides anything.
fn fingerprint<K: Resource>(object: &K) -> impl PartialEq + use<K> {
    let meta = object.meta();
    let of = (meta.uid.clone(), meta.generation, meta.deletion_timestamp.clone());
    (of, meta.annotations.clone(), meta.finalizers.clone())
}

pub(super) fn instance_changed(
    caches: &Caches,
    old: Option<&ServiceInstance>,
    new: Option<&ServiceInstance>,
) {
    for host in index_instance(caches, old, new) {
        caches.wake_claimants(&host);
    }
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

pub(super) fn tenant_changed(caches: &Caches, old: Option<&TenantQuota>, new: Option<&TenantQuota>) {
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

pub(super) fn template_changed(
    caches: &Caches,
    old: Option<&ServiceTemplate>,
    new: Option<&ServiceTemplate>,
) {
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

pub(super) fn plan_changed(caches: &Caches, old: Option<&ServicePlan>, new: Option<&ServicePlan>) {
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
