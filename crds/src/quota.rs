//! `TenantQuota`: a tenant, its limits and what it uses of them.

use crate::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One customer: limits, network options, orders about kept data.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "nakhoda.dev",
    version = "v1alpha1",
    kind = "TenantQuota",
    plural = "tenantquotas",
    shortname = "tq",
    category = "nakhoda",
    status = "TenantQuotaStatus",
    derive = "PartialEq",
    doc = "One customer: the limits of what may run at once, in the namespace customer-<name> that the operator makes. Deleting it offboards the customer.",
    printcolumn(name = "NAMESPACE", type_ = "string", json_path = ".status.namespace"),
    printcolumn(name = "INSTANCES", type_ = "integer", json_path = ".status.used.instances"),
    printcolumn(name = "LIMIT", type_ = "integer", json_path = ".spec.limits.instances"),
    printcolumn(name = "MEMORY", type_ = "string", json_path = ".status.used.memory"),
    printcolumn(name = "STORAGE", type_ = "string", json_path = ".status.used.storage"),
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "REASON", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "DATA", type_ = "string", json_path = ".status.conditions[?(@.type==\"DataRetained\")].reason", priority = 1),
    printcolumn(name = "OWNER", type_ = "string", json_path = ".spec.owner", priority = 1),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 54 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name must be 1 to 54 of a-z, 0-9 and -, beginning with a letter and not ending in -, since the namespace is customer-<name>"),
)]
#[serde(rename_all = "camelCase")]
pub struct TenantQuotaSpec {
    /// The id of the user that the tenant belongs to.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("owner never changes: a tenant is not handed over"))]
    pub owner: String,
    /// What may run at once.
    #[serde(default)]
    pub limits: Limits,
    /// What its pods may reach.
    #[serde(default)]
    pub network: Network,
    /// Orders about data whose instance is gone, by data id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 200))]
    #[x_kube(validation = Rule::new("self.all(id, id.matches('^[a-z][a-z0-9]{11}$'))").message("orders are by data id, twelve characters as in status.retained"))]
    pub retained: BTreeMap<String, RetentionOrder>,
    /// What deleting this TenantQuota may destroy. Absent: it is refused while any data is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offboard: Option<Offboard>,
}

/// What may run at once.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(
    validation = Rule::new("!isQuantity(string(self.cpu)) || quantity(string(self.cpu)).isLessThan(quantity('100001'))")
        .message("cpu must be at most 100000"),
    validation = Rule::new("!isQuantity(string(self.memory)) || quantity(string(self.memory)).isLessThan(quantity('1')) || quantity(string(self.memory)).isGreaterThan(quantity('1023Ki')) && quantity(string(self.memory)).isLessThan(quantity('1025Ti'))")
        .message("memory must be 0, or at least 1Mi and at most 1Pi; mind the unit: 16Gi, not 16"),
    validation = Rule::new("!isQuantity(string(self.storage)) || quantity(string(self.storage)).isLessThan(quantity('1')) || quantity(string(self.storage)).isGreaterThan(quantity('1023Ki')) && quantity(string(self.storage)).isLessThan(quantity('10241Ti'))")
        .message("storage must be 0, or at least 1Mi and at most 10Pi; mind the unit: 200Gi, not 200"),
)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// How many instances.
    #[serde(default = "default_instances")]
    #[schemars(range(min = 0, max = 10_000))]
    pub instances: i32,
    /// CPU of all of them together.
    #[serde(default = "default_cpu")]
    pub cpu: Quantity,
    /// Memory of all of them together.
    #[serde(default = "default_memory")]
    pub memory: Quantity,
    /// Storage of all of them together.
    #[serde(default = "default_storage")]
    pub storage: Quantity,
    /// How many of a plan, by the plan's name; a plan that is not named is bounded only by the others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 100), schema_with = "crate::schema::per_plan")]
    pub per_plan: BTreeMap<String, i32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            instances: default_instances(),
            cpu: default_cpu(),
            memory: default_memory(),
            storage: default_storage(),
            per_plan: BTreeMap::new(),
        }
    }
}

const GIBI: u64 = 1 << 30;

fn default_instances() -> i32 {
    5
}

fn default_cpu() -> Quantity {
    Quantity::from_units(8)
}

fn default_memory() -> Quantity {
    Quantity::from_units(16 * GIBI)
}

fn default_storage() -> Quantity {
    Quantity::from_units(200 * GIBI)
}

/// What the tenant's pods may reach.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// Whether they may reach the internet (private ranges stay closed by the operator's settings).
    #[serde(default = "yes")]
    pub internet: bool,
}

impl Default for Network {
    fn default() -> Self {
        Self { internet: true }
    }
}

fn yes() -> bool {
    true
}

/// An order about data whose instance is gone. It is one only if it is given while the data is retained: one that stood
/// already when the data was let go is void until it is taken back and given anew.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RetentionOrder {
    /// Keep it at least until then. It never shortens the time that the data has anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::schema::time())]
    pub keep_until: Option<Time>,
    /// Destroy it before its time, once the waiting time of the operator's settings is over (and never before keepUntil of
    /// this order). Taking it back stops that until it has begun.
    #[serde(default)]
    pub purge: bool,
}

/// What deleting the tenant may destroy.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offboard {
    /// All data of the tenant, kept or live.
    DeleteData,
}

/// What is observed. `admitted` is the one list of what has a place in the quota.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TenantQuotaStatus {
    /// The generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The tenant's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub namespace: Option<String>,
    /// The instances that have a place, in the order in which they got it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub admitted: Vec<Admitted>,
    /// The instances that wait for a place, and what is missing; the first 200.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub waiting: Vec<Waiting>,
    /// What the admitted ones use of the limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Used>,
    /// Data that outlives its instance; the 1000 whose time ends first, where there is more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub retained: Vec<Retained>,
    /// Data of nobody: its instance vanished without letting it go. It is never destroyed by itself, and an administrator must
    /// decide about it; the first 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub orphaned: Vec<Orphaned>,
    /// Ready, Reconciling, Stalled, DataRetained.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_string()]))]
    pub conditions: Vec<Condition>,
}

/// An instance that has a place in the quota.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The instance's name.
    pub name: String,
    /// Its uid: another instance of the same name has no place yet.
    pub uid: String,
    /// The plan that it was admitted with.
    pub plan: String,
}

/// An instance that waits for a place.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The instance's name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The plan that it asks for.
    pub plan: String,
    /// A constant CamelCase word: QuotaExceeded, PlanNotFound.
    pub reason: String,
    /// What is missing, for people.
    pub message: String,
}

/// What the admitted instances use.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// How many.
    pub instances: i32,
    /// Their CPU.
    pub cpu: Quantity,
    /// Their memory.
    pub memory: Quantity,
    /// Their storage.
    pub storage: Quantity,
}

/// Data whose instance is gone.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Retained {
    /// What `restoreFrom` takes.
    pub data_id: String,
    /// The template that wrote it.
    pub template: String,
    /// The plan it was sold with.
    pub plan: String,
    /// The size of its volumes together.
    pub storage: Quantity,
    /// When its instance let it go; absent where that can't be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_at: Option<Time>,
    /// Until when it is kept, orders included; absent where that can't be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_until: Option<Time>,
    /// When it is destroyed at the earliest, as things stand; absent where nothing but an order would do it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purge_at: Option<Time>,
    /// What becomes of it.
    #[serde(default)]
    pub state: RetainedState,
    /// What keeps it from going its way, and who must act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub message: Option<String>,
}

/// What becomes of retained data.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetainedState {
    /// It is kept until its time is over.
    #[default]
    Kept,
    /// Its time is over; it is kept all the same, since the operator's settings destroy nothing without an order.
    Expired,
    /// Its destruction was ordered and waits.
    PurgeOrdered,
    /// It is due, and is destroyed next.
    PurgeDue,
    /// It is being destroyed and can't be restored any more.
    Purging,
    /// Something is in the way; the message says what.
    Blocked,
}

/// Data whose instance vanished without letting it go.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Orphaned {
    /// Its data id, as in the label nakhoda.dev/data.
    pub data_id: String,
    /// The template that wrote it.
    pub template: String,
    /// The size of its volumes together.
    pub storage: Quantity,
}
