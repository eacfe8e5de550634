//! The stories that need a whole control plane: what the operator promises, and what it does when things break.

mod access;
mod admission;
mod broken;
mod domains;
mod leader;
mod lifecycle;
mod policies;
mod samples;
mod world;
