//! An instance of a story, and what people do to it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use crds::instance::Phase;
use crds::{ServiceInstance, conditions, managers};
use e2e::apply::is_not_counted_yet;
use e2e::wait;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::{BOUND, Tenant};

/// An instance by its place; whether it exists is another question.
#[derive(Clone)]
pub struct Instance {
    tenant: Tenant,
    name: String,
}

/// Whether the operator is done with it, in that phase.
pub fn is_settled_in(phase: Phase) -> impl Fn(&ServiceInstance) -> bool + Copy {
    move |instance| {
        let Some(status) = &instance.status else { return false };
        let reconciling = conditions::find(&status.conditions, conditions::RECONCILING);
        status.phase == Some(phase)
            && status.observed_generation == instance.metadata.generation
            && reconciling.is_some_and(|condition| condition.status == "False")
    }
}

impl Instance {
    pub(super) fn new(tenant: &Tenant, name: &str) -> Self {
        Self { tenant: tenant.clone(), name: name.to_owned() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Itself, as it is now.
    pub async fn get(&self) -> Result<ServiceInstance> {
        Ok(self.api().get(&self.name).await?)
    }

    /// Its uid.
    pub async fn uid(&self) -> Result<String> {
        self.get().await?.metadata.uid.context("what the API server keeps has a uid")
    }

    /// Applies what its owner decides (or, by somebody with all rights, anything).
    pub async fn apply(&self, spec: &Value) -> Result<ServiceInstance> {
        self.write(&self.tenant.people.admin, managers::OWNER, None, spec).await
    }

    /// Changes its spec by a JSON merge patch.
    pub async fn patch_spec(&self, spec: Value) -> Result<ServiceInstance> {
        let params =
            PatchParams { field_manager: Some(managers::OWNER.to_owned()), ..PatchParams::default() };
        Ok(self.api().patch(&self.name, &params, &Patch::Merge(json!({"spec": spec}))).await?)
    }

    /// Entitles it to run until long after any test, as somebody who may.
    pub async fn entitle(&self) -> Result<ServiceInstance> {
        let until = json!({"paidUntil": "2098-12-31T17:00:00Z", "suspendAt": "2099-01-03T17:00:00Z"});
        let uid = self.uid().await?;
        let entitlement = json!({"entitlement": until});
        self.write(&self.tenant.people.entitler, managers::ENTITLEMENT, Some(&uid), &entitlement).await
    }

    /// Has billing hold it for a reason, or release its hold.
    pub async fn hold(&self, reason: Option<&str>) -> Result<ServiceInstance> {
        let hold = reason.map(|reason| json!({"reason": reason, "since": "2026-01-05T09:00:00Z"}));
        let spec = hold.map_or_else(|| json!({}), |hold| json!({"holds": {"billing": hold}}));
        let uid = self.uid().await?;
        self.write(&self.tenant.people.billing, managers::HOLD_BILLING, Some(&uid), &spec).await
    }

    /// Asks for its deletion.
    pub async fn delete(&self) -> Result<()> {
        self.api().delete(&self.name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Waits, by watch, until `predicate` holds of it.
    pub async fn wait_for(
        &self,
        what: &str,
        bound: Duration,
        predicate: impl Fn(&ServiceInstance) -> bool + Send + Sync,
    ) -> Result<ServiceInstance> {
        let holds = await_condition(self.api(), &self.name, |found: Option<&ServiceInstance>| {
            found.is_some_and(&predicate)
        });
        match wait::within(&format!("{self} to be {what}"), bound, holds).await {
            Ok(found) => found.context("what a predicate held of is there"),
            Err(error) => bail!("{error:#}; {}", self.explain().await),
        }
    }

    /// Waits until the operator is done with it, in that phase.
    pub async fn settled_in(&self, phase: Phase, bound: Duration) -> Result<ServiceInstance> {
        self.wait_for(&format!("settled as {phase:?}"), bound, is_settled_in(phase)).await
    }

    /// Waits until it is gone.
    pub async fn gone(&self, bound: Duration) -> Result<()> {
        let gone = await_condition(self.api(), &self.name, |found: Option<&ServiceInstance>| found.is_none());
        match wait::within(&format!("{self} to be gone"), bound, gone).await {
            Ok(_) => Ok(()),
            Err(error) => bail!("{error:#}; {}", self.explain().await),
        }
    }

    fn api(&self) -> Api<ServiceInstance> {
        self.tenant.instances()
    }

    /// Applies as one of the field managers. RBAC's caches take a moment to know a new tenant's bindings.
    async fn write(
        &self,
        client: &Client,
        manager: &str,
        uid: Option<&str>,
        spec: &Value,
    ) -> Result<ServiceInstance> {
        let mut object = json!({
            "apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServiceInstance",
            "metadata": {"name": self.name, "namespace": self.tenant.namespace()}, "spec": spec,
        });
        if let Some(uid) = uid {
            object["metadata"]["uid"] = json!(uid);
        }
        let api: Api<ServiceInstance> = Api::namespaced(client.clone(), self.tenant.namespace());
        let params = PatchParams::apply(manager).force();
        wait::until(&format!("the right to write {self} as {manager}"), BOUND, async || {
            match api.patch(&self.name, &params, &Patch::Apply(&object)).await {
                Err(kube::Error::Api(status)) if is_not_yet_bound(&status.message) => Ok(None),
                written => Ok(Some(written?)),
            }
        })
        .await
    }

    /// What it says of itself, for whoever reads why a test failed.
    async fn explain(&self) -> String {
        let Ok(instance) = self.get().await else { return "it can't be read".to_owned() };
        let status = instance.status.unwrap_or_default();
        let said = status.conditions.iter();
        let said: Vec<String> = said.map(|c| format!("{}={} {}", c.type_, c.status, c.reason)).collect();
        format!("it is {:?}: {}", status.phase, said.join(", "))
    }
}

/// RBAC itself says no, not a policy; or a quota that was just made is not counted yet.
fn is_not_yet_bound(message: &str) -> bool {
    message.contains("cannot patch resource") || is_not_counted_yet(message)
}

impl std::fmt::Display for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.tenant.namespace(), self.name)
    }
}
