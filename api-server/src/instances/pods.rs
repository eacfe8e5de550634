//! The pods of an app, read live: after a roll-out the next read shows those that came of it.

use crate::cluster::{CallError, Cluster};
use crds::labels;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use kube::{Api, ResourceExt as _, api::ListParams};

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LivePod {
    /// Its name.
    pub name: String,
    /// The component of the app.
    pub component: Option<String>,
    /// Where it runs.
    pub node: Option<String>,
    /// As Kubernetes calls it.
    pub phase: String,
    /// Whether it serves.
    pub is_ready: bool,
    /// Whether it is about to end.
    pub is_ending: bool,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// What runs in it.
    pub containers: Vec<LiveContainer>,
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveContainer {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Whether it serves.
    pub is_ready: bool,
    /// How often it was started anew.
    pub restarts: i32,
    /// What it does.
    pub state: Doing,
    /// Why, in one word, where it does not run.
    pub reason: Option<String>,
}

/// What a container does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It runs.
    Running,
    /// It is about to.
    Waiting,
    /// It has ended.
    Terminated,
}

/// The pods of the app of that uid, by name.
///
/// # Errors
/// As the cluster's.
pub async fn of(cluster: &Cluster, namespace: &str, uid: &str) -> Result<Vec<LivePod>, CallError> {
    let of_it = ListParams::default().labels(&format!("{}={uid}", labels::INSTANCE));
    let found =
        cluster.call(async |client| Api::<Pod>::namespaced(client, namespace).list(&of_it).await).await?;
    let mut pods: Vec<LivePod> = found.items.iter().map(read).collect();
    pods.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(pods)
}

fn read(pod: &Pod) -> LivePod {
    let (spec, status) = (pod.spec.as_ref(), pod.status.as_ref());
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let told = status.and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    let containers = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default();
    let container = |name: &str, image: &str| {
        let status = told.iter().find(|status| status.name == name);
        let (state, reason) = doing(status.and_then(|status| status.state.as_ref()));
        LiveContainer {
            name: name.to_owned(),
            image: image.to_owned(),
            is_ready: status.is_some_and(|status| status.ready),
            restarts: status.map_or(0, |status: &ContainerStatus| status.restart_count),
            state,
            reason,
        }
    };
    LivePod {
        name: pod.name_any(),
        component: pod.labels().get(labels::COMPONENT).cloned(),
        node: spec.and_then(|spec| spec.node_name.clone()),
        phase: status.and_then(|status| status.phase.clone()).unwrap_or_else(|| "Pending".to_owned()),
        is_ready: conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True"),
        is_ending: pod.metadata.deletion_timestamp.is_some(),
        started_at: status.and_then(|status| status.start_time.as_ref()).map(|time| time.0),
        containers: containers
            .iter()
            .map(|one| container(&one.name, one.image.as_deref().unwrap_or_default()))
            .collect(),
    }
}

fn doing(state: Option<&ContainerState>) -> (Doing, Option<String>) {
    let Some(state) = state else { return (Doing::Waiting, None) };
    if state.running.is_some() {
        return (Doing::Running, None);
    }
    match &state.terminated {
        Some(ended) => (Doing::Terminated, ended.reason.clone()),
        None => (Doing::Waiting, state.waiting.as_ref().and_then(|waiting| waiting.reason.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_says_where_it_runs_what_runs_in_it_and_why_something_does_not() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "a-1", "labels": {labels::COMPONENT: "app"}},
            "spec": {"nodeName": "n", "containers": [{"name": "app", "image": "ghost:6"}, {"name": "late", "image": "x"}]},
            "status": {"phase": "Running", "startTime": "2026-01-01T00:00:00Z",
                "conditions": [{"type": "Ready", "status": "False"}],
                "containerStatuses": [{"name": "app", "image": "ghost:6", "imageID": "", "ready": false, "restartCount": 3,
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}}))
        .unwrap();
        let read = read(&pod);
        let [app, late] = &read.containers[..] else { panic!("two containers") };
        assert_eq!((read.node.as_deref(), read.component.as_deref()), (Some("n"), Some("app")));
        assert_eq!(
            (app.restarts, app.state, app.reason.as_deref()),
            (3, Doing::Waiting, Some("CrashLoopBackOff"))
        );
        assert_eq!((late.is_ready, late.state), (false, Doing::Waiting));
        assert!(!read.is_ready && !read.is_ending && read.started_at.is_some());
    }
}
