//! What a fresh control plane takes a moment to learn.

use std::time::Duration;

use anyhow::Result;
use e2e::wait;
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

/// The quota controller looks for new kinds every 30 s.
const LEARNS: Duration = Duration::from_secs(90);
/// How long a quota that can be counted may take to be counted.
const COUNTED: Duration = Duration::from_secs(2);
/// What is counted.
const COUNT: &str = "count/serviceinstances.nakhoda.dev";

/// Waits until quotas can count instances: every instance of a tenant whose quota can't is refused, and a quota is
/// looked at again only minutes later, so each try is a new one.
pub(super) async fn counts_instances(admin: &Client) -> Result<()> {
    let quotas: Api<ResourceQuota> = Api::namespaced(admin.clone(), "default");
    let quota = serde_json::from_value(json!({
        "metadata": {"name": "probe"}, "spec": {"hard": {COUNT: "1"}},
    }))?;
    wait::until("the quota controller to know instances", LEARNS, async || {
        quotas.create(&PostParams::default(), &quota).await?;
        let is_counted = wait::until("the probing quota to be counted", COUNTED, async || {
            let used = quotas.get("probe").await?.status.and_then(|status| status.used).unwrap_or_default();
            Ok(used.contains_key(COUNT).then_some(()))
        });
        let counted = is_counted.await.ok();
        quotas.delete("probe", &DeleteParams::default()).await?;
        Ok(counted)
    })
    .await
}
