//! The `Idempotency-Key` of the Core API: a good answer is given again for five minutes, whatever the second request says.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::reply::Reply;

const LIFE: SignedDuration = SignedDuration::from_mins(5);

#[derive(Debug)]
enum Known {
    Running,
    Answered { at: Timestamp, reply: Reply },
}

/// The keys that were used.
#[derive(Debug, Default)]
pub struct Idempotency(Mutex<HashMap<String, Known>>);

/// A call with a key. Dropped without a good answer it leaves the key as if it had never been used.
#[derive(Debug)]
pub struct Running<'a> {
    keys: &'a Idempotency,
    key: String,
}

impl Idempotency {
    /// Begins a call, or says what is to be answered instead.
    pub fn begin(&self, key: &str, now: Timestamp) -> Result<Running<'_>, Reply> {
        let mut known = self.lock();
        match known.get(key) {
            Some(Known::Running) => {
                return Err(Reply::core(202, "202", "Another request with this key is in progress."));
            }
            Some(Known::Answered { at, reply }) if now.duration_since(*at) < LIFE => {
                return Err(reply.clone());
            }
            Some(Known::Answered { .. }) | None => {}
        }
        known.insert(key.to_owned(), Known::Running);
        Ok(Running { keys: self, key: key.to_owned() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running<'_> {
    /// Keeps the answer, if it is a good one.
    pub fn answered(&self, reply: &Reply, now: Timestamp) {
        if reply.is_success() {
            self.keys.lock().insert(self.key.clone(), Known::Answered { at: now, reply: reply.clone() });
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut known = self.keys.lock();
        if matches!(known.get(&self.key), Some(Known::Running)) {
            known.remove(&self.key);
        }
    }
}
