//! What every reconcile is given.

use crate::{
    apply::Cluster, backoff::Backoff, cache::ChildCache, clock::Clock, domains::Domains, leader::Lease,
    metrics::Metrics, nodes::Nodes, own::Newest, reflect::Caches, report::Report, settings::Settings,
    usage::Usage,
};
use crate::{
    observed::{Child, Owner},
    pace::Pace,
};
use crds::{ServiceInstance, ServicePlan, ServiceTemplate, TenantQuota};
use kube::{Client, ResourceExt as _};
use std::{fmt, sync::Arc};

/// The operator's hands, eyes and memory.
pub struct Context {
    /// The API server.
    pub cluster: Cluster,
    /// The settings.
    pub settings: Settings,
    /// The namespace that the operator lives in.
    pub namespace: String,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Nakhoda's own four kinds.
    pub caches: Arc<Caches>,
    /// Child objects.
    pub children: Arc<ChildCache>,
    /// Custom domains: what DNS said, and who has which host.
    pub domains: Domains,
    /// Our newest writes to instances.
    pub own_instances: Newest<ServiceInstance>,
    /// Our newest writes to tenants.
    pub own_tenants: Newest<TenantQuota>,
    /// Our newest writes to templates.
    pub own_templates: Newest<ServiceTemplate>,
    /// Our newest writes to plans.
    pub own_plans: Newest<ServicePlan>,
    /// Failures in a row.
    pub backoff: Backoff,
    /// How often one object is reconciled.
    pub pace: Pace,
    /// Events.
    pub report: Report,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// The cluster's nodes, and what runs where.
    pub nodes: Arc<Nodes>,
    /// What the apps use of CPU and memory.
    pub usage: Usage,
}

/// What a context shares with the watches, the client and the scrape.
pub struct Shared {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Nakhoda's own four kinds.
    pub caches: Arc<Caches>,
    /// Child objects.
    pub children: Arc<ChildCache>,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// The cluster's nodes, and what runs where.
    pub nodes: Arc<Nodes>,
}

impl Context {
    /// One that remembers nothing yet. It acts while the lease is held, and reports events as `identity`.
    pub fn new(
        client: &Client,
        lease: Arc<Lease>,
        settings: Settings,
        (namespace, identity): (&str, &str),
        shared: Shared,
    ) -> Self {
        let Shared { clock, caches, children, metrics, nodes } = shared;
        Self {
            cluster: Cluster::new(client.clone(), lease),
            domains: Domains::new(&settings.domains),
            settings,
            namespace: namespace.to_owned(),
            clock,
            caches,
            children,
            own_instances: Newest::default(),
            own_tenants: Newest::default(),
            own_templates: Newest::default(),
            own_plans: Newest::default(),
            backoff: Backoff::default(),
            pace: Pace::default(),
            report: Report::new(client.clone(), identity),
            metrics,
            nodes,
            usage: Usage::default(),
        }
    }

    /// The children and pods of an instance: by its uid, and only in its own namespace, since a label can be set by
    /// anybody anywhere.
    pub fn children_of(&self, instance: &ServiceInstance) -> Vec<Arc<Child>> {
        let owner = Owner::Instance(instance.uid().unwrap_or_default());
        let mut children = self.children.of(&owner);
        children.retain(|child| Some(&child.key.namespace) == instance.metadata.namespace.as_ref());
        children
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Context")
    }
}
