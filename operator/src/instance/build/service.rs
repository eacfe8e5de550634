//! Services: one per component, and for TCP apps one under the instance's own name, and one for access from outside.

use super::{Builder, Object};
use crate::{kinds::Kind, settings::access::AccessType};
use crds::{
    labels, names,
    template::{Component, Port},
};
use serde_json::{Value, json};

impl Builder<'_> {
    pub(super) fn service_name(&self, component: &Component) -> String {
        self.child_name(&component.name, names::MAX_LABEL)
    }

    /// The Service by which a component is reached within the app; headless for databases.
    pub(super) fn build_service(&self, component: &Component) -> Object {
        let mut spec = json!({
            "selector": self.selector(component),
            "ports": component.ports.iter().map(|port| build_port(&port.name, port.port)).collect::<Vec<_>>(),
        });
        if component.stateful {
            spec["clusterIP"] = json!("None");
        }
        self.object(Kind::Service, &self.service_name(component), Some(component), json!({"spec": spec}))
    }

    /// The component and the port that a TCP app is reached by.
    pub(super) fn exposed_port(&self) -> Option<(&Component, &Port)> {
        let tcp = self.v.template.spec.expose.tcp.as_ref()?;
        let component = self.v.template.spec.components.iter().find(|c| c.name == tcp.component)?;
        Some((component, component.ports.iter().find(|port| port.name == tcp.port)?))
    }

    /// The Service of a TCP app: it has the instance's own name, which is what people connect to.
    pub(super) fn build_exposed_service(&self) -> Option<Object> {
        let (component, port) = self.exposed_port()?;
        let spec = json!({
            "type": "ClusterIP",
            "selector": self.selector(component),
            "ports": [build_port(&port.name, port.port)],
        });
        Some(self.object(Kind::Service, &self.v.name, Some(component), json!({"spec": spec})))
    }

    /// The Service by which a TCP app is reached from outside, where that is asked for and offered. One of its own, so that the
    /// address within the cluster stays whatever happens to this one. It stays while the app is stopped, too.
    pub(super) fn build_external_service(&self) -> Option<Object> {
        let Some(Ok(access)) = &self.v.access else { return None };
        let (component, port) = self.exposed_port()?;
        let settings = &self.settings.access;
        let mut spec = json!({
            "selector": self.selector(component),
            "ports": [build_port(&port.name, port.port)],
            // Only so is the client's address kept, which the allowed ranges are compared with.
            "externalTrafficPolicy": "Local",
        });
        let mut name = "external".to_owned();
        match access.by {
            AccessType::None => return None,
            AccessType::NodePort => spec["type"] = json!("NodePort"),
            AccessType::LoadBalancer => {
                spec["type"] = json!("LoadBalancer");
                if let Some(class) = &settings.load_balancer_class {
                    spec["loadBalancerClass"] = json!(class);
                    // A Service can't change its class, so one of another class has another name.
                    name = format!("external-{}", names::short_hash(class, 4));
                }
                if !access.allowed.is_empty() {
                    spec["loadBalancerSourceRanges"] = json!(access.allowed);
                }
            }
        }
        let mut body = json!({"spec": spec, "metadata": {"annotations": settings.annotations}});
        body["metadata"]["annotations"][labels::INPUTS] = json!(access.inputs());
        let name = self.child_name(&name, names::MAX_LABEL);
        Some(self.object(Kind::Service, &name, Some(component), body))
    }
}

fn build_port(name: &str, port: i32) -> Value {
    json!({"name": name, "port": port, "targetPort": name, "protocol": "TCP"})
}
