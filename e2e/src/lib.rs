//! The harness: a real Kubernetes control plane on this machine, with simulated nodes,
//! the identities that talk to it, and the verbs of `cargo dev`.
//!
//! Everything here is the edge of a program or part of a test, so errors are `anyhow` throughout:
//! they are read by a person, and say what to do.

#![expect(clippy::missing_errors_doc, reason = "an error here is a sentence for the person at the terminal")]

pub mod api_client;
pub mod api_process;
pub mod apply;
pub mod bench;
pub mod charts;
pub mod cluster;
pub mod control_plane;
pub mod dev;
pub mod disk;
pub mod identity;
pub mod kubeconfig;
pub mod mail_catcher;
pub mod mail_folder;
pub mod midtrans;
pub mod money;
pub mod operator_process;
pub mod people;
pub mod pki;
pub mod ports;
pub mod postgres;
pub mod postgres_proxy;
pub mod process;
pub mod proxy;
pub mod real_node;
pub mod repository;
pub mod scratch;
pub mod story;
pub mod tools;
pub mod wait;
pub mod walk;
