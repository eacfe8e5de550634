//! The stand-in's own proof, through its doors.

mod delivery;
mod merchant;
mod snap;
