//! The gateway as one thing: the book with its clock, its keys, its rules and the courier. Everything that happens goes through here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::act::{Act, Verb};
use super::book::{Book, Notice};
use super::clock::Clock;
use super::courier::{Courier, Release};
use super::delivery::Delivery;
use super::entry::Entry;
use super::faults::{Fault, Faults, Misplaced, On, Rule};
use super::forge::{self, Forgery};
use super::idempotency::Idempotency;
use super::keys::Keys;
use super::order::Notify;
use super::play::{self, Weather};
use super::store::Store;
use super::transaction::Refused;

/// What came of an act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The order.
    pub order_id: String,
    /// The transaction that it was about; none: the act was about the order.
    pub transaction_id: Option<String>,
    /// The transaction's state now.
    pub transaction_status: Option<String>,
}

/// The stand-in, without its port.
#[derive(Debug)]
pub struct Gateway {
    kept: Mutex<Kept>,
    faults: Arc<Mutex<Faults>>,
    requests: Mutex<BTreeMap<String, u64>>,
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

    /// Makes something happen.
    pub fn act(&self, act: &Act) -> Result<Done, Refused> {
        let weather = || self.weather(&act.order_id);
        self.change(|book, now| {
            let notices = play::play(book, act, &weather, now)?;
            let last = notices.last().map(|notice| &notice.transaction);
            let done = Done {
                order_id: act.order_id.clone(),
                transaction_id: last.map(|last| last.id.clone()),
                transaction_status: last.map(|last| last.status.name().to_owned()),
            };
            Ok((done, notices))
        })
    }

    /// The order is paid by its method.
    pub fn pay_many(&self, acts: &[Act]) -> Vec<Refused> {
        acts.iter().filter_map(|act| self.act(&Act { verb: Verb::Pay, ..act.clone() }).err()).collect()
    }

    /// Adds rules, all or none.
    pub fn add_rules(&self, rules: Vec<Rule>) -> Result<(), Misplaced> {
        lock(&self.faults).add(rules)
    }

    /// Takes all rules away. What is held stays held.
    pub fn clear_rules(&self) {
        lock(&self.faults).clear();
    }

    /// What is left of the rules.
    pub fn rules(&self) -> Vec<Rule> {
        lock(&self.faults).rules().to_vec()
    }

    /// Lets everything go that is held; how many.
    pub fn release(&self, order: Release) -> usize {
        self.courier.release(order)
    }

    /// How many notifications are held.
    pub fn held(&self) -> usize {
        self.courier.held()
    }

    /// Sends a notification that isn't true.
    pub fn forge(&self, order_id: &str, kind: Forgery) -> Result<(), Refused> {
        let kept = lock(&self.kept);
        let body = forge::forged(&kept.book, order_id, kind, &self.keys.signing())?;
        let notify = kept.book.order(order_id).map(|order| order.terms.notify.clone()).unwrap_or_default();
        drop(kept);
        self.courier.forge(order_id, &notify, &body);
        Ok(())
    }

    /// Sends what the dashboard's test button sends; the made-up order.
    pub fn pay_other(&self) -> String {
        let notice = forge::unknown_order(self.now());
        let body = super::body::notification(&notice, &self.keys.signing());
        self.courier.forge(&notice.terms.order_id, &Notify::Own, &body);
        notice.terms.order_id.clone()
    }

    /// Moves its clock; what is over by then expires.
    pub fn advance(&self, seconds: i64) {
        self.clock.advance(seconds);
        self.keep_clock();
    }

    /// Sets its clock.
    pub fn set_clock(&self, now: Timestamp) {
        self.clock.set(now);
        self.keep_clock();
    }

    fn keep_clock(&self) {
        if let Some(store) = &mut lock(&self.kept).store {
            warn_of(store.clock(self.clock.ahead()));
        }
        self.tick();
    }

    /// Lets what is over expire.
    pub fn tick(&self) {
        // Nothing else is done, so nothing is refused.
        drop(self.change(|_, _| Ok::<_, Refused>(((), Vec::new()))));
    }

    /// From now on these keys; the first one signs.
    pub fn set_keys(&self, first: String, second: Option<String>) {
        self.keys.set(first, second);
    }

    /// Where notifications go that say nothing else.
    pub fn set_notify(&self, url: Option<String>) {
        self.courier.set_own(url);
    }

    /// All orders, by id.
    pub fn book(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = lock(&self.kept).book.orders().map(Entry::of).collect();
        entries.sort_unstable_by(|one, other| one.order_id.cmp(&other.order_id));
        entries
    }

    /// One order.
    pub fn entry(&self, order_id: &str) -> Option<Entry> {
        lock(&self.kept).book.order(order_id).map(Entry::of)
    }

    /// What the merchant really holds, in rupiah, without fees.
    pub fn total(&self) -> i64 {
        lock(&self.kept).book.orders().map(super::order::Order::net).sum()
    }

    /// All tries to deliver a notification, from a place on.
    pub fn deliveries(&self, from: usize) -> Vec<Delivery> {
        self.courier.deliveries(from)
    }

    /// How many notifications are under way or will be tried again.
    pub fn outstanding(&self) -> usize {
        self.courier.outstanding()
    }

    /// Returns when no notification is under way and none will be tried again.
    pub async fn idle(&self) {
        self.courier.idle().await;
    }

    /// How often what was called.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        lock(&self.requests).clone()
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

    fn weather(&self, order_id: &str) -> Weather {
        let fee = self.fault(On::Pick, order_id, |fault| matches!(fault, Fault::Fee { .. }));
        let capitals = self.fault(On::Pick, order_id, |fault| *fault == Fault::UppercasePending);
        let fee = if let Some(Fault::Fee { rupiah }) = fee { rupiah } else { 0 };
        Weather { fee, uppercase: capitals.is_some() }
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

fn warn_of(kept: anyhow::Result<()>) {
    if let Err(error) = kept {
        tracing::error!("the book can't be written down: {error:#}");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
