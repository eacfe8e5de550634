//! What the commands tell: each step with the time since the start.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// Prints steps as they happen; a quiet one (for tests) prints none.
#[derive(Clone, Copy, Debug)]
pub struct Story {
    start: Instant,
    quiet: bool,
}

impl Story {
    /// A story told on standard output, its clock at zero.
    pub fn aloud() -> Self {
        Self { start: Instant::now(), quiet: false }
    }

    /// A story nobody hears.
    pub fn quiet() -> Self {
        Self { start: Instant::now(), quiet: true }
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// One step, with the time since the start before it.
    pub fn step(&self, text: impl Display) {
        if !self.quiet {
            println!("[{:7.1}s] {text}", self.elapsed().as_secs_f64());
        }
    }

    /// A line that belongs to the step before.
    pub fn detail(&self, text: impl Display) {
        if !self.quiet {
            println!("           {text}");
        }
    }
}
