//! What can be made to happen at the gateway, and what can be seen of it: the control doors, without the doors.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::act::{Act, Verb};
use super::body;
use super::courier::Release;
use super::delivery::Delivery;
use super::entry::Entry;
use super::faults::{Misplaced, Rule};
use super::forge::{self, Forgery};
use super::gateway::{Gateway, lock, warn_of};
use super::order::{Notify, Order};
use super::play;
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

impl Gateway {
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
        let body = body::notification(&notice, &self.keys.signing());
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

    /// The order of a page.
    pub fn order_of(&self, token: &str) -> Option<String> {
        lock(&self.kept).book.order_of_token(token).map(|order| order.terms.order_id.clone())
    }

    /// What the merchant really holds, in rupiah, without fees.
    pub fn total(&self) -> i64 {
        lock(&self.kept).book.orders().map(Order::net).sum()
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
}
