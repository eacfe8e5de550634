//! The stand-in's own proof, through its doors.

mod calls;
mod control;
mod core_api;
mod delivery;
mod keeping;
mod merchant;
mod snap;
mod time;
mod totals;
mod traps;
