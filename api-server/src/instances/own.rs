//! Somebody's apps as they are known here: what was bought, joined with what the watch has. Nothing of it asks the cluster.

use super::why::Known;
use crate::{
    cluster::watch::{Cache, Key},
    http::problem::{Code, Problem},
    state::State,
    subscriptions::{Subscription, store},
};
use crds::{ServiceInstance, TenantQuota, names};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use std::sync::Arc;
use uuid::Uuid;

/// An app of somebody's.
#[derive(Clone, Debug)]
pub struct Own {
    /// By what it is named: what it was bought by, or its resource's uid where it was made by hand.
    pub id: Uuid,
    /// What it was bought by, where it was bought.
    pub row: Option<Subscription>,
    /// Its resource; none before it is made.
    pub resource: Option<Arc<ServiceInstance>>,
    /// Its owner's tenant; none before it is made.
    pub tenant: Option<Arc<TenantQuota>>,
    /// From when all of this is.
    pub as_of: Timestamp,
    /// Whether it may be older than what is shown elsewhere: the cluster is away.
    pub is_stale: bool,
}

impl Own {
    /// The namespace and name of its resource.
    pub fn place(&self) -> (String, String) {
        match (&self.resource, &self.row) {
            (Some(resource), _) => (resource.namespace().unwrap_or_default(), resource.name_any()),
            (None, Some(row)) => (names::tenant_namespace(&row.tenant()), row.resource_name()),
            (None, None) => Default::default(),
        }
    }

    /// All of it from which follows why it is as it is.
    pub fn known(&self) -> Known<'_> {
        let (resource, tenant) = (self.resource.as_deref(), self.tenant.as_deref());
        Known { row: self.row.as_ref(), resource, tenant }
    }

    /// Its resource's uid.
    pub fn uid(&self) -> Option<String> {
        self.resource.as_ref()?.uid()
    }
}

fn uid(resource: &ServiceInstance) -> Option<Uuid> {
    resource.uid().and_then(|uid| Uuid::try_parse(&uid).ok())
}

/// From when what is kept of the cluster is.
fn as_of(state: &State, cache: &Cache<ServiceInstance>) -> Timestamp {
    let age = cache.age().and_then(|age| SignedDuration::try_from(age).ok()).unwrap_or_default();
    crate::clock::before(state.clock.now(), age)
}

/// Somebody's tenant, as it was known last; none before it is made.
///
/// # Errors
/// 503 until the cluster was read once.
pub fn tenant_of(state: &State, user_id: Uuid) -> Result<Option<Arc<TenantQuota>>, Problem> {
    let name = names::tenant_of_user(&user_id.to_string());
    Ok(state.cluster.watches().tenants.last_known()?.named(&name).cloned())
}

/// The resources in somebody's namespace, as they were known last.
fn resources(
    state: &State,
    user_id: Uuid,
    tenant: Option<&TenantQuota>,
) -> Result<Vec<Arc<ServiceInstance>>, Problem> {
    let owner = user_id.to_string();
    let all = state.cluster.watches().instances.last_known()?;
    // A tenant whose name is this user's and which is another's shows nothing.
    let is_anothers = tenant.is_some_and(|tenant| tenant.spec.owner != owner);
    let namespace = names::tenant_namespace(&names::tenant_of_user(&owner));
    Ok(if is_anothers { Vec::new() } else { all.within(&namespace).cloned().collect() })
}

/// The resource of what was bought, as it was known last. Another one under its name is none of it.
///
/// # Errors
/// 503 until the cluster was read once.
pub fn resource_of(state: &State, row: &Subscription) -> Result<Option<Arc<ServiceInstance>>, Problem> {
    let key = Key::within(&names::tenant_namespace(&row.tenant()), &row.resource_name());
    let found = state.cluster.watches().instances.last_known()?.get(&key).cloned();
    Ok(found.filter(|resource| is_of(row, resource)))
}

/// Whether it is the resource of what was bought, and not another under its name.
pub fn is_of(row: &Subscription, resource: &ServiceInstance) -> bool {
    resource.metadata.name.as_deref() == Some(row.resource_name().as_str())
        && row.crossing.uid.is_none_or(|known| Some(known) == uid(resource))
}

/// The app of what was bought; none where nothing of it is there, or nothing of the cluster is known.
pub fn of(state: &State, row: &Subscription) -> Option<Own> {
    let (cache, resource) = (&state.cluster.watches().instances, resource_of(state, row).ok()?);
    let is_there = row.end.is_none() || resource.is_some();
    let (as_of, is_stale) = (as_of(state, cache), cache.is_stale());
    let tenant = tenant_of(state, row.user_id).ok()?;
    is_there.then(|| Own { id: row.id, row: Some(row.clone()), resource, tenant, as_of, is_stale })
}

/// All of somebody's: what was bought and has not ended, what has ended and is still there, and what was made by hand.
///
/// # Errors
/// 503 until the cluster was read once; as the database's.
pub async fn all(state: &State, user_id: Uuid) -> Result<Vec<Own>, Problem> {
    let cache = &state.cluster.watches().instances;
    let tenant = tenant_of(state, user_id)?;
    let mut by_hand = resources(state, user_id, tenant.as_deref())?;
    let uids: Vec<Uuid> = by_hand.iter().filter_map(|one| uid(one)).collect();
    let rows = store::of_resources(&state.db, user_id, &uids).await?;
    let (as_of, is_stale) = (as_of(state, cache), cache.is_stale());
    let mut all = Vec::new();
    for row in rows {
        let at = by_hand.iter().position(|resource| is_of(&row, resource));
        let resource = at.map(|at| by_hand.swap_remove(at));
        if row.end.is_none() || resource.is_some() {
            let tenant = tenant.clone();
            all.push(Own { id: row.id, row: Some(row), resource, tenant, as_of, is_stale });
        }
    }
    all.extend(by_hand.into_iter().filter_map(|resource| {
        let (id, tenant) = (uid(&resource)?, tenant.clone());
        Some(Own { id, row: None, resource: Some(resource), tenant, as_of, is_stale })
    }));
    Ok(all)
}

/// One of somebody's.
///
/// # Errors
/// 404 where they have no such app; otherwise as [`all`].
pub async fn find(state: &State, user_id: Uuid, id: Uuid) -> Result<Own, Problem> {
    let missing = || Problem::new(Code::NotFound);
    // Without a cluster there is nothing that was made by hand.
    if !state.cluster.is_there() && store::find_own(&state.db, user_id, id).await?.is_none() {
        return Err(missing());
    }
    all(state, user_id).await?.into_iter().find(|own| own.id == id).ok_or_else(missing)
}
