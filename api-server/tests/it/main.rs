//! The API through its own door: HTTP, on a real PostgreSQL under the application's role, with a real mail server.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where and why")]

mod account;
mod administration;
mod catalog;
mod catalog_writes;
mod cluster;
mod crossing;
mod database;
mod events;
mod inspection;
mod instances;
mod jobs;
mod kubernetes;
mod ledger;
mod mail;
mod payments_books;
mod payments_inquiry;
mod payments_leaving;
mod payments_mapping;
mod payments_notifications;
mod payments_top_ups;
mod payments_traps;
mod payments_year;
mod platform;
mod power;
mod purchase;
mod routes;
mod sessions;
mod sign_in;
mod subscriptions;
mod till;
mod top_ups;
mod usage;
mod wallet;
mod watches;
mod world;
