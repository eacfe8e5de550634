//! Access from outside for apps that speak TCP.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How apps that speak TCP are reached from outside the cluster.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Access {
    /// By what, if at all.
    #[serde(rename = "type")]
    pub by: AccessType,
    /// The class of the load balancer; none: the cluster's default one.
    pub load_balancer_class: Option<String>,
    /// Annotations of the Service, as the load balancer wants them.
    pub annotations: BTreeMap<String, String>,
    /// With `NodePort`: the host name or address by which customers reach the nodes.
    pub node_host: Option<String>,
}

/// By what apps that speak TCP are reached from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum AccessType {
    /// Not at all.
    #[default]
    None,
    /// A load balancer for each instance.
    LoadBalancer,
    /// A port of the nodes for each instance.
    NodePort,
}

impl Access {
    /// What is out of its bounds.
    pub(super) fn problem(&self) -> Option<String> {
        if self.by == AccessType::NodePort && self.node_host.as_ref().is_none_or(String::is_empty) {
            return Some(
                "access.nodeHost is needed with access.type NodePort: it is what customers connect to"
                    .to_owned(),
            );
        }
        if self.by != AccessType::NodePort && self.node_host.is_some() {
            return Some("access.nodeHost goes with access.type NodePort".to_owned());
        }
        if self.by != AccessType::LoadBalancer && self.load_balancer_class.is_some() {
            return Some("access.loadBalancerClass goes with access.type LoadBalancer".to_owned());
        }
        self.annotations
            .keys()
            .find(|key| key.starts_with("nakhoda.dev/"))
            .map(|key| format!("access.annotations: {key} is the operator's own"))
    }
}
