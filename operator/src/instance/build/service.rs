//! Services: one per component, and for TCP apps one under the instance's own name.

use super::{Builder, Object};
use crate::kinds::Kind;
use crds::{names, template::Component};
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

    /// The Service of a TCP app: it has the instance's own name, which is what people connect to.
    pub(super) fn build_exposed_service(&self) -> Option<Object> {
        let tcp = self.v.template.spec.expose.tcp.as_ref()?;
        let component = self.v.template.spec.components.iter().find(|c| c.name == tcp.component)?;
        let port = component.ports.iter().find(|port| port.name == tcp.port)?;
        let spec = json!({
            "type": "ClusterIP",
            "selector": self.selector(component),
            "ports": [build_port(&port.name, port.port)],
        });
        Some(self.object(Kind::Service, &self.v.name, Some(component), json!({"spec": spec})))
    }
}

fn build_port(name: &str, port: i32) -> Value {
    json!({"name": name, "port": port, "targetPort": name, "protocol": "TCP"})
}
