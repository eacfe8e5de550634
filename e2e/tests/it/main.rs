//! The stories that need a whole control plane: what the operator promises, and what it does when things break.

mod admission;
mod apps;
mod bench;
mod broken;
mod leader;
mod lifecycle;
mod policies;
mod samples;
mod suspension;
mod updates;
mod world;
