//! `ServiceInstance`: one app of one tenant.

use crate::{conditions, names, span};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What should run: written by billing (plan, entitlement, its hold), by administrators (their holds) and by the
/// customer or a GitOps tool (everything else), each under a field manager of its own.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "nakhoda.dev",
    version = "v1alpha1",
    kind = "ServiceInstance",
    plural = "serviceinstances",
    shortname = "si",
    category = "nakhoda",
    namespaced,
    status = "ServiceInstanceStatus",
    derive = "PartialEq",
    doc = "One app of one tenant: a database, a blog, an automation, running in the tenant's namespace.",
    printcolumn(name = "PLAN", type_ = "string", json_path = ".spec.planRef"),
    printcolumn(name = "PHASE", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "REASON", type_ = "string", json_path = ".status.reason"),
    printcolumn(name = "HOST", type_ = "string", json_path = ".status.endpoints.host"),
    printcolumn(name = "PAID-UNTIL", type_ = "string", json_path = ".spec.entitlement.paidUntil"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name must be 1 to 63 of a-z, 0-9 and -, beginning with a letter and not ending in -"),
)]
#[x_kube(
    validation = Rule::new("has(self.restoreFrom) == has(oldSelf.restoreFrom) && (!has(self.restoreFrom) || self.restoreFrom == oldSelf.restoreFrom)")
        .message("restoreFrom can only be given when the instance is created; create another instance to restore into"),
)]
#[serde(rename_all = "camelCase")]
pub struct ServiceInstanceSpec {
    /// The ServicePlan that was bought. Another plan of the same app is an upgrade; plans of another app are refused.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = crate::schema::name("ServicePlan"))]
    pub plan_ref: String,
    /// The name that the customer gave it, for people only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 80))]
    pub display_name: Option<String>,
    /// Settings of the app, by the names that its ServiceTemplate lists; always text (`"true"`, `"8"`), checked
    /// against the template's bounds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 50), schema_with = "crate::schema::parameters")]
    pub parameters: BTreeMap<String, String>,
    /// Whether its owner wants it to run. Stopped keeps the data and the address.
    #[serde(default)]
    pub power_state: PowerState,
    /// Set to the present time to restart the app once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::schema::time())]
    pub restarted_at: Option<Time>,
    /// Custom host names beside the platform's. Not routed by this version. Each is routed once its DNS record (see status.domains) was seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 4, max = 253)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = Rule::new(format!("self.all(host, host.matches('{}'))", crate::schema::HOST.replace('\\', "\\\\")))
            .message("each of domains must be a host name in lower case, such as shop.example.com"),
    )]
    pub domains: Vec<String>,
    /// Access from outside the cluster, for apps that speak TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// When a change that is not the owner's own (a new image, say) may restart the app. Absent: the platform's own window, if it
    /// has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance_window: Option<MaintenanceWindow>,
    /// When to apply a pending update, as its owner asks; once for each time that is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::schema::time())]
    pub rollout_at: Option<Time>,
    /// What happens to the data when the instance is deleted.
    #[serde(default)]
    pub retention: Retention,
    /// The data id of retained data to start from (see the tenant's status.retained). Only when it is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    #[x_kube(validation = Rule::new(format!("self.matches('{}')", crate::schema::DATA_ID))
        .message("must be a data id, twelve characters as in the tenant's status.retained"))]
    pub restore_from: Option<String>,
    /// Until when it is paid for. Written by billing; needs the virtual verb `entitle`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entitlement: Option<Entitlement>,
    /// Why it may not run. It runs only when no hold is left; each has an owner and is cleared by that owner alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<Holds>,
}

/// What its owner wants.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PowerState {
    /// It should run.
    #[default]
    Running,
    /// It should not run; data and address stay.
    Stopped,
}

/// Access from outside the cluster.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(
    validation = Rule::new("self.external || !has(self.allowedCidrs) || self.allowedCidrs.size() == 0")
        .message("allowedCidrs has an effect only with external: true; set it, or leave the list out"),
    validation = Rule::new("!has(self.allowedCidrs) || self.allowedCidrs.all(c, isCIDR(c))")
        .message("each of allowedCidrs must be an address range such as 203.0.113.0/24"),
)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// Whether a port is opened to the outside.
    #[serde(default)]
    pub external: bool,
    /// Who may connect, as address ranges (`203.0.113.0/24`). Empty: everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(min = 1, max = 49)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allowed_cidrs: Vec<String>,
}

/// A weekly time at which updates may restart the app.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct MaintenanceWindow {
    /// The days on which it begins; empty: every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub days: Vec<Weekday>,
    /// When it begins, as `HH:MM`.
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([01][0-9]|2[0-3]):[0-5][0-9]$')").message("must be a time of day from 00:00 to 23:59"))]
    pub start: String,
    /// How long it lasts, in minutes.
    #[serde(default = "default_window_minutes")]
    #[schemars(range(min = 30, max = 1440))]
    pub duration_minutes: i32,
    /// The IANA time zone that `start` is given in.
    #[serde(default = "default_time_zone")]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9+_/-]+$"))]
    pub time_zone: String,
}

fn default_window_minutes() -> i32 {
    120
}

fn default_time_zone() -> String {
    "Asia/Jakarta".to_owned()
}

/// A day of the week.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it all")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// What happens to the data after deletion.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// How long the data is kept once the instance is gone: hours or days, such as `36h` or `14d`.
    #[serde(default = "default_keep_for")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new(format!("self.matches('{}')", span::SPAN_PATTERN))
        .message("must be whole hours or days, such as 36h or 14d"))]
    pub keep_for: String,
}

impl Default for Retention {
    fn default() -> Self {
        Self { keep_for: default_keep_for() }
    }
}

fn default_keep_for() -> String {
    "14d".to_owned()
}

/// Until when the instance is paid for. The operator enforces it by its own clock, also when billing is down.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(
    validation = Rule::new("!has(self.paidUntil) || !has(self.suspendAt) || self.paidUntil <= self.suspendAt")
        .message("suspendAt must not be before paidUntil"),
    validation = Rule::new("has(self.suspendAt)")
        .message("suspendAt is needed: every entitlement ends; to end one now, set it to the present instead of leaving it out"),
)]
#[serde(rename_all = "camelCase")]
pub struct Entitlement {
    /// The end of the paid period; absent until the app was available for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::schema::time())]
    pub paid_until: Option<Time>,
    /// When the operator suspends it unless this is moved on before. Needed: every entitlement ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = crate::schema::time())]
    pub suspend_at: Option<Time>,
}

/// The reasons for which it may not run, one per owner, so that clearing one never clears another.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Holds {
    /// Placed and cleared by billing; needs the virtual verb `hold-billing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing: Option<Hold>,
    /// Placed and cleared by administrators; needs the virtual verb `hold-admin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<Hold>,
    /// Placed and cleared because of abuse; needs the virtual verb `hold-abuse`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abuse: Option<Hold>,
}

/// A hold: why, and since when.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// A sentence for the customer and the next administrator.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
    /// Since when.
    #[x_kube(validation = crate::schema::time())]
    pub since: Time,
}

/// What is observed. Written by the operator alone.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ServiceInstanceStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// One word for people, derived from the conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The one cause that matters most now; empty when all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub reason: Option<String>,
    /// Where it can be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Endpoints>,
    /// The Secret in this namespace with what the customer is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<SecretRef>,
    /// The id of its data, by which it can be restored after deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub data_id: Option<String>,
    /// The plan that it runs by: the one admitted to the tenant's quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub plan: Option<String>,
    /// The template that it is made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub template: Option<String>,
    /// Whether it was up once with all its init jobs done: they are not run again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub initialized: bool,
    /// When a pending update is rolled out by the maintenance window or by spec.rolloutAt, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_expected_at: Option<Time>,
    /// The volume claims that were bound once: one of them that is missing is data lost, and not a beginning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 60), inner(length(max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub volumes: Vec<String>,
    /// Readiness of each component of the app.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_string()]))]
    pub components: Vec<ComponentStatus>,
    /// For each custom host the DNS record to set, and whether it was seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["host".to_string()]))]
    pub domains: Vec<DomainStatus>,
    /// Ready, Available, Reconciling, Stalled, Suspended, Admitted, StorageReady, DomainsReady, UpdatePending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_string()]))]
    pub conditions: Vec<Condition>,
}

/// One word for people.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Waiting for admission to the quota, or for a plan that exists.
    Pending,
    /// Its parts are being made for the first time.
    Provisioning,
    /// It serves.
    Running,
    /// It serves or will again, while a change is rolled out.
    Updating,
    /// Its pods are being started anew on request.
    Restarting,
    /// Its pods are ending.
    Stopping,
    /// Stopped by its owner.
    Stopped,
    /// Not allowed to run.
    Suspended,
    /// It should serve and does not, after it once did.
    Degraded,
    /// It can't be made without somebody's help.
    Failed,
    /// It is being deleted.
    Terminating,
}

impl Phase {
    /// Every phase, for metrics that must name them all.
    pub const ALL: [Self; 11] = [
        Self::Pending,
        Self::Provisioning,
        Self::Running,
        Self::Updating,
        Self::Restarting,
        Self::Stopping,
        Self::Stopped,
        Self::Suspended,
        Self::Degraded,
        Self::Failed,
        Self::Terminating,
    ];
}

/// Where it can be reached.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Endpoints {
    /// The platform's host name for it; empty for what is reached only from inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The address for visitors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<String>,
    /// The address of its administration page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<String>,
    /// `host:port` within the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal: Option<String>,
}

/// The name of a Secret in the same namespace.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct SecretRef {
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
}

/// Readiness of a component.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct ComponentStatus {
    /// The component's name in the template.
    #[schemars(length(max = 63))]
    pub name: String,
    /// How many pods should run.
    pub desired: i32,
    /// How many of them are ready.
    pub ready: i32,
}

/// A custom host.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct DomainStatus {
    /// The host name.
    #[schemars(length(max = 253))]
    pub host: String,
    /// The DNS record to set.
    pub record: DnsRecord,
    /// Whether it was seen; only then the host is routed.
    pub verified: bool,
}

/// A DNS record.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct DnsRecord {
    /// `CNAME` or `TXT`.
    #[serde(rename = "type")]
    pub type_: String,
    /// The name that the record stands at.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl ServiceInstance {
    /// Whether the named condition is `True` and speaks of the present generation.
    pub fn is(&self, condition: &str) -> bool {
        let observed = self.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        conditions::is_true(observed, condition, self.metadata.generation)
    }

    /// The tenant that it belongs to by its namespace.
    pub fn tenant(&self) -> Option<&str> {
        names::tenant_of_namespace(self.metadata.namespace.as_deref()?)
    }
}
