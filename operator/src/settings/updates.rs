//! When changes that are not an owner's own are rolled out.

use crate::instance::window::Window;
use crds::instance::MaintenanceWindow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When a change of running apps that is not their owner's own is rolled out: an edited template, a new operator, other
/// settings.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Updates {
    /// The weekly window of instances that have none of their own. Absent: they wait for `spec.rolloutAt`, or for their owner's
    /// next change of the app.
    #[serde(default)]
    pub window: Option<MaintenanceWindow>,
    /// An annotation on every pod, which stands for an operator that builds pods otherwise: for tests of an upgrade.
    #[serde(skip)]
    pub pod_note: Option<String>,
}

impl Updates {
    /// What is wrong with it, if anything.
    pub fn problem(&self) -> Option<String> {
        let error = Window::parse(self.window.as_ref()?).err()?;
        Some(format!("updates.window: {error}"))
    }
}
