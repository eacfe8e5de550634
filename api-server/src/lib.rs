//! Nakhoda's REST API: people, their wallets and what they buy. It writes resources; the operator makes them true.

pub mod audit;
pub mod catalog;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod db;
pub mod http;
pub mod inspection;
pub mod instances;
pub mod jobs;
pub mod ledger;
pub mod mail;
pub mod metrics;
pub mod money;
pub mod payments;
pub mod random;
pub mod secret_key;
pub mod serve;
pub mod sessions;
pub mod state;
pub mod subscriptions;
pub mod users;
pub mod wallet;
