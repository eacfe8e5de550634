//! What the cluster's own words are reduced to.

use super::Cause;
use serde_json::{Value, json};

#[expect(clippy::needless_pass_by_value, reason = "what is told stands where it is told")]
fn pod(status: Value) -> Option<Cause> {
    Cause::of_pod(&json!({"metadata": {"name": "db-0"}, "status": status}))
}

#[expect(clippy::needless_pass_by_value, reason = "what is told stands where it is told")]
fn container(status: Value) -> Option<Cause> {
    pod(json!({"phase": "Running", "containerStatuses": [status]}))
}

#[test]
fn a_container_that_waits_says_what_for() {
    for (reason, cause) in [
        ("InvalidImageName", Some(Cause::ImageNameInvalid)),
        ("ErrImagePull", Some(Cause::ImageNotPulled)),
        ("ImagePullBackOff", Some(Cause::ImageNotPulled)),
        ("CreateContainerConfigError", Some(Cause::ConfigMissing)),
        ("CreateContainerError", Some(Cause::ContainerNotStarted)),
        ("ContainerCreating", None),
        ("PodInitializing", None),
    ] {
        assert_eq!(
            container(json!({"ready": false, "state": {"waiting": {"reason": reason}}})),
            cause,
            "{reason}"
        );
    }
}

#[test]
fn a_crash_loop_is_one_cause_from_the_second_end_on_until_it_is_ready() {
    let ended = |code: i64| json!({"terminated": {"exitCode": code, "reason": "Error"}});
    let back_off = |restarts: i64| json!({"ready": false, "restartCount": restarts, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended(1)});
    let running = |restarts: i64, ready: bool| json!({"ready": ready, "started": true, "restartCount": restarts, "state": {"running": {}}, "lastState": ended(1)});
    assert_eq!(container(back_off(0)), None);
    assert_eq!(container(running(1, false)), Some(Cause::NotReady));
    assert_eq!(container(back_off(1)), Some(Cause::CrashLooping));
    assert_eq!(container(running(2, false)), Some(Cause::CrashLooping));
    assert_eq!(container(back_off(7)), Some(Cause::CrashLooping));
    assert_eq!(container(running(7, true)), None);
}

#[test]
fn an_end_for_want_of_memory_or_room_is_told_from_a_crash() {
    let end = |reason: &str, message: &str| {
        let last = json!({"terminated": {"exitCode": 137, "reason": reason, "message": message}});
        container(json!({"ready": false, "restartCount": 3, "state": {"running": {}}, "lastState": last}))
    };
    assert_eq!(end("OOMKilled", ""), Some(Cause::OutOfMemory));
    assert_eq!(end("Error", "write failed: No space left on device"), Some(Cause::VolumeFull));
    assert_eq!(end("Error", ""), Some(Cause::CrashLooping));
    assert_eq!(end("StartError", ""), Some(Cause::ContainerNotStarted));
}

#[test]
fn an_init_container_that_fails_is_no_crash_of_the_app() {
    let init = json!({"ready": false, "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 1}}});
    let waits = json!({"ready": false, "state": {"waiting": {"reason": "PodInitializing"}}});
    let told =
        pod(json!({"phase": "Pending", "initContainerStatuses": [init], "containerStatuses": [waits]}));
    assert_eq!(told, Some(Cause::InitContainerFailing));
    let runs = json!({"ready": false, "started": false, "state": {"running": {}}});
    assert_eq!(pod(json!({"phase": "Pending", "initContainerStatuses": [runs]})), None);
}

#[test]
fn a_probe_counts_once_the_app_has_started() {
    let running =
        |started: bool, ready: bool| json!({"ready": ready, "started": started, "state": {"running": {}}});
    assert_eq!(container(running(false, false)), None);
    assert_eq!(container(running(true, false)), Some(Cause::NotReady));
    assert_eq!(container(running(true, true)), None);
}

#[test]
fn the_scheduler_says_why_no_node_takes_it() {
    let told = |message: &str| {
        let condition =
            json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message});
        pod(json!({"phase": "Pending", "conditions": [condition]}))
    };
    assert_eq!(
        told("0/3 nodes are available: 3 Insufficient cpu. preemption: none"),
        Some(Cause::NoRoomOnNodes)
    );
    assert_eq!(told("0/3 nodes are available: 3 node(s) were unschedulable."), Some(Cause::NoNodeFits));
    for message in ["had volume node affinity conflict", "didn't match PersistentVolume's node affinity"] {
        assert_eq!(
            told(&format!("0/3 nodes are available: 1 node(s) {message}")),
            Some(Cause::VolumeElsewhere)
        );
    }
    assert_eq!(told("0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims."), None);
}

#[test]
fn a_pod_that_was_taken_from_its_node_says_by_whom() {
    let target = |reason: &str| json!([{"type": "DisruptionTarget", "status": "True", "reason": reason}]);
    let ending = |reason: &str| {
        Cause::of_pod(
            &json!({"metadata": {"deletionTimestamp": "2027-01-01T00:00:00Z"}, "status": {"phase": "Running", "conditions": target(reason)}}),
        )
    };
    assert_eq!(ending("DeletionByTaintManager"), Some(Cause::NodeLost));
    assert_eq!(ending("PreemptionByScheduler"), Some(Cause::Preempted));
    assert_eq!(ending("EvictionByEvictionAPI"), Some(Cause::Drained));
    assert_eq!(pod(json!({"phase": "Failed", "reason": "Evicted"})), Some(Cause::Evicted));
    assert_eq!(pod(json!({"phase": "Failed", "reason": "OutOfmemory"})), Some(Cause::NoRoomOnNodes));
    assert_eq!(pod(json!({"phase": "Succeeded", "reason": "Evicted"})), None);
}

#[test]
fn a_node_that_is_not_heard_of_is_told_by_what_a_kubelet_would_never_say() {
    let conditions = |ready: &str, containers: &str| {
        let all =
            json!([{"type": "Ready", "status": ready}, {"type": "ContainersReady", "status": containers}]);
        pod(
            json!({"phase": "Running", "conditions": all, "containerStatuses": [{"ready": true, "started": true, "state": {"running": {}}}]}),
        )
    };
    assert_eq!(conditions("False", "True"), Some(Cause::NodeLost));
    assert_eq!(conditions("False", "False"), None);
    assert_eq!(conditions("True", "True"), None);
}

#[test]
fn a_refused_pod_says_who_refused_it() {
    for (message, cause) in [
        (r#"pods "a" is forbidden: exceeded quota: limits, requested: cpu=1"#, Cause::ResourceQuotaExceeded),
        (
            r#"pods "a" is forbidden: violates PodSecurity "restricted:latest": privileged"#,
            Cause::PodSecurityDenied,
        ),
        (r#"admission webhook "x" denied the request: no"#, Cause::AdmissionDenied),
        ("ValidatingAdmissionPolicy 'x' with binding 'x' denied request: no", Cause::AdmissionDenied),
        (r#"Internal error occurred: failed calling webhook "x": timeout"#, Cause::WebhookUnavailable),
        ("something else", Cause::PodNotCreated),
    ] {
        assert_eq!(Cause::of_refusal(message), cause, "{message}");
        let condition =
            json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message});
        assert_eq!(Cause::of_workload(&json!({"status": {"conditions": [condition]}})), Some(cause));
    }
}

#[test]
fn a_claim_that_only_waits_has_no_cause() {
    let missing = r#"storageclass.storage.k8s.io "fast" not found"#;
    assert_eq!(Cause::of_claim("ProvisioningFailed", missing), Some(Cause::StorageClassMissing));
    assert_eq!(Cause::of_claim("ProvisioningFailed", "no space"), Some(Cause::VolumeNotProvisioned));
    let unset = "no persistent volumes available for this claim and no storage class is set";
    assert_eq!(Cause::of_claim("FailedBinding", unset), Some(Cause::StorageClassMissing));
    assert_eq!(Cause::of_claim("WaitForFirstConsumer", "waiting for first consumer"), None);
}
