//! The one place that reads the system's clock and makes randomness; everything else is given them.

use jiff::Timestamp;
use rand::RngExt as _;
use std::{fmt, time::Duration};

/// Where the time comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present time.
    fn now(&self) -> Timestamp;
}

/// The system's clock, moved by a fixed offset where a test of a wrong clock asks for it.
#[derive(Debug, Default)]
pub struct SystemClock {
    /// What is added to the system's time.
    pub offset: jiff::SignedDuration,
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the edge of the program: here the clock is read")]
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(self.offset).unwrap_or(now)
    }
}

/// A duration moved by up to a fifth either way, so that retries spread.
#[expect(clippy::disallowed_methods, reason = "the edge of the program: here randomness is made")]
pub fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(rand::rng().random_range(0.8..=1.2))
}

/// `length` characters drawn evenly from `alphabet` by the operating system's generator.
#[expect(clippy::disallowed_methods, reason = "the edge of the program: here randomness is made")]
pub fn random_text(alphabet: &[u8], length: usize) -> String {
    let mut rng = rand::rng();
    (0..length).map(|_| char::from(alphabet[rng.random_range(0..alphabet.len())])).collect()
}
