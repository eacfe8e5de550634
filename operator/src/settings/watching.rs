//! What is watched for administrators, beyond what apps need: nodes, and details in the metrics.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is watched of the nodes.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Nodes {
    /// Whether pods that are not Nakhoda's are counted in what is asked of a node.
    #[serde(default = "yes")]
    pub count_foreign_pods: bool,
}

impl Default for Nodes {
    fn default() -> Self {
        Self { count_foreign_pods: yes() }
    }
}

/// What the metrics show in detail.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricsDetail {
    /// Whether there is a metric of quota used and limit for each tenant. Mind Prometheus: eight series for each.
    #[serde(default)]
    pub per_tenant: bool,
}

fn yes() -> bool {
    true
}
