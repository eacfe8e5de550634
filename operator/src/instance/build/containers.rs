//! Containers: image, command, environment, probes, limits.

use super::{Builder, security};
use crate::instance::{fill, fill::Values, validate::component_resources};
use crds::{
    Quantity,
    template::{Component, Container, EmptyDir, InitJob, Probe, Security},
};
use serde_json::{Value, json};

/// What the containers of one pod share.
#[derive(Clone, Copy)]
pub(super) struct Pod<'a> {
    pub(super) cpu: Quantity,
    pub(super) memory: Quantity,
    pub(super) security: &'a Security,
    /// The component whose volumes it mounts.
    pub(super) volumes_of: Option<&'a Component>,
    pub(super) empty_dirs: &'a [EmptyDir],
}

impl Builder<'_> {
    pub(super) fn pod_of<'a>(&self, component: &'a Component) -> Pod<'a> {
        let (cpu, memory) = component_resources(component, &self.v.resources);
        let Component { security, empty_dirs, .. } = component;
        Pod { cpu, memory, security, volumes_of: Some(component), empty_dirs }
    }

    pub(super) fn pod_of_job<'a>(&'a self, job: &'a InitJob) -> Pod<'a> {
        let InitJob { security, empty_dirs, resources, volumes_of, .. } = job;
        let components = &self.v.template.spec.components;
        let volumes_of =
            volumes_of.as_ref().and_then(|of| components.iter().find(|component| component.name == *of));
        Pod { cpu: resources.cpu, memory: resources.memory, security, volumes_of, empty_dirs }
    }

    /// The one container that a component is.
    pub(super) fn build_container(&self, component: &Component) -> Value {
        let pod = self.pod_of(component);
        let mut container = self.build_plain_container(&component.name, pod, &component.container);
        container["ports"] = component
            .ports
            .iter()
            .map(|port| json!({"name": port.name, "containerPort": port.port, "protocol": "TCP"}))
            .collect();
        container["startupProbe"] = self.build_probe(component, &component.probes.startup);
        container["readinessProbe"] = self.build_probe(component, &component.probes.readiness);
        container["livenessProbe"] = self.build_probe(component, &component.probes.liveness);
        container
    }

    /// What runs to its end before it.
    pub(super) fn build_init_containers(&self, component: &Component) -> Vec<Value> {
        let (pod, all) = (self.pod_of(component), component.init_containers.iter());
        all.map(|init| self.build_plain_container(&init.name, pod, &init.container)).collect()
    }

    pub(super) fn build_plain_container(&self, name: &str, pod: Pod<'_>, container: &Container) -> Value {
        let amounts = json!({"cpu": pod.cpu.to_cpu(), "memory": pod.memory.to_bytes()});
        let filled = self.filler(pod.memory);
        let mut body = json!({
            "name": name,
            "image": self.settings.images.resolve(&container.image),
            "imagePullPolicy": "IfNotPresent",
            "env": self.build_env(pod, container),
            "resources": {"requests": amounts, "limits": amounts},
            "securityContext": security::build_container_security(pod.security),
            "volumeMounts": Self::build_mounts(pod, container),
        });
        if !container.command.is_empty() {
            body["command"] = container.command.iter().map(&filled).collect();
        }
        if !container.args.is_empty() {
            body["args"] = container.args.iter().map(&filled).collect();
        }
        without_empty_lists(&mut body, &["env", "volumeMounts"]);
        body
    }

    fn build_env(&self, pod: Pod<'_>, container: &Container) -> Vec<Value> {
        let filled = self.filler(pod.memory);
        let secret_name = crds::names::data_secret(&self.v.data_id);
        let variables = container.env.iter();
        variables
            .map(|env| match (&env.value, &env.secret) {
                (_, Some(secret)) => {
                    json!({"name": env.name, "valueFrom": {"secretKeyRef": {"name": secret_name, "key": secret}}})
                }
                (value, None) => json!({"name": env.name, "value": value.as_ref().map(&filled).unwrap_or_default()}),
            })
            .collect()
    }

    fn build_probe(&self, component: &Component, probe: &Probe) -> Value {
        let mut body = json!({
            "periodSeconds": probe.period_seconds,
            "timeoutSeconds": probe.timeout_seconds,
            "failureThreshold": probe.failure_threshold,
        });
        let memory = self.pod_of(component).memory;
        let (facts, none) = (self.facts_for(Some(memory)), std::collections::BTreeMap::new());
        let plain = |text: &str| {
            fill::fill(text, Values { facts: &facts, parameters: &self.v.parameters, secrets: &none })
        };
        if let Some(http) = &probe.http {
            body["httpGet"] = json!({"path": http.path, "port": http.port, "scheme": "HTTP"});
            if !http.headers.is_empty() {
                let headers = http.headers.iter();
                body["httpGet"]["httpHeaders"] = headers
                    .map(|header| json!({"name": header.name, "value": plain(&header.value)}))
                    .collect();
            }
        } else if let Some(port) = &probe.tcp {
            body["tcpSocket"] = json!({"port": port});
        } else {
            let filled = self.filler(memory);
            body["exec"] = json!({"command": probe.exec.iter().map(&filled).collect::<Vec<_>>()});
        }
        body
    }
}

/// Empty lists are left out: the API server doesn't keep them.
fn without_empty_lists(body: &mut Value, keys: &[&str]) {
    if let Some(map) = body.as_object_mut() {
        map.retain(|key, value| {
            !keys.contains(&key.as_str()) || value.as_array().is_none_or(|list| !list.is_empty())
        });
    }
}
