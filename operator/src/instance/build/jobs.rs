//! Init jobs: what an app needs done once, when its components are up for the first time.

use super::{Builder, Object, security};
use crate::{digest, kinds::Kind};
use crds::{labels, names, template::InitJob};
use serde_json::{Value, json};

/// How often a job is tried; the pauses between grow from 10 s to 6 min (Kubernetes' own back-off).
const TRIES: i32 = 7;

impl Builder<'_> {
    /// Whether visitors may come in: all init jobs have succeeded, now or for the data that was restored.
    pub(super) fn is_open(&self) -> bool {
        let jobs = &self.v.template.spec.init_jobs;
        self.v.initialized || jobs.iter().all(|job| self.facts.jobs.get(&job.name) == Some(&true))
    }

    /// The job whose turn it is. The first waits for every component; what was begun goes on while a component restarts, and is
    /// taken away while the app may not run.
    pub(super) fn build_jobs(&self) -> Vec<Object> {
        if self.v.initialized || !self.v.power.is_on() {
            return Vec::new();
        }
        let spec = &self.v.template.spec;
        let next = spec.init_jobs.iter().find(|job| self.facts.jobs.get(&job.name) != Some(&true));
        let up = spec.components.iter().all(|component| self.facts.ready.contains(&component.name));
        let begun = |job: &InitJob| self.facts.jobs.contains_key(&job.name);
        next.filter(|job| up || begun(job)).map(|job| self.build_job(job)).into_iter().collect()
    }

    /// A job never changes once it is made: its name follows from what is in it, so that a corrected one is another.
    fn build_job(&self, job: &InitJob) -> Object {
        let mut pod_labels = self.labels(None);
        pod_labels.insert(labels::COMPONENT, job.name.clone());
        let mut pod = json!({"metadata": {"labels": pod_labels}, "spec": self.build_job_pod(job)});
        if let Some(at) = self.v.restarted_at {
            pod["metadata"]["annotations"][labels::RESTARTED_AT] = json!(at.to_string());
        }
        if let Some(hash) = self.files_hash(&[&job.container]) {
            pod["metadata"]["annotations"][labels::FILES] = json!(hash);
        }
        let body = json!({
            "metadata": {"labels": pod_labels, "ownerReferences": [self.v.owner]},
            "spec": {"backoffLimit": TRIES - 1, "template": pod},
        });
        let mark = digest::desired_hash(&body);
        let name = self.child_name(&format!("{}-{}", job.name, &mark[..8]), names::MAX_LABEL);
        Object::new(Kind::Job, &self.v.namespace, &name, body)
    }

    fn build_job_pod(&self, job: &InitJob) -> Value {
        let pod = self.pod_of_job(job);
        let mut spec = json!({
            "activeDeadlineSeconds": job.timeout_seconds,
            "automountServiceAccountToken": false,
            "containers": [self.build_plain_container(&job.name, pod, &job.container)],
            "enableServiceLinks": false,
            "restartPolicy": "Never",
            "securityContext": security::build_pod_security(&job.security),
        });
        let volumes = self.build_pod_volumes(pod, &[&job.container]);
        if !volumes.is_empty() {
            spec["volumes"] = json!(volumes);
        }
        // A volume is on one node at a time: the job goes where the component is.
        if let Some(of) = pod.volumes_of {
            let near = json!({"labelSelector": {"matchLabels": self.selector(of)}, "topologyKey": "kubernetes.io/hostname"});
            spec["affinity"] =
                json!({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [near]}});
        }
        spec
    }
}
