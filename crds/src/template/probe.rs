//! How the state of a component is seen.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the state of a component is seen.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Probes {
    /// Until it succeeds the others wait. Long enough for a first boot with migrations.
    pub startup: Probe,
    /// Whether it can serve.
    pub readiness: Probe,
    /// Whether it must be started anew; it must not depend on another component.
    pub liveness: Probe,
}

/// A probe: one of `http`, `tcp`, `exec`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(
    validation = Rule::new("[has(self.http), has(self.tcp), has(self.exec) && self.exec.size() > 0].filter(x, x).size() == 1")
        .message("give exactly one of http, tcp and exec"),
)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// An HTTP request that must answer 200 to 399.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpProbe>,
    /// The name of a port that must accept a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 15))]
    pub tcp: Option<String>,
    /// A command that must exit with 0; *filled* with facts and parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 1000)))]
    pub exec: Vec<String>,
    /// The time between two tries, in seconds.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 300))]
    pub period_seconds: i32,
    /// How long one try may take, in seconds.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 60))]
    pub timeout_seconds: i32,
    /// How many tries must fail.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 200))]
    pub failure_threshold: i32,
}

fn ten() -> i32 {
    10
}

fn five() -> i32 {
    5
}

fn three() -> i32 {
    3
}

/// An HTTP request of a probe.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HttpProbe {
    /// The name of the port.
    #[schemars(length(max = 15))]
    pub port: String,
    /// The path.
    #[schemars(length(max = 300), regex(pattern = "^/"))]
    pub path: String,
    /// Headers, *filled* with facts: behind a proxy an app wants `X-Forwarded-Proto: https` and its own `Host`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub headers: Vec<Header>,
}

/// An HTTP header.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    #[schemars(length(min = 1, max = 100), regex(pattern = "^[A-Za-z0-9-]+$"))]
    pub name: String,
    /// Its value.
    #[schemars(length(max = 300))]
    pub value: String,
}
