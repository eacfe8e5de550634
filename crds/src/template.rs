//! `ServiceTemplate`: what an app is, as data. A new app is a new YAML file and no Rust.
//!
//! Strings marked *filled* may name facts, parameters and secrets: `{{facts.host}}`, `{{parameters.title}}`,
//! `{{secrets.password}}`. There are no expressions.

use crate::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an app is: its containers, volumes, secrets, settings and what the customer is shown.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "nakhoda.dev",
    version = "v1alpha1",
    kind = "ServiceTemplate",
    plural = "servicetemplates",
    shortname = "stpl",
    category = "nakhoda",
    status = "ServiceTemplateStatus",
    derive = "PartialEq",
    doc = "What an app is, as data: its containers, volumes, secrets, settings and what the customer is shown.",
    printcolumn(name = "APP", type_ = "string", json_path = ".spec.displayName"),
    printcolumn(name = "VERSION", type_ = "string", json_path = ".spec.version"),
    printcolumn(name = "CATEGORY", type_ = "string", json_path = ".spec.category"),
    printcolumn(name = "DISABLED", type_ = "boolean", json_path = ".spec.disabled"),
    printcolumn(name = "PLANS", type_ = "integer", json_path = ".status.plans"),
    printcolumn(name = "INSTANCES", type_ = "integer", json_path = ".status.instances"),
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "REASON", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name must be 1 to 63 of a-z, 0-9 and -, beginning with a letter and not ending in -"),
)]
#[serde(rename_all = "camelCase")]
pub struct ServiceTemplateSpec {
    /// What customers call the app.
    #[schemars(length(min = 1, max = 80))]
    pub display_name: String,
    /// What it is for, in a sentence or two.
    #[schemars(length(min = 1, max = 2000))]
    pub description: String,
    /// Name of the picture that a frontend shows, or an https address of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub icon: Option<String>,
    /// The category that it is listed in.
    #[schemars(length(min = 1, max = 63), regex(pattern = crate::schema::NAME))]
    pub category: String,
    /// The version of the app that the images carry.
    #[schemars(length(min = 1, max = 40))]
    pub version: String,
    /// What its licence asks of whoever sells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub licence_note: Option<String>,
    /// Not sold and not made anew; what runs goes on.
    #[serde(default)]
    pub disabled: bool,
    /// What the customer may set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_string()]))]
    pub parameters: Vec<Parameter>,
    /// What is generated once per data, and then kept as long as the data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 30))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_string()]))]
    pub secrets: Vec<GeneratedSecret>,
    /// Files that containers mount.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_string()]))]
    pub files: Vec<File>,
    /// The parts that run.
    #[schemars(length(min = 1, max = 10))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_string()]))]
    pub components: Vec<Component>,
    /// What is done once, one after the other, when the components are up for the first time. Visitors are let in only once
    /// all of them have succeeded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_string()]))]
    pub init_jobs: Vec<InitJob>,
    /// What the world reaches.
    pub expose: Expose,
    /// What the customer is shown, in this order; kept in a Secret of the instance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_string()]))]
    pub credentials: Vec<Credential>,
}

/// What the customer may set.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(
    validation = Rule::new("self.type == 'Enum' ? has(self.values) && self.values.size() > 0 : !has(self.values) || self.values.size() == 0")
        .message("values goes with type Enum, and Enum needs them"),
    validation = Rule::new("self.type == 'Integer' || (!has(self.minimum) && !has(self.maximum))")
        .message("minimum and maximum go with type Integer"),
    validation = Rule::new("self.type == 'String' || (!has(self.minLength) && !has(self.maxLength) && !has(self.pattern))")
        .message("minLength, maxLength and pattern go with type String"),
    validation = Rule::new("!(has(self.default) && self.required)")
        .message("a parameter is either required or has a default"),
    validation = Rule::new("!has(self.minimum) || !has(self.maximum) || self.minimum <= self.maximum")
        .message("minimum is above maximum"),
    validation = Rule::new("!has(self.minLength) || !has(self.maxLength) || self.minLength <= self.maxLength")
        .message("minLength is above maxLength"),
)]
#[serde(rename_all = "camelCase")]
pub struct Parameter {
    /// What an instance calls it.
    #[schemars(regex(pattern = crate::schema::KEY))]
    pub name: String,
    /// What a form calls it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 80))]
    pub display_name: String,
    /// What it does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 500))]
    pub description: String,
    /// What its text must be.
    #[serde(rename = "type", default)]
    pub type_: ParameterType,
    /// Its value where the instance gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub default: Option<String>,
    /// Whether the instance must give it.
    #[serde(default)]
    pub required: bool,
    /// Whether it is fixed once the instance was made.
    #[serde(default)]
    pub immutable: bool,
    /// String: the fewest characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4096))]
    pub min_length: Option<i32>,
    /// String: the most characters (4096 where absent).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4096))]
    pub max_length: Option<i32>,
    /// String: a regular expression that the whole text must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub pattern: Option<String>,
    /// Integer: the smallest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<i64>,
    /// Integer: the largest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<i64>,
    /// Enum: what may be chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 200)))]
    pub values: Vec<String>,
}

/// What a parameter's text must be.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ParameterType {
    /// Any text without control characters.
    #[default]
    String,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// One of `values`.
    Enum,
}

/// What is generated once.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(
    validation = Rule::new("(self.type == 'Bcrypt') == has(self.of)")
        .message("of goes with type Bcrypt, and Bcrypt needs it: the name of the secret to hash"),
)]
#[serde(rename_all = "camelCase")]
pub struct GeneratedSecret {
    /// What the template calls it.
    #[schemars(regex(pattern = crate::schema::KEY))]
    pub name: String,
    /// How it is made.
    #[serde(rename = "type", default)]
    pub type_: SecretType,
    /// How many characters (Alphanumeric, Hex).
    #[serde(default = "default_length")]
    #[schemars(range(min = 16, max = 128))]
    pub length: i32,
    /// Bcrypt: the secret that it is the hash of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = crate::schema::KEY))]
    pub of: Option<String>,
}

fn default_length() -> i32 {
    32
}

/// How a secret is made.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretType {
    /// a–z, A–Z, 0–9: safe in every shell, URL and SQL string.
    #[default]
    Alphanumeric,
    /// 0–9, a–f.
    Hex,
    /// The bcrypt hash of another secret.
    Bcrypt,
}

/// A file that containers mount.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// What mounts call it.
    #[schemars(regex(pattern = crate::schema::KEY))]
    pub name: String,
    /// Its text, *filled* with facts and with parameters other than String; never with secrets, which belong into
    /// environment variables.
    #[schemars(length(max = 65536))]
    pub content: String,
    /// Whether it can be executed.
    #[serde(default)]
    pub executable: bool,
}

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

/// A container: image, command, environment, mounted files.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// The image by exact tag or digest.
    #[schemars(length(min = 1, max = 300))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9]+([._-]+[a-z0-9]+)*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[a-zA-Z0-9_][a-zA-Z0-9._-]*|@sha256:[0-9a-f]{64})$')")
            .message("must be an image with an exact tag or digest, such as postgres:17.11-bookworm"),
        validation = Rule::new("!self.matches(':(latest|stable|main|master|edge|nightly|dev)$')")
            .message("must be an exact version: this tag is moved by its makers"),
    )]
    pub image: String,
    /// Instead of the image's entry point; *filled* with facts and parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 4096)))]
    pub command: Vec<String>,
    /// Instead of the image's arguments; *filled* with facts and parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 4096)))]
    pub args: Vec<String>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub env: Vec<Env>,
    /// Files that it sees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub files: Vec<FileMount>,
}

/// An environment variable: a value or a secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = Rule::new("has(self.value) != has(self.secret)").message("give either value or secret"))]
#[serde(rename_all = "camelCase")]
pub struct Env {
    /// Its name.
    #[schemars(regex(pattern = crate::schema::ENV))]
    pub name: String,
    /// Its text, *filled* with facts and parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8192))]
    pub value: Option<String>,
    /// The generated secret that it carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = crate::schema::KEY))]
    pub secret: Option<String>,
}

/// Where a file is seen.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FileMount {
    /// The file's name in `files`.
    #[schemars(regex(pattern = crate::schema::KEY))]
    pub file: String,
    /// The absolute path of the file in the container.
    #[schemars(length(max = 300), regex(pattern = r"^(/([A-Za-z0-9_-]|\.[A-Za-z0-9_-])[A-Za-z0-9._-]*)+$"))]
    pub path: String,
}

/// A container that runs to its end before the component starts. It shares volumes, user and limits.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct InitContainer {
    /// Its name within the pod.
    #[schemars(length(min = 1, max = 20), regex(pattern = crate::schema::NAME))]
    pub name: String,
    /// The container.
    #[serde(flatten)]
    pub container: Container,
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

/// What the customer is shown.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Credential {
    /// The key in the Secret.
    #[schemars(regex(pattern = crate::schema::KEY))]
    pub name: String,
    /// What a page calls it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 80))]
    pub display_name: String,
    /// Its text, *filled* with facts, parameters and secrets.
    #[schemars(length(max = 1000))]
    pub value: String,
    /// Whether a page hides it until asked.
    #[serde(default)]
    pub sensitive: bool,
}

/// What is observed.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ServiceTemplateStatus {
    /// The generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How many plans sell it.
    #[serde(default)]
    pub plans: i32,
    /// How many instances are made from it.
    #[serde(default)]
    pub instances: i32,
    /// Ready: instances can be made from it; Stalled: it contradicts itself, and the message says where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_string()]))]
    pub conditions: Vec<Condition>,
}
