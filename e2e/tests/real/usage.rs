//! What an app uses: our API, `kubectl top`, and the numbers of the control groups themselves.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::wait;
use http::StatusCode;
use serde_json::Value;

use crate::app::Running;
use crate::house::{BOUND, House};

/// As often as people may ask.
const PACE: Duration = Duration::from_secs(3);
const MIB: f64 = 1_048_576.0;

/// Whether the three agree on memory within a tenth, or a few MiB: they are taken at different moments.
pub async fn agrees(house: &House, running: &Running) -> Result<String> {
    let mut last = None;
    let agreed = wait::until_every(PACE, "usage that agrees", BOUND * 2, async || {
        let (ours, theirs, groups) =
            (ours(house, running).await?, theirs(house, running).await?, groups(house, running).await?);
        last = Some((ours, theirs, groups));
        let (Some(ours), Some(theirs)) = (ours, theirs) else { return Ok(None) };
        let near = |other: f64| (ours - other).abs() <= (ours * 0.1).max(8.0);
        Ok((near(theirs) && near(groups)).then(|| {
            format!(
                "{ours:.0} MiB at our API, {theirs:.0} by metrics.k8s.io, {groups:.0} in the control groups"
            )
        }))
    })
    .await;
    agreed.with_context(|| format!("MiB at our API, by metrics.k8s.io, in the control groups: {last:?}"))
}

async fn ours(house: &House, running: &Running) -> Result<Option<f64>> {
    let path = format!("/api/v1/subscriptions/{}/metrics", running.id);
    let (status, metrics) = house.people.api.call("GET", &path, Some(&house.customer.access), None).await?;
    ensure!(status == StatusCode::OK, "{status}: {metrics}");
    Ok(metrics["memory"]["used_bytes"].as_f64().map(|bytes| bytes / MIB))
}

async fn theirs(house: &House, running: &Running) -> Result<Option<f64>> {
    let path = format!(
        "/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods?labelSelector=app.kubernetes.io/instance%3D{}",
        running.namespace, running.name
    );
    let request = http::Request::get(path).body(Vec::new())?;
    let list: Value = house.admin.request(request).await?;
    let pods = list["items"].as_array().cloned().unwrap_or_default();
    if pods.len() < running.pods(house).await?.len() {
        return Ok(None);
    }
    let mut sum = 0.0;
    for container in pods.iter().flat_map(|pod| pod["containers"].as_array().cloned().unwrap_or_default()) {
        let memory = container["usage"]["memory"].as_str().context("a container uses memory")?;
        let kib: f64 = memory.strip_suffix("Ki").context("metrics-server says KiB")?.parse()?;
        sum += kib / 1024.0;
    }
    Ok(Some(sum))
}

/// What is in use and can't be given back at once, of all containers, as the kernel counts it.
async fn groups(house: &House, running: &Running) -> Result<f64> {
    let node = house.node()?;
    let mut sum = 0.0;
    for pod in running.pods(house).await? {
        let uid = pod.metadata.uid.context("a pod has a uid")?;
        for id in pod.status.and_then(|status| status.container_statuses).unwrap_or_default() {
            let id = id.container_id.unwrap_or_default().replace("containerd://", "");
            ensure!(!id.is_empty(), "a container has an id");
            sum += node.memory_in_use(&uid, &id)? / MIB;
        }
    }
    Ok(sum)
}
