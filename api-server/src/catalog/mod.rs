//! The catalogue: apps and what is sold of them, as the resources in the cluster say, and how their categories look.

pub mod availability;
pub mod categories;
pub mod shop;
pub mod store;
pub mod usage;
