//! The proxy between a plain client and a small fake API server.

mod actions;
mod passing;
mod questions;
mod watches;
mod world;
