//! The gateway's clock: this machine's, moved.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// A clock that can be moved.
#[derive(Debug, Default)]
pub struct Clock {
    /// Microseconds ahead of this machine's.
    ahead: AtomicI64,
}

impl Clock {
    /// Now, by it.
    pub fn now(&self) -> Timestamp {
        let ahead = self.ahead.load(Ordering::Acquire);
        Timestamp::from_microsecond(machine().as_microsecond().saturating_add(ahead))
            .unwrap_or(Timestamp::MAX)
    }

    /// Moves it ahead.
    pub fn advance(&self, seconds: i64) {
        self.ahead.fetch_add(seconds.saturating_mul(1_000_000), Ordering::AcqRel);
    }

    /// Sets it.
    pub fn set(&self, now: Timestamp) {
        self.ahead.store(now.as_microsecond() - machine().as_microsecond(), Ordering::Release);
    }

    /// How far ahead it is, in microseconds.
    pub fn ahead(&self) -> i64 {
        self.ahead.load(Ordering::Acquire)
    }

    /// Puts it so far ahead.
    pub fn set_ahead(&self, microseconds: i64) {
        self.ahead.store(microseconds, Ordering::Release);
    }
}

#[expect(clippy::disallowed_methods, reason = "the stand-in is a program of its own, and this is its clock")]
fn machine() -> Timestamp {
    Timestamp::now()
}
