//! Answers that go on: what is told as it happens, to so many at once.

use super::problem::Problem;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use uuid::Uuid;

/// How many one user may have open on a replica.
const OF_ONE: usize = 6;
/// How many all together may have open on a replica.
const OF_ALL: usize = 2000;
/// When whoever is refused may come again.
const AGAIN: Duration = Duration::from_secs(10);

/// Who is told of something as it happens, by user.
#[derive(Clone, Debug, Default)]
pub struct Streams(Arc<Mutex<HashMap<Uuid, usize>>>);

/// A place among them; it is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    streams: Streams,
    user_id: Uuid,
}

impl Streams {
    /// A place for one more.
    ///
    /// # Errors
    /// 429 where there is none.
    pub fn place(&self, user_id: Uuid) -> Result<Place, Problem> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, of_one) = (open.values().sum::<usize>(), open.get(&user_id).copied().unwrap_or_default());
        if all >= OF_ALL || of_one >= OF_ONE {
            return Err(Problem::rate_limited(AGAIN));
        }
        open.insert(user_id, of_one + 1);
        Ok(Place { streams: self.clone(), user_id })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.user_id) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.user_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_has_so_many_and_whoever_leaves_makes_room() {
        let (streams, one, other) = (Streams::default(), Uuid::from_u128(1), Uuid::from_u128(2));
        let mut open: Vec<Place> = (0..OF_ONE).map(|_| streams.place(one).unwrap()).collect();
        assert!(streams.place(one).is_err() && streams.place(other).is_ok());
        open.pop();
        assert!(streams.place(one).is_ok());
        open.clear();
        assert!(streams.0.lock().unwrap().is_empty());
    }
}
