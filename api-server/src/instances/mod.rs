//! The running things: the resources that billing and their owners write, and what the cluster says of them.

pub mod crossing;
mod live;
pub mod resource;
