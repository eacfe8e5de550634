//! Who may reach the instance's pods, beside the tenant's own default-deny.

use super::{Builder, Object};
use crate::kinds::Kind;
use crds::{labels, names};
use serde_json::json;

impl Builder<'_> {
    /// Its components reach each other; the exposed port is open to the tenant's own pods (TCP) or to the ingress
    /// controller (HTTP).
    pub(super) fn build_network_policies(&self) -> Vec<Object> {
        let spec = &self.v.template.spec;
        let within = (spec.components.len() + spec.init_jobs.len() > 1).then(|| {
            let own = json!({"matchLabels": {labels::INSTANCE: self.v.uid}});
            let spec = json!({"podSelector": own, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": own}]}]});
            let name = self.child_name("within", names::MAX_LABEL);
            self.object(Kind::NetworkPolicy, &name, None, json!({"spec": spec}))
        });
        let entrance = self.is_open().then(|| self.build_entrance()).flatten();
        within.into_iter().chain(entrance).collect()
    }

    fn build_entrance(&self) -> Option<Object> {
        let expose = &self.v.template.spec.expose;
        let (component, port, from) = match (&expose.http, &expose.tcp) {
            (Some(http), _) => (&http.component, &http.port, json!(self.settings.ingress.from)),
            (None, Some(tcp)) => (&tcp.component, &tcp.port, json!([{"podSelector": {}}])),
            (None, None) => return None,
        };
        // An empty list would let everybody in.
        if from.as_array().is_none_or(Vec::is_empty) {
            return None;
        }
        let component = self.v.template.spec.components.iter().find(|c| c.name == *component)?;
        let number = component.ports.iter().find(|one| one.name == *port)?.port;
        let spec = json!({
            "podSelector": {"matchLabels": self.selector(component)},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": from, "ports": [{"protocol": "TCP", "port": number}]}],
        });
        let name = self.child_name("entrance", names::MAX_LABEL);
        Some(self.object(Kind::NetworkPolicy, &name, Some(component), json!({"spec": spec})))
    }
}
