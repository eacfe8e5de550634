//! Nakhoda's operator: converges `TenantQuota`s and `ServiceInstance`s to namespaces, workloads and volumes, and says
//! in their status what became of it.

pub mod apply;
pub mod args;
pub mod backoff;
pub mod cache;
pub mod cause;
pub mod clock;
pub mod context;
pub mod control;
pub mod digest;
pub mod domains;
pub mod health;
pub mod instance;
pub mod kinds;
pub mod leader;
pub mod lint;
pub mod metrics;
pub mod nodes;
pub mod observed;
pub mod own;
pub mod pace;
pub mod plan;
pub mod reflect;
pub mod report;
pub mod run;
pub mod settings;
pub mod strict;
pub mod template;
pub mod tenant;
pub mod usage;
pub mod way_in;

pub use run::run;
