//! What runs for customers, and what billing and its owner say of it: resources of the cluster, nothing of which is kept in a row.

pub mod credentials;
pub mod crossing;
mod live;
pub mod own;
pub mod owner;
pub mod pods;
pub mod resource;
pub mod usage;
pub mod why;
