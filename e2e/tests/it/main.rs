//! The stories that need a whole control plane: what the operator promises, and what it does when things break.

mod admission;
mod broken;
mod leader;
mod lifecycle;
mod policies;
mod retention;
mod samples;
mod world;
