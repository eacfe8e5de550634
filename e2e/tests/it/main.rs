//! The stories that need a whole control plane: what the operator promises, and what it does when things break.

mod access;
mod admission;
mod apps;
mod audit;
mod bench;
mod broken;
mod catalog;
mod customers;
mod domains;
mod instances;
mod leader;
mod lifecycle;
mod nodes;
mod policies;
mod purchase;
mod reasons;
mod refunds;
mod retention;
mod samples;
mod sequences;
mod subscriptions;
mod suspension;
mod updates;
mod usage;
mod world;
