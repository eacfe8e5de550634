//! `ServiceTemplate`: what an app is, as data. A new app is a new YAML file and no Rust.
//!
//! Strings marked *filled* may name facts, parameters and secrets: `{{facts.host}}`, `{{parameters.title}}`,
//! `{{secrets.password}}`. There are no expressions.

mod component;
mod container;
mod credential;
mod expose;
mod job;
mod parameter;
mod probe;
mod secret;
mod security;
pub mod values;

pub use component::{Component, ComponentResources, EmptyDir, Port, Volume};
pub use container::{Container, Env, File, FileMount, InitContainer};
pub use credential::Credential;
pub use expose::{Expose, ExposeHttp, ExposeTcp};
pub use job::{InitJob, JobResources};
pub use parameter::{Parameter, ParameterType};
pub use probe::{Header, HttpProbe, Probe, Probes};
pub use secret::{GeneratedSecret, SecretType};
pub use security::{Security, Sysctl, SysctlName};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
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
