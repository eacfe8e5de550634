//! A unit of data: what stands in the cluster of it, and how an administrator puts it there by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use crds::{labels, names};
use e2e::wait;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use super::BOUND;
use crate::world::{Tenant, World};

/// In seconds.
pub(super) const HOUR: i64 = 3600;
/// In seconds.
pub(super) const DAY: i64 = 24 * HOUR;

/// Data by its id.
pub(super) struct Data {
    admin: Client,
    namespace: String,
    tenant: String,
    id: String,
}

/// A time by the API server's machine, which is this one.
#[expect(clippy::disallowed_methods, reason = "a test of clocks puts times where the API server's clock is")]
fn from_now(seconds: i64) -> Result<String> {
    let time = Timestamp::now().checked_add(SignedDuration::from_secs(seconds))?;
    Ok(Timestamp::from_second(time.as_second())?.to_string())
}

impl Data {
    pub(super) fn of(world: &World, tenant: &Tenant, id: &str) -> Self {
        Self {
            admin: world.admin(),
            namespace: tenant.namespace().to_owned(),
            tenant: tenant.name().to_owned(),
            id: id.to_owned(),
        }
    }

    fn volumes(&self) -> Api<PersistentVolumeClaim> {
        Api::namespaced(self.admin.clone(), &self.namespace)
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.admin.clone(), &self.namespace)
    }

    fn ours(&self) -> ListParams {
        ListParams::default().labels(&format!("{}={}", labels::DATA, self.id))
    }

    /// What is there by name: uid, and the values of the Secret.
    pub(super) async fn there(&self) -> Result<BTreeMap<String, (String, String)>> {
        let mut all = BTreeMap::new();
        for volume in self.volumes().list(&self.ours()).await? {
            all.insert(volume.name_any(), (volume.uid().unwrap_or_default(), String::new()));
        }
        for secret in self.secrets().list(&self.ours()).await? {
            let values = serde_json::to_string(&secret.data)?;
            all.insert(secret.name_any(), (secret.uid().unwrap_or_default(), values));
        }
        Ok(all)
    }

    /// Whether there are volumes without their Secret, which must never be.
    pub(super) async fn lacks_its_secret(&self) -> Result<bool> {
        let secret = self.secrets().get_opt(&names::data_secret(&self.id)).await?;
        Ok(secret.is_none() && !self.volumes().list(&self.ours()).await?.items.is_empty())
    }

    /// Waits until nothing of it is there.
    pub(super) async fn gone(&self, bound: Duration) -> Result<()> {
        wait::until(&format!("the data {} to be gone", self.id), bound, async || {
            Ok(self.there().await?.is_empty().then_some(()))
        })
        .await
    }

    /// Waits until none of its volumes has this annotation.
    pub(super) async fn is_without(&self, annotation: &str) -> Result<()> {
        wait::until(&format!("{annotation} to be taken off"), BOUND, async || {
            let volumes = self.volumes().list(&self.ours()).await?.items;
            Ok((!volumes.iter().any(|one| one.annotations().contains_key(annotation))).then_some(()))
        })
        .await
    }

    /// What is noted on its Secret of the volumes that it had when it was released.
    pub(super) async fn noted_volumes(&self) -> Result<Option<String>> {
        let secret = self.secrets().get(&names::data_secret(&self.id)).await?;
        Ok(secret.annotations().get(labels::VOLUMES).cloned())
    }

    /// Notes it.
    pub(super) async fn note_volumes(&self, names: &str) -> Result<()> {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {labels::VOLUMES: names}}}));
        let name = names::data_secret(&self.id);
        self.secrets().patch(&name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    fn volume_names(&self) -> [String; 2] {
        ["app", "db"].map(|component| names::data_volume(&self.id, component, "data"))
    }

    /// Puts it there as an instance leaves it: two volumes and a Secret, released so many seconds from now and kept until so
    /// many.
    pub(super) async fn put(&self, released: i64, end: i64) -> Result<()> {
        let annotations = json!({
            labels::RELEASED_AT: from_now(released)?, labels::KEEP_UNTIL: from_now(end)?,
            labels::TEMPLATE: "postgresql", labels::PLAN: "postgresql-small",
        });
        self.put_with(&json!({}), &annotations).await
    }

    /// Puts it there as it is left when the finalizer of its instance was taken off by force.
    pub(super) async fn put_orphaned(&self) -> Result<()> {
        let instance = json!({labels::INSTANCE: "6b9c2a54-9d1e-4f6e-9a62-3c1f6f3f0a11"});
        self.put_with(&instance, &json!({labels::TEMPLATE: "postgresql"})).await
    }

    async fn put_with(&self, more: &Value, annotations: &Value) -> Result<()> {
        let mut all = json!({
            labels::MANAGED_BY: labels::MANAGER, labels::TENANT: self.tenant, labels::DATA: self.id,
        });
        for (key, value) in more.as_object().context("labels are a map")? {
            all[key] = value.clone();
        }
        let metadata = |name: &str| json!({"name": name, "labels": all, "annotations": annotations});
        let secret = json!({"metadata": metadata(&names::data_secret(&self.id)), "stringData": {"a": "b"}});
        self.secrets().create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
        for name in self.volume_names() {
            let spec =
                json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
            let volume = serde_json::from_value(json!({"metadata": metadata(&name), "spec": spec}))?;
            wait::until(&format!("{name} to be counted"), BOUND, async || {
                match self.volumes().create(&PostParams::default(), &volume).await {
                    Err(kube::Error::Api(status)) if e2e::apply::is_not_counted_yet(&status.message) => {
                        Ok(None)
                    }
                    created => Ok(Some(created?)),
                }
            })
            .await?;
        }
        Ok(())
    }

    /// Sets on all of it until when it is kept, so many seconds from now.
    pub(super) async fn keep_until(&self, end: i64) -> Result<()> {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {labels::KEEP_UNTIL: from_now(end)?}}}));
        let params = PatchParams::default();
        self.secrets().patch(&names::data_secret(&self.id), &params, &patch).await?;
        for name in self.volume_names() {
            self.volumes().patch(&name, &params, &patch).await?;
        }
        Ok(())
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.admin.clone(), &self.namespace)
    }

    /// Mounts a volume of it in a pod of somebody's own; the pod's name.
    pub(super) async fn mount(&self) -> Result<String> {
        let name = format!("reads-{}", self.id);
        let [volume, _] = self.volume_names();
        let limits = json!({"cpu": "10m", "memory": "16Mi"});
        let pod = json!({
            "metadata": {"name": name},
            "spec": {
                "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": "reads", "image": "registry.example.test/reads:1", "resources": {"limits": limits},
                    "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                }],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": volume}}],
            },
        });
        self.pods().create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
        Ok(name)
    }

    /// Removes that pod.
    pub(super) async fn unmount(&self, pod: &str) -> Result<()> {
        let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        self.pods().delete(pod, &at_once).await?;
        Ok(())
    }
}
