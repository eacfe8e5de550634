//! Whom components run as.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whom a component runs as: never root, with no capability, a read-only root file system unless it is said.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Security {
    /// The user.
    #[schemars(range(min = 1, max = 65535))]
    pub user: i64,
    /// The group, which also owns the volumes.
    #[schemars(range(min = 1, max = 65535))]
    pub group: i64,
    /// Whether the image needs to write to its own root file system.
    #[serde(default)]
    pub writable_root: bool,
    /// Sysctls of those that Pod Security `restricted` admits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub sysctls: Vec<Sysctl>,
}

/// A safe sysctl.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct Sysctl {
    /// Its name.
    pub name: SysctlName,
    /// Its value.
    #[schemars(length(min = 1, max = 100), regex(pattern = "^[0-9 ]+$"))]
    pub value: String,
}

/// The sysctls of use to apps that Pod Security `restricted` admits.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SysctlName {
    /// The first port that an unprivileged process may listen on.
    #[default]
    #[serde(rename = "net.ipv4.ip_unprivileged_port_start")]
    UnprivilegedPortStart,
    /// The ports of outgoing connections.
    #[serde(rename = "net.ipv4.ip_local_port_range")]
    LocalPortRange,
    /// When idle connections are probed, in seconds.
    #[serde(rename = "net.ipv4.tcp_keepalive_time")]
    TcpKeepaliveTime,
}
