//! The parts of an app that run.

use super::{Container, InitContainer, Probes, Security};
use crate::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A part that runs: one pod.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Component {
    /// Its name within the app; with the instance's it names the workload and the Service.
    #[schemars(length(min = 1, max = 20), regex(pattern = crate::schema::NAME))]
    pub name: String,
    /// Whether it is a database: a StatefulSet with a stable name, stopped last and started first.
    #[serde(default)]
    pub stateful: bool,
    /// The components that must be ready before this one starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 9), inner(length(max = 20)))]
    pub depends_on: Vec<String>,
    /// The container.
    #[serde(flatten)]
    pub container: Container,
    /// Containers that run to their end before it starts, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_string()]))]
    pub init_containers: Vec<InitContainer>,
    /// What it listens on.
    #[schemars(length(min = 1, max = 5))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_string()]))]
    pub ports: Vec<Port>,
    /// Volumes that keep data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_string()]))]
    pub volumes: Vec<Volume>,
    /// Places that may be written to and are lost with the pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_string()]))]
    pub empty_dirs: Vec<EmptyDir>,
    /// How its state is seen.
    pub probes: Probes,
    /// Whom it runs as.
    pub security: Security,
    /// What it has of the plan.
    #[serde(default)]
    pub resources: ComponentResources,
    /// How long it may take to end, in seconds.
    #[serde(default = "default_grace")]
    #[schemars(range(min = 1, max = 600))]
    pub grace_period_seconds: i32,
}

fn default_grace() -> i32 {
    30
}

/// A port.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    #[schemars(length(min = 1, max = 15), regex(pattern = crate::schema::NAME))]
    pub name: String,
    /// Its number.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
}

/// A volume that keeps data.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Its name within the component.
    #[schemars(length(min = 1, max = 20), regex(pattern = crate::schema::NAME))]
    pub name: String,
    /// Where it is mounted.
    #[schemars(length(max = 300), regex(pattern = r"^(/([A-Za-z0-9_-]|\.[A-Za-z0-9_-])[A-Za-z0-9._-]*)+$"))]
    pub path: String,
    /// The folder within the volume that is mounted: a fresh file system has a `lost+found` that databases refuse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), regex(pattern = "^[a-zA-Z0-9_-]+$"))]
    pub sub_path: Option<String>,
    /// How much of the plan's storage it has, in per cent. All volumes of an app have 100 together.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1, max = 100))]
    pub storage_percent: i32,
}

fn hundred() -> i32 {
    100
}

/// A place that may be written to and is lost with the pod.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct EmptyDir {
    /// Its name within the component.
    #[schemars(length(min = 1, max = 20), regex(pattern = crate::schema::NAME))]
    pub name: String,
    /// Where it is mounted.
    #[schemars(length(max = 300), regex(pattern = r"^(/([A-Za-z0-9_-]|\.[A-Za-z0-9_-])[A-Za-z0-9._-]*)+$"))]
    pub path: String,
    /// Whether it lives in memory, where it counts toward the memory limit.
    #[serde(default)]
    pub memory: bool,
    /// How large it may grow; more evicts the pod.
    pub size_limit: Quantity,
}

/// What a component has: a share of the plan's, or a fixed amount.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(
    validation = Rule::new("!(has(self.cpu) && has(self.cpuPercent))").message("give cpu or cpuPercent"),
    validation = Rule::new("!(has(self.memory) && has(self.memoryPercent))").message("give memory or memoryPercent"),
)]
#[serde(rename_all = "camelCase")]
pub struct ComponentResources {
    /// Its share of the plan's CPU, in per cent (100 where nothing is given).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub cpu_percent: Option<i32>,
    /// Its share of the plan's memory, in per cent (100 where nothing is given).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub memory_percent: Option<i32>,
    /// A fixed amount of CPU, whatever the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Quantity>,
    /// A fixed amount of memory, whatever the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
}
