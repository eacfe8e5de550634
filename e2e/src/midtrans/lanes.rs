//! Notifications of one order to one address leave one after the other: the next when the first try of the one before it is over.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::delivery::Parcel;

type Lane = (String, String);

/// Who waits for whom.
#[derive(Debug, Default)]
pub struct Lanes(Mutex<HashMap<Lane, VecDeque<Parcel>>>);

impl Lanes {
    /// Gives the parcel back if it may leave now, and keeps it else.
    pub fn enter(&self, parcel: Parcel) -> Option<Parcel> {
        let mut lanes = self.lock();
        if let Some(lane) = lanes.get_mut(&parcel.lane()) {
            lane.push_back(parcel);
            return None;
        }
        lanes.insert(parcel.lane(), VecDeque::new());
        Some(parcel)
    }

    /// The one before was tried: the next that may leave.
    pub fn passed(&self, lane: &Lane) -> Option<Parcel> {
        let mut lanes = self.lock();
        let next = lanes.get_mut(lane).and_then(VecDeque::pop_front);
        if next.is_none() {
            lanes.remove(lane);
        }
        next
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Lane, VecDeque<Parcel>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
