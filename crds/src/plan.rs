//! `ServicePlan`: what is sold.

use crate::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A size of an app at a price. Template and resources never change: another size is another plan.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "nakhoda.dev",
    version = "v1alpha1",
    kind = "ServicePlan",
    plural = "serviceplans",
    shortname = "sp",
    category = "nakhoda",
    status = "ServicePlanStatus",
    derive = "PartialEq",
    doc = "A size of an app at a price. Template and resources never change: another size is another plan.",
    printcolumn(name = "TEMPLATE", type_ = "string", json_path = ".spec.templateRef"),
    printcolumn(name = "PRICE", type_ = "integer", json_path = ".spec.price.amount"),
    printcolumn(name = "PERIOD", type_ = "string", json_path = ".spec.price.period"),
    printcolumn(name = "CPU", type_ = "string", json_path = ".spec.resources.cpu"),
    printcolumn(name = "MEMORY", type_ = "string", json_path = ".spec.resources.memory"),
    printcolumn(name = "STORAGE", type_ = "string", json_path = ".spec.resources.storage"),
    printcolumn(name = "IN-USE", type_ = "integer", json_path = ".status.instances"),
    printcolumn(name = "RETIRED", type_ = "boolean", json_path = ".spec.retired"),
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name must be 1 to 63 of a-z, 0-9 and -, beginning with a letter and not ending in -"),
)]
#[serde(rename_all = "camelCase")]
pub struct ServicePlanSpec {
    /// The ServiceTemplate that is sold.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(
        validation = Rule::new("self == oldSelf").message("templateRef never changes: make another plan"),
        validation = crate::schema::name("ServiceTemplate"),
    )]
    pub template_ref: String,
    /// What customers call it.
    #[schemars(length(min = 1, max = 80))]
    pub display_name: String,
    /// A sentence about whom it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1000))]
    pub description: String,
    /// What it includes, a short line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 120)))]
    pub features: Vec<String>,
    /// What it costs. A new price applies from the next renewal.
    pub price: Price,
    /// What an instance has.
    #[x_kube(validation = Rule::new("self == oldSelf").message("resources never change: make another plan"))]
    pub resources: PlanResources,
    /// The storage class of its volumes; absent: the operator's setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$')").message("must be the name of a StorageClass"))]
    pub storage_class_name: Option<String>,
    /// How many may be sold at once; absent: as many as fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub capacity: Option<i32>,
    /// Its place in lists, smallest first.
    #[serde(default)]
    #[schemars(range(min = 0, max = 10_000))]
    pub order: i32,
    /// Not sold any more; what runs by it goes on.
    #[serde(default)]
    pub retired: bool,
}

/// A price.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Price {
    /// Whole rupiah for one period.
    #[schemars(range(min = 0, max = 1_000_000_000_i64))]
    pub amount: i64,
    /// How long one payment lasts.
    #[serde(default)]
    pub period: Period,
    /// Whether tax is in the amount already.
    #[serde(default = "yes")]
    pub tax_inclusive: bool,
}

fn yes() -> bool {
    true
}

/// How long one payment lasts.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Period {
    /// A calendar month.
    #[default]
    Monthly,
    /// A calendar year.
    Yearly,
}

/// What an instance has, all its components together.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[x_kube(
    validation = Rule::new("!isQuantity(string(self.cpu)) || quantity(string(self.cpu)).isGreaterThan(quantity('9m')) && quantity(string(self.cpu)).isLessThan(quantity('128001m'))")
        .message("cpu must be at least 10m and at most 128"),
    validation = Rule::new("!isQuantity(string(self.memory)) || quantity(string(self.memory)).isGreaterThan(quantity('16383Ki')) && quantity(string(self.memory)).isLessThan(quantity('4097Gi'))")
        .message("memory must be at least 16Mi and at most 4Ti; mind the unit: 512Mi, not 512"),
    validation = Rule::new("!isQuantity(string(self.storage)) || quantity(string(self.storage)).isGreaterThan(quantity('16383Ki')) && quantity(string(self.storage)).isLessThan(quantity('65537Gi'))")
        .message("storage must be at least 16Mi and at most 64Ti; mind the unit: 10Gi, not 10"),
)]
pub struct PlanResources {
    /// CPU, such as `500m` or `2`.
    pub cpu: Quantity,
    /// Memory, such as `512Mi`.
    pub memory: Quantity,
    /// Storage of all volumes together, such as `10Gi`.
    pub storage: Quantity,
}

/// What is observed.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ServicePlanStatus {
    /// The generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How many instances have it.
    #[serde(default)]
    pub instances: i32,
    /// Ready: its template exists and can be made; Stalled: somebody must act.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_string()]))]
    pub conditions: Vec<Condition>,
}
