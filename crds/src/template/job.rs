//! What is done once, when an app is up for the first time.

use super::{Container, EmptyDir, Security};
use crate::Quantity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is done once, after the components are up for the first time.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct InitJob {
    /// Its name within the app.
    #[schemars(length(min = 1, max = 20), regex(pattern = crate::schema::NAME))]
    pub name: String,
    /// The container.
    #[serde(flatten)]
    pub container: Container,
    /// The component whose volumes it mounts; none: no volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20))]
    pub volumes_of: Option<String>,
    /// Places that may be written to and are lost with the pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub empty_dirs: Vec<EmptyDir>,
    /// Whom it runs as.
    pub security: Security,
    /// What it has, whatever the plan.
    #[serde(default)]
    pub resources: JobResources,
    /// How long one try may take, in seconds.
    #[serde(default = "default_job_timeout")]
    #[schemars(range(min = 1, max = 3600))]
    pub timeout_seconds: i32,
}

/// What an init job has.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct JobResources {
    /// CPU.
    #[serde(default = "default_job_cpu")]
    pub cpu: Quantity,
    /// Memory.
    #[serde(default = "default_job_memory")]
    pub memory: Quantity,
}

impl Default for JobResources {
    fn default() -> Self {
        Self { cpu: default_job_cpu(), memory: default_job_memory() }
    }
}

fn default_job_cpu() -> Quantity {
    Quantity::from_millis(250)
}

fn default_job_memory() -> Quantity {
    Quantity::from_units(256 << 20)
}

fn default_job_timeout() -> i32 {
    300
}
