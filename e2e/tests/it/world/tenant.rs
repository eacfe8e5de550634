//! A tenant of a story.

use std::time::Duration;

use anyhow::{Context, Result};
use crds::{ServiceInstance, TenantQuota, conditions, managers, names};
use e2e::wait;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};

use super::{BOUND, Instance, People, snapshot};

/// A tenant.
#[derive(Clone)]
pub struct Tenant {
    name: String,
    namespace: String,
    pub(super) people: People,
}

impl Tenant {
    pub(super) async fn apply(people: People, name: &str, limits: Value) -> Result<Self> {
        let tenant = Self::unmade(people, name);
        tenant.limit(limits).await?;
        tenant.wait_for("Ready", BOUND, is_ready).await?;
        Ok(tenant)
    }

    pub(super) fn unmade(people: People, name: &str) -> Self {
        Self { name: name.to_owned(), namespace: names::tenant_namespace(name), people }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Applies its limits, as the platform does.
    pub async fn limit(&self, limits: Value) -> Result<TenantQuota> {
        let quota = json!({
            "apiVersion": "nakhoda.dev/v1alpha1", "kind": "TenantQuota", "metadata": {"name": self.name},
            "spec": {"owner": "01936b1e-7c5a-7f3e-9d42-5b8e6a1c0f27", "limits": limits},
        });
        let params = PatchParams::apply(managers::TENANT).force();
        let applied = self.api().patch(&self.name, &params, &Patch::Apply(quota)).await;
        applied.with_context(|| format!("the tenant {} was refused", self.name))
    }

    /// Changes its spec by a JSON merge patch, as the platform's administrator.
    pub async fn patch_spec(&self, spec: Value) -> Result<TenantQuota> {
        let patch = Patch::Merge(json!({"spec": spec}));
        Ok(self.api().patch(&self.name, &PatchParams::default(), &patch).await?)
    }

    /// Asks for its deletion.
    pub async fn delete(&self) -> Result<()> {
        self.api().delete(&self.name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Waits until it is gone.
    pub async fn gone(&self, bound: Duration) -> Result<()> {
        let gone = await_condition(self.api(), &self.name, |found: Option<&TenantQuota>| found.is_none());
        wait::within(&format!("the tenant {} to be gone", self.name), bound, gone).await?;
        Ok(())
    }

    /// Itself, as it is now.
    pub async fn get(&self) -> Result<TenantQuota> {
        Ok(self.api().get(&self.name).await?)
    }

    /// Waits, by watch, until `predicate` holds of it.
    pub async fn wait_for(
        &self,
        what: &str,
        bound: Duration,
        predicate: impl Fn(&TenantQuota) -> bool + Send + Sync,
    ) -> Result<TenantQuota> {
        let holds = await_condition(self.api(), &self.name, |found: Option<&TenantQuota>| {
            found.is_some_and(&predicate)
        });
        let found = wait::within(&format!("the tenant {} to be {what}", self.name), bound, holds).await?;
        found.context("what a predicate held of is there")
    }

    /// Orders an instance in its namespace, as somebody with all rights; `spec` is the whole spec.
    pub async fn instance(&self, name: &str, spec: Value) -> Result<Instance> {
        let instance = self.named(name);
        instance.apply(&spec).await?;
        Ok(instance)
    }

    /// The instance of that name, which may not exist.
    pub fn named(&self, name: &str) -> Instance {
        Instance::new(self, name)
    }

    /// Everything in its namespace but Events and service accounts, itself included; what differs from run to run
    /// (uids, versions, times, secrets, ids of data, addresses, the tenant's own name) masked, in a stable order.
    pub async fn snapshot(&self) -> Result<String> {
        snapshot::take(self).await
    }

    /// The same without the instances and the tenant themselves.
    pub async fn children(&self) -> Result<String> {
        snapshot::take_children(self).await
    }

    pub(super) fn instances(&self) -> Api<ServiceInstance> {
        Api::namespaced(self.people.admin.clone(), &self.namespace)
    }

    fn api(&self) -> Api<TenantQuota> {
        Api::all(self.people.admin.clone())
    }
}

fn is_ready(tenant: &TenantQuota) -> bool {
    let observed = tenant.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions::is_true(observed, conditions::READY, tenant.metadata.generation)
}
