//! The one place that reads the system's clock; everything else is told the time.

use jiff::{SignedDuration, Timestamp};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

/// What time it is, to the microsecond, as PostgreSQL keeps it.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// By how much it is ahead of the system's, in microseconds. Nothing but tests moves it.
    ahead: Arc<AtomicI64>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the edge where the clock is read")]
        let system = Timestamp::now().as_microsecond();
        let ahead = self.ahead.load(Ordering::Relaxed);
        Timestamp::from_microsecond(system.saturating_add(ahead)).unwrap_or(Timestamp::MAX)
    }

    /// Moves it, for tests that let time pass.
    pub fn advance(&self, by: SignedDuration) {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.ahead.fetch_add(by, Ordering::Relaxed);
    }
}

/// `time` later, or the end of time.
pub fn after(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// `time` earlier, or its beginning.
pub fn before(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_sub(by).unwrap_or(Timestamp::MIN)
}
