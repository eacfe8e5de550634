//! How often one object may be reconciled: a burst, and then no more than its share. Triggers never walk past the pause that
//! a failure has earned.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// At most so many reconciles of one object in so much time.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// How many.
    pub burst: usize,
    /// In how much time.
    pub window: Duration,
}

/// When each object was reconciled last, and until when it must wait.
#[derive(Debug, Default)]
pub struct Pace {
    objects: Mutex<HashMap<String, Past>>,
}

#[derive(Debug, Default)]
struct Past {
    starts: VecDeque<Instant>,
    /// Until when the generation that failed must wait.
    pause: Option<(Option<i64>, Instant)>,
}

impl Pace {
    /// Whether the object may be reconciled now. What may is counted.
    ///
    /// # Errors
    /// How long it must wait, where it may not.
    pub fn begin(
        &self,
        uid: &str,
        generation: Option<i64>,
        limit: Limit,
        now: Instant,
    ) -> Result<(), Duration> {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let past = objects.entry(uid.to_owned()).or_default();
        if let Some((failed, until)) = past.pause
            && failed == generation
            && now < until
        {
            return Err(until.duration_since(now));
        }
        past.starts.retain(|start| now.duration_since(*start) < limit.window);
        if past.starts.len() >= limit.burst
            && let Some(first) = past.starts.front()
        {
            return Err(limit.window.saturating_sub(now.duration_since(*first)));
        }
        past.starts.push_back(now);
        past.pause = None;
        Ok(())
    }

    /// Notes how long the object must wait after a failure, unless its spec changes.
    pub fn pause(&self, uid: &str, generation: Option<i64>, until: Instant) {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.entry(uid.to_owned()).or_default().pause = Some((generation, until));
    }

    /// Forgets everything that is gone.
    pub fn keep_only(&self, alive: impl Fn(&str) -> bool) {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid, _| alive(uid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { burst: 2, window: Duration::from_secs(1) };

    #[test]
    fn a_burst_is_let_through_and_then_the_window_counts() {
        let (pace, now) = (Pace::default(), Instant::now());
        assert_eq!(pace.begin("a", None, LIMIT, now), Ok(()));
        assert_eq!(pace.begin("a", None, LIMIT, now), Ok(()));
        assert_eq!(pace.begin("a", None, LIMIT, now), Err(Duration::from_secs(1)));
        assert_eq!(pace.begin("b", None, LIMIT, now), Ok(()));
        assert_eq!(pace.begin("a", None, LIMIT, now + Duration::from_secs(1)), Ok(()));
    }

    #[test]
    fn a_pause_holds_for_the_generation_that_failed() {
        let (pace, now) = (Pace::default(), Instant::now());
        pace.pause("a", Some(1), now + Duration::from_secs(9));
        assert_eq!(pace.begin("a", Some(1), LIMIT, now), Err(Duration::from_secs(9)));
        assert_eq!(pace.begin("a", Some(2), LIMIT, now), Ok(()));
    }
}
