//! The book: all orders, found by id, token and transaction, and the deadlines to come. It is told the time.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::method::Method;
use super::order::{Order, Terms};
use super::transaction::{Fraud, Refused, Status, Step, Transaction};

/// A change that the merchant is to be told of: the transaction as it was right after it.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The order's terms.
    pub terms: Arc<Terms>,
    /// The transaction then.
    pub transaction: Transaction,
}

/// How a method is picked.
#[derive(Clone, Copy, Debug)]
pub struct Picking {
    /// The method.
    pub method: Method,
    /// What the gateway adds, in rupiah.
    pub fee: i64,
    /// Whether the pending state is written in capitals.
    pub uppercase: bool,
    /// Whatever page and method allow.
    pub forced: bool,
}

/// Why an order wasn't created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used;

/// All orders.
#[derive(Debug, Default)]
pub struct Book {
    orders: HashMap<String, Order>,
    by_transaction: HashMap<String, String>,
    by_token: HashMap<String, String>,
    deadlines: BTreeSet<(Timestamp, String)>,
    serial: u64,
    /// The orders that changed since they were written down; none: nobody writes them down.
    pub changed: Option<Vec<String>>,
}

impl Book {
    /// Creates an order, or gives one that nobody began to pay a new page.
    pub fn create(&mut self, terms: Terms) -> Result<(), Used> {
        let id = terms.order_id.clone();
        let token = terms.token.clone();
        match self.orders.get_mut(&id) {
            Some(order) if !order.is_free() => return Err(Used),
            Some(order) => {
                self.by_token.remove(&order.terms.token);
                order.terms = Arc::new(terms);
                order.canceled_at = None;
            }
            None => drop(self.orders.insert(id.clone(), Order::new(terms))),
        }
        self.by_token.insert(token, id.clone());
        self.mark(&id);
        Ok(())
    }

    /// Takes an order from what was written down.
    pub fn restore(&mut self, order: Order) {
        let id = order.terms.order_id.clone();
        if let Some(former) = self.orders.get(&id) {
            self.by_token.remove(&former.terms.token);
        }
        self.by_token.insert(order.terms.token.clone(), id.clone());
        for transaction in &order.transactions {
            let returned = transaction.returned.iter().map(|returned| returned.id).max().unwrap_or_default();
            self.serial = self.serial.max(transaction.serial).max(returned);
            self.by_transaction.insert(transaction.id.clone(), id.clone());
            self.deadlines.insert((transaction.expires_at, transaction.id.clone()));
        }
        self.orders.insert(id, order);
    }

    /// All orders.
    pub fn orders(&self) -> impl Iterator<Item = &Order> {
        self.orders.values()
    }

    /// The order of an id.
    pub fn order(&self, id: &str) -> Option<&Order> {
        self.orders.get(id)
    }

    /// The same, to be changed.
    pub fn order_mut(&mut self, id: &str) -> Result<&mut Order, Refused> {
        self.mark(id);
        self.orders.get_mut(id).ok_or(Refused::Unknown)
    }

    /// The order of a page's token.
    pub fn order_of_token(&self, token: &str) -> Option<&Order> {
        self.orders.get(self.by_token.get(token)?)
    }

    /// The transaction of an id, which is its own or its order's; of an order the latest. A method that hides its order is found by its own
    /// id alone.
    pub fn find(&self, id: &str) -> Option<(&Order, &Transaction)> {
        if let Some(order) = self.by_transaction.get(id).and_then(|order| self.orders.get(order)) {
            return order
                .transactions
                .iter()
                .find(|transaction| transaction.id == id)
                .map(|one| (order, one));
        }
        let order = self.orders.get(id)?;
        let latest = order.transactions.last().filter(|latest| !latest.method.hides_order())?;
        Some((order, latest))
    }

    /// A number that no other thing has.
    pub fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Opens a transaction by a method.
    pub fn pick(&mut self, order_id: &str, how: Picking, now: Timestamp) -> Result<Notice, Refused> {
        let Picking { method, fee, uppercase, forced } = how;
        let order = self.orders.get(order_id).ok_or(Refused::Unknown)?;
        if !forced {
            order.check_page(now)?;
            if !order.methods().any(|offered| offered == method) {
                return Err(Refused::Page("the page doesn't offer this method"));
            }
        }
        let transaction = Transaction {
            id: Uuid::new_v4().to_string(),
            serial: self.next_serial(),
            method,
            amount: self.orders[order_id].terms.gross,
            fee,
            status: Status::Pending,
            fraud: (method != Method::Indomaret).then_some(Fraud::Accept),
            at: now,
            settled_at: None,
            expires_at: self.orders[order_id].terms.deadline(method, now),
            returned: Vec::new(),
            denied: Vec::new(),
            uppercase,
            signed_200: false,
        };
        self.by_transaction.insert(transaction.id.clone(), order_id.to_owned());
        self.deadlines.insert((transaction.expires_at, transaction.id.clone()));
        let order = self.order_mut(order_id)?;
        order.transactions.push(transaction.clone());
        Ok(Notice { terms: Arc::clone(&order.terms), transaction })
    }

    /// Changes a transaction and tells of it.
    pub fn change(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut Transaction) -> Result<(), Refused>,
    ) -> Result<Notice, Refused> {
        let order_id = self.by_transaction.get(id).ok_or(Refused::Unknown)?.clone();
        let order = self.order_mut(&order_id)?;
        let terms = Arc::clone(&order.terms);
        let found = order.transactions.iter_mut().find(|transaction| transaction.id == id);
        let transaction = found.ok_or(Refused::Unknown)?;
        change(transaction)?;
        Ok(Notice { terms, transaction: transaction.clone() })
    }

    /// Takes a step.
    pub fn step(&mut self, id: &str, step: Step, forced: bool, now: Timestamp) -> Result<Notice, Refused> {
        self.change(id, |transaction| transaction.take(step, forced, now))
    }

    /// Lets what wasn't paid in time expire. A page that is over tells nobody.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Notice> {
        let mut notices = Vec::new();
        while self.deadlines.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, id)) = self.deadlines.pop_first() else { break };
            let held = self.by_transaction.get(&id).and_then(|order| self.orders.get(order));
            let is_pending = |(_, transaction): (&Order, &Transaction)| transaction.status == Status::Pending;
            if held.is_some_and(|order| order.expiry_held) || !self.find(&id).is_some_and(is_pending) {
                continue;
            }
            notices.extend(self.step(&id, Step::Expire, false, now));
        }
        notices
    }

    fn mark(&mut self, id: &str) {
        if let Some(changed) = &mut self.changed {
            changed.push(id.to_owned());
        }
    }
}
