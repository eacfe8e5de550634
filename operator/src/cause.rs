//! Why a pod is not up, why a workload has no pod, why a volume is not there: what the cluster says of it, reduced to one
//! word that stays the same as long as the cause does.

use crds::reasons;
use serde_json::Value;

/// A cause. It carries no counts and no times, so that one that lasts wakes nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each says what the reason of its name says")]
pub enum Cause {
    ImageNameInvalid,
    ImageNotPulled,
    ConfigMissing,
    PodSecurityDenied,
    AdmissionDenied,
    WebhookUnavailable,
    ResourceQuotaExceeded,
    PodNotCreated,
    StorageClassMissing,
    VolumeNotProvisioned,
    VolumeElsewhere,
    NoRoomOnNodes,
    NoNodeFits,
    VolumeFull,
    OutOfMemory,
    ContainerNotStarted,
    InitContainerFailing,
    CrashLooping,
    NodeLost,
    Evicted,
    Preempted,
    Drained,
    /// Its containers run, and one of them is not ready: at first it is only starting.
    NotReady,
}

impl Cause {
    /// The reason that says it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::ImageNameInvalid => reasons::IMAGE_NAME_INVALID,
            Self::ImageNotPulled => reasons::IMAGE_NOT_PULLED,
            Self::ConfigMissing => reasons::CONFIG_MISSING,
            Self::PodSecurityDenied => reasons::POD_SECURITY_DENIED,
            Self::AdmissionDenied => reasons::ADMISSION_DENIED,
            Self::WebhookUnavailable => reasons::WEBHOOK_UNAVAILABLE,
            Self::ResourceQuotaExceeded => reasons::RESOURCE_QUOTA_EXCEEDED,
            Self::PodNotCreated => reasons::POD_NOT_CREATED,
            Self::StorageClassMissing => reasons::STORAGE_CLASS_MISSING,
            Self::VolumeNotProvisioned => reasons::VOLUME_NOT_PROVISIONED,
            Self::VolumeElsewhere => reasons::VOLUME_ELSEWHERE,
            Self::NoRoomOnNodes => reasons::NO_ROOM_ON_NODES,
            Self::NoNodeFits => reasons::NO_NODE_FITS,
            Self::VolumeFull => reasons::VOLUME_FULL,
            Self::OutOfMemory => reasons::OUT_OF_MEMORY,
            Self::ContainerNotStarted => reasons::CONTAINER_NOT_STARTED,
            Self::InitContainerFailing => reasons::INIT_CONTAINER_FAILING,
            Self::CrashLooping => reasons::CRASH_LOOPING,
            Self::NodeLost => reasons::NODE_LOST,
            Self::Evicted => reasons::EVICTED,
            Self::Preempted => reasons::PREEMPTED,
            Self::Drained => reasons::DRAINED,
            Self::NotReady => reasons::PROBE_FAILING,
        }
    }

    /// Its place among all: the lowest is said.
    pub fn rank(self) -> usize {
        reasons::rank(self.reason())
    }

    /// Whether something took the pod from its node, and nothing of the app was changed.
    pub fn is_displacement(self) -> bool {
        matches!(self, Self::NodeLost | Self::Evicted | Self::Preempted | Self::Drained)
    }

    /// Why a pod does not serve; none for one that does, or is on its way.
    pub fn of_pod(pod: &Value) -> Option<Self> {
        if text(pod, "/status/phase") == "Succeeded" {
            return None;
        }
        let displaced = Self::displaced(pod);
        let ending = pod.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null());
        if ending || text(pod, "/status/phase") == "Failed" {
            return displaced;
        }
        let scheduled = condition(pod, "PodScheduled");
        if scheduled.is_some_and(|one| one["status"] == "False" && one["reason"] == "Unschedulable") {
            return Self::unschedulable(scheduled.map_or("", |one| text(one, "/message")));
        }
        let of = |path: &str, init| {
            let all = pod.pointer(path).and_then(Value::as_array).into_iter().flatten();
            all.filter_map(move |one| Self::of_container(one, init)).min_by_key(|cause| cause.rank())
        };
        let containers = of("/status/initContainerStatuses", true)
            .or_else(|| of("/status/containerStatuses", false))
            .filter(|cause| *cause != Self::NotReady || !is(pod, "Ready"));
        containers.or(displaced)
    }

    /// Why the pods of a workload are refused, where its controller says so in a condition.
    pub fn of_workload(workload: &Value) -> Option<Self> {
        let failure = condition(workload, "ReplicaFailure").filter(|one| one["status"] == "True")?;
        Some(Self::of_refusal(text(failure, "/message")))
    }

    /// Why a pod was refused, from what the API server answered to whoever wanted to make it.
    pub fn of_refusal(message: &str) -> Self {
        let says = |part: &str| message.contains(part);
        if says("exceeded quota") {
            Self::ResourceQuotaExceeded
        } else if says("violates PodSecurity") {
            Self::PodSecurityDenied
        } else if says("failed calling webhook") {
            Self::WebhookUnavailable
        } else if says("denied the request") || says("denied request") {
            Self::AdmissionDenied
        } else {
            Self::PodNotCreated
        }
    }

    /// What an event says of a claim that is not bound; none where it only waits.
    pub fn of_claim(reason: &str, message: &str) -> Option<Self> {
        let no_class = message.contains("storageclass") && message.contains("not found");
        match reason {
            "ProvisioningFailed" if no_class => Some(Self::StorageClassMissing),
            "ProvisioningFailed" => Some(Self::VolumeNotProvisioned),
            "FailedBinding" if message.contains("no storage class is set") => Some(Self::StorageClassMissing),
            _ => None,
        }
    }

    /// Who took the pod from its node, or whether the node is not heard of.
    fn displaced(pod: &Value) -> Option<Self> {
        let target = condition(pod, "DisruptionTarget").filter(|one| one["status"] == "True");
        match target.map(|one| text(one, "/reason")) {
            Some("DeletionByTaintManager" | "DeletionByPodGC") => return Some(Self::NodeLost),
            Some("PreemptionByScheduler") => return Some(Self::Preempted),
            Some("EvictionByEvictionAPI") => return Some(Self::Drained),
            Some("TerminationByKubelet") => return Some(Self::Evicted),
            _ => {}
        }
        match text(pod, "/status/reason") {
            "Evicted" => return Some(Self::Evicted),
            "Preempting" => return Some(Self::Preempted),
            "NodeShutdown" | "Terminated" => return Some(Self::Drained),
            "NodeLost" => return Some(Self::NodeLost),
            short if short.starts_with("OutOf") => return Some(Self::NoRoomOnNodes),
            _ => {}
        }
        // A kubelet says both alike. Only the controller that has not heard of the node says the one without the other.
        let gated = pod.pointer("/spec/readinessGates").is_some();
        (!gated && condition(pod, "Ready").is_some() && !is(pod, "Ready") && is(pod, "ContainersReady"))
            .then_some(Self::NodeLost)
    }

    fn unschedulable(message: &str) -> Option<Self> {
        let says = |part: &str| message.contains(part);
        if says("unbound immediate PersistentVolumeClaims") || says("persistentvolumeclaim \"") {
            // The claim itself says more.
            None
        } else if says("olume's node affinity")
            || says("volume node affinity")
            || says("no available volume zone")
        {
            Some(Self::VolumeElsewhere)
        } else if says("Insufficient ") || says("Too many pods") {
            Some(Self::NoRoomOnNodes)
        } else {
            Some(Self::NoNodeFits)
        }
    }

    fn of_container(status: &Value, init: bool) -> Option<Self> {
        let waiting = text(status, "/state/waiting/reason");
        match waiting {
            "InvalidImageName" => return Some(Self::ImageNameInvalid),
            "ErrImagePull"
            | "ImagePullBackOff"
            | "ErrImageNeverPull"
            | "RegistryUnavailable"
            | "ImageInspectError"
            | "SignatureValidationFailed" => return Some(Self::ImageNotPulled),
            "CreateContainerConfigError" => return Some(Self::ConfigMissing),
            "CreateContainerError"
            | "RunContainerError"
            | "PreCreateHookError"
            | "PreStartHookError"
            | "PostStartHookError" => return Some(Self::ContainerNotStarted),
            _ => {}
        }
        if status["ready"] == true {
            return None;
        }
        let ended = ["/state/terminated", "/lastState/terminated"]
            .into_iter()
            .find_map(|path| status.pointer(path))
            .filter(|ended| ended["exitCode"] != 0);
        if let Some(cause) = ended.and_then(|ended| Self::of_end(ended, status, init)) {
            return Some(cause);
        }
        let runs = status.pointer("/state/running").is_some() && status["started"] == true;
        (runs && !init).then_some(Self::NotReady)
    }

    /// Why a container ended; none for a first end, which a restart often cures.
    fn of_end(ended: &Value, status: &Value, init: bool) -> Option<Self> {
        match text(ended, "/reason") {
            "OOMKilled" => return Some(Self::OutOfMemory),
            "ContainerCannotRun" | "StartError" => return Some(Self::ContainerNotStarted),
            _ => {}
        }
        let restarts = status["restartCount"].as_i64().unwrap_or_default();
        let backs_off = text(status, "/state/waiting/reason") == "CrashLoopBackOff";
        if restarts < 2 && !(backs_off && restarts == 1) {
            return None;
        }
        if text(ended, "/message").contains("No space left on device") {
            return Some(Self::VolumeFull);
        }
        Some(if init { Self::InitContainerFailing } else { Self::CrashLooping })
    }
}

fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    object.pointer("/status/conditions")?.as_array()?.iter().find(|one| one["type"] == type_)
}

fn is(object: &Value, type_: &str) -> bool {
    condition(object, type_).is_some_and(|one| one["status"] == "True")
}

#[cfg(test)]
mod tests;
