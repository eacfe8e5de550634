//! The Ingress of HTTP apps. It stays while the app is stopped or suspended: the controller answers 503 then.

use super::{Builder, Object};
use crate::kinds::Kind;
use crds::names;
use serde_json::json;

impl Builder<'_> {
    /// The Ingress of the platform host; none for TCP apps.
    pub(super) fn build_ingress(&self) -> Option<Object> {
        let http = self.v.template.spec.expose.http.as_ref()?;
        let component = self.v.template.spec.components.iter().find(|c| c.name == http.component)?;
        let backend = json!({"service": {"name": self.service_name(component), "port": {"name": http.port}}});
        let mut spec = json!({
            "rules": [{
                "host": self.v.host,
                "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]},
            }],
        });
        if let Some(class) = &self.settings.ingress.class_name {
            spec["ingressClassName"] = json!(class);
        }
        let name = self.child_name("web", names::MAX_LABEL);
        Some(self.object(Kind::Ingress, &name, Some(component), json!({"spec": spec})))
    }
}
