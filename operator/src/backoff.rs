//! How long an object waits after a failure: per object, exponentially, with jitter.

use crate::clock;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

const FIRST: Duration = Duration::from_millis(400);
const LONGEST: Duration = Duration::from_secs(20);
/// At the how manieth failure in a row people are told: most pass within seconds.
pub const QUIET_FAILURES: u32 = 4;

/// Failures in a row, by uid.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: Mutex<HashMap<String, u32>>,
}

impl Backoff {
    /// Notes a failure; how long to wait now, and the how manieth in a row it is.
    pub fn failed(&self, uid: &str) -> (Duration, u32) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(uid.to_owned()).or_insert(0);
        let delay = delay(*count);
        *count = count.saturating_add(1);
        (clock::jittered(delay), *count)
    }

    /// Whether it has failed often enough in a row that people should be told.
    pub fn has_lasted(&self, uid: &str) -> bool {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(uid).is_some_and(|count| *count + 1 >= QUIET_FAILURES)
    }

    /// Notes a success.
    pub fn succeeded(&self, uid: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// Forgets everything that is gone.
    pub fn keep_only(&self, alive: impl Fn(&str) -> bool) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid, _| alive(uid));
    }

    /// How many objects wait after a failure.
    pub fn waiting(&self) -> usize {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The most failures in a row that any object has.
    pub fn most(&self) -> u32 {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.values().copied().max().unwrap_or_default()
    }
}

fn delay(failures: u32) -> Duration {
    FIRST.saturating_mul(1 << failures.min(10)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_wait_up_to_a_bound() {
        let waits: Vec<u128> = (0..8).map(|failures| delay(failures).as_millis()).collect();
        assert_eq!(waits, [400, 800, 1600, 3200, 6400, 12800, 20000, 20000]);
        assert_eq!(delay(u32::MAX), LONGEST);
    }

    #[test]
    fn one_objects_failures_do_not_slow_another() {
        let backoff = Backoff::default();
        for _ in 0..9 {
            backoff.failed("a");
        }
        assert!(backoff.failed("b").0 < Duration::from_millis(500));
        backoff.succeeded("a");
        assert_eq!(backoff.waiting(), 1);
    }
}
