//! The gateway as one thing: the book with its clock, its keys, its rules and the courier. Everything that happens goes through here.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::book::{Book, Notice};
use super::clock::Clock;
use super::courier::Courier;
use super::faults::{Fault, Faults, On};
use super::idempotency::Idempotency;
use super::keys::Keys;
use super::play::Weather;
use super::store::Store;

/// The stand-in, without its port.
#[derive(Debug)]
pub struct Gateway {
    pub(super) kept: Mutex<Kept>,
    pub(super) faults: Arc<Mutex<Faults>>,
    pub(super) requests: Mutex<BTreeMap<String, u64>>,
    /// What was answered to which `Idempotency-Key`.
    pub(super) idempotency: Idempotency,
    pub(super) courier: Courier,
    pub(super) keys: Arc<Keys>,
    pub(super) clock: Arc<Clock>,
    /// Its address for people, without a slash at the end.
    pub(super) url: String,
}

#[derive(Debug)]
pub(super) struct Kept {
    pub(super) book: Book,
    pub(super) store: Option<Store>,
}

/// What it is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) kept: Kept,
    pub(super) faults: Arc<Mutex<Faults>>,
    pub(super) courier: Courier,
    pub(super) keys: Arc<Keys>,
    pub(super) clock: Arc<Clock>,
    pub(super) url: String,
}

impl Gateway {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { kept, faults, courier, keys, clock, url } = parts;
        let (requests, idempotency) = (Mutex::default(), Idempotency::default());
        Self { kept: Mutex::new(kept), faults, requests, idempotency, courier, keys, clock, url }
    }

    /// Its address for people.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Now, by its clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn count(&self, call: &str) {
        let mut requests = lock(&self.requests);
        match requests.get_mut(call) {
            Some(count) => *count += 1,
            None => drop(requests.insert(call.to_owned(), 1)),
        }
    }

    pub(super) fn fault(&self, on: On, order_id: &str, wanted: impl Fn(&Fault) -> bool) -> Option<Fault> {
        lock(&self.faults).take_if(on, order_id, wanted)
    }

    pub(super) fn weather(&self, order_id: &str) -> Weather {
        let fee = self.fault(On::Pick, order_id, |fault| matches!(fault, Fault::Fee { .. }));
        let capitals = self.fault(On::Pick, order_id, |fault| *fault == Fault::UppercasePending);
        let fee = if let Some(Fault::Fee { rupiah }) = fee { rupiah } else { 0 };
        Weather { fee, uppercase: capitals.is_some() }
    }

    /// Lets what is over expire.
    pub fn tick(&self) {
        let Ok(()) = self.change(|_, _| Ok::<_, Infallible>(((), Vec::new())));
    }

    /// Reads the book as it is now.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Book, Timestamp) -> T) -> T {
        self.tick();
        look(&lock(&self.kept).book, self.now())
    }

    /// Changes the book, after what is over has expired. It is written down and told in the order in which it happened.
    pub(super) fn change<T, E>(
        &self,
        change: impl FnOnce(&mut Book, Timestamp) -> Result<(T, Vec<Notice>), E>,
    ) -> Result<T, E> {
        let mut guard = lock(&self.kept);
        let Kept { book, store } = &mut *guard;
        let now = self.clock.now();
        self.courier.notify(book.tick(now));
        let changed = change(book, now);
        if let Some(store) = store {
            warn_of(store.keep(book));
        }
        changed.map(|(value, notices)| {
            self.courier.notify(notices);
            value
        })
    }
}

pub(super) fn warn_of(kept: anyhow::Result<()>) {
    if let Err(error) = kept {
        tracing::error!("the book can't be written down: {error:#}");
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
