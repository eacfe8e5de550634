//! Who may reach the instance's pods, beside the tenant's own default-deny.

use super::{Builder, Object};
use crate::{digest, kinds::Kind};
use crds::{labels, names};
use serde_json::{Value, json};

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
        let visitors = [self.build_entrance(), self.build_access()].into_iter().flatten();
        within.into_iter().chain(visitors.filter(|_| self.is_open())).collect()
    }

    /// The exposed port of a TCP app is open to the allowed ranges, or to everybody where there are none.
    fn build_access(&self) -> Option<Object> {
        let Some(Ok(access)) = &self.v.access else { return None };
        let (component, port) = self.exposed_port()?;
        let mut rule = json!({"ports": [{"protocol": "TCP", "port": port.port}]});
        if !access.allowed.is_empty() {
            let ranges: Vec<Value> =
                access.allowed.iter().map(|range| json!({"ipBlock": {"cidr": range}})).collect();
            rule["from"] = json!(ranges);
        }
        let spec = json!({
            "podSelector": {"matchLabels": self.selector(component)},
            "policyTypes": ["Ingress"],
            "ingress": [rule],
        });
        let name = self.child_name("access", names::MAX_LABEL);
        let metadata = json!({"annotations": {labels::INPUTS: access.inputs()}});
        let body = json!({"spec": spec, "metadata": metadata});
        Some(self.object(Kind::NetworkPolicy, &name, Some(component), body))
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
        // Who may come in is the platform's to say, and does not wait with an update.
        let metadata = json!({"annotations": {labels::INPUTS: digest::desired_hash(&from)}});
        let body = json!({"spec": spec, "metadata": metadata});
        Some(self.object(Kind::NetworkPolicy, &name, Some(component), body))
    }
}
