//! What the world reaches.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the world reaches: `http` through an ingress, or `tcp`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = Rule::new("has(self.http) != has(self.tcp)").message("give either http or tcp"))]
pub struct Expose {
    /// An app that speaks HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<ExposeHttp>,
    /// An app that speaks a protocol of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<ExposeTcp>,
}

/// An app that speaks HTTP.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ExposeHttp {
    /// The component.
    #[schemars(length(max = 20))]
    pub component: String,
    /// The name of its port.
    #[schemars(length(max = 15))]
    pub port: String,
    /// The path of its administration page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), regex(pattern = "^/"))]
    pub admin_path: Option<String>,
    /// The largest request that is let through, in MiB.
    #[serde(default = "default_body")]
    #[schemars(range(min = 1, max = 1024))]
    pub max_body_mebibytes: i32,
    /// How long a request may be quiet, in seconds.
    #[serde(default = "default_read_timeout")]
    #[schemars(range(min = 1, max = 86400))]
    pub read_timeout_seconds: i32,
}

fn default_body() -> i32 {
    16
}

fn default_read_timeout() -> i32 {
    60
}

/// An app that speaks a protocol of its own.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct ExposeTcp {
    /// The component.
    #[schemars(length(max = 20))]
    pub component: String,
    /// The name of its port.
    #[schemars(length(max = 15))]
    pub port: String,
}
