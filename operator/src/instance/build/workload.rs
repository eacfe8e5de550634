//! Workloads: a StatefulSet for what keeps a database, a Deployment for the rest, always of one pod.

use super::{Builder, Object, security};
use crate::kinds::Kind;
use crds::{
    labels,
    template::{Component, Container},
};
use serde_json::{Value, json};

impl Builder<'_> {
    /// The workload of a component; none while what it depends on has never been up.
    pub(super) fn build_workload(&self, component: &Component) -> Option<Object> {
        let replicas = self.replicas(component)?;
        let name = self.workload_name(component);
        let mut spec = json!({
            "replicas": replicas,
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": self.selector(component)},
            "template": {"metadata": self.build_pod_metadata(component), "spec": self.build_pod_spec(component)},
        });
        let kind = if component.stateful {
            spec["serviceName"] = json!(self.service_name(component));
            // In order, a pod that never becomes ready would keep its own repair from being rolled out.
            spec["podManagementPolicy"] = json!("Parallel");
            Kind::StatefulSet
        } else {
            spec["strategy"] = json!({"type": "Recreate"});
            Kind::Deployment
        };
        let annotations = self.build_workload_notes(component);
        let body = json!({"metadata": {"annotations": annotations}, "spec": spec});
        Some(self.object(kind, &name, Some(component), body))
    }

    /// What tells the owner's own changes from others, and one `rolloutAt` from the next.
    fn build_workload_notes(&self, component: &Component) -> Value {
        let mut notes = json!({labels::INPUTS: self.v.inputs});
        let reached = self.v.rollout_due.map(|at| at.to_string());
        if let Some(at) = reached.or_else(|| self.facts.rollout_at.get(&component.name).cloned()) {
            notes[labels::ROLLOUT_AT] = json!(at);
        }
        notes
    }

    /// How many pods: what it depends on is up first, and what depends on it is down first.
    fn replicas(&self, component: &Component) -> Option<i32> {
        let started = self.facts.started.contains(&component.name);
        if self.v.power.is_on() {
            let ready = component.depends_on.iter().all(|other| self.facts.ready.contains(other));
            let exists = self.facts.existing.contains(&component.name);
            return if ready || started { Some(1) } else { exists.then_some(0) };
        }
        let components = &self.v.template.spec.components;
        let needed = components.iter().any(|other| {
            other.depends_on.contains(&component.name) && self.facts.started.contains(&other.name)
        });
        Some(i32::from(needed && started))
    }

    fn build_pod_metadata(&self, component: &Component) -> Value {
        let mut metadata = json!({"labels": self.labels(Some(component))});
        if let Some(at) = self.v.restarted_at {
            metadata["annotations"][labels::RESTARTED_AT] = json!(at.to_string());
        }
        if let Some(note) = &self.settings.updates.pod_note {
            metadata["annotations"]["nakhoda.dev/note"] = json!(note);
        }
        if let Some(hash) = self.files_hash(&containers_of(component)) {
            metadata["annotations"][labels::FILES] = json!(hash);
        }
        metadata
    }

    fn build_pod_spec(&self, component: &Component) -> Value {
        let mut spec = json!({
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "containers": [self.build_container(component)],
            "securityContext": security::build_pod_security(&component.security),
            "terminationGracePeriodSeconds": component.grace_period_seconds,
        });
        let volumes = self.build_pod_volumes(self.pod_of(component), &containers_of(component));
        if !volumes.is_empty() {
            spec["volumes"] = json!(volumes);
        }
        let init = self.build_init_containers(component);
        if !init.is_empty() {
            spec["initContainers"] = json!(init);
        }
        spec
    }
}

/// Every container of a component's pod.
fn containers_of(component: &Component) -> Vec<&Container> {
    let inits = component.init_containers.iter().map(|init| &init.container);
    std::iter::once(&component.container).chain(inits).collect()
}
