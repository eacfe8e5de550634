//! Nakhoda's resource types: what the API server writes, the operator converges and people read with
//! `kubectl`. This crate knows no client and no database.

#![expect(
    clippy::doc_markdown,
    reason = "doc comments of resource fields are what `kubectl explain` prints, without backticks"
)]

pub mod conditions;
pub mod instance;
pub mod labels;
pub mod managers;
pub mod manifests;
pub mod names;
pub mod node;
pub mod plan;
pub mod quantity;
pub mod quota;
pub mod schema;
pub mod span;
pub mod template;

pub use instance::{ServiceInstance, ServiceInstanceSpec, ServiceInstanceStatus};
pub use node::NodeState;
pub use plan::{ServicePlan, ServicePlanSpec, ServicePlanStatus};
pub use quantity::Quantity;
pub use quota::{TenantQuota, TenantQuotaSpec, TenantQuotaStatus};
pub use template::{ServiceTemplate, ServiceTemplateSpec, ServiceTemplateStatus};

/// The API group of every Nakhoda resource.
pub const GROUP: &str = "nakhoda.dev";
/// The one served and stored version.
pub const VERSION: &str = "v1alpha1";
