//! Brings notifications to the merchant: so many at a time, those of one order in their order unless a rule says otherwise, and again where
//! the answer asks for it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::body;
use super::book::Notice;
use super::clock::Clock;
use super::delivery::{Content, Delivery, Parcel};
use super::faults::{Fault, Faults, On};
use super::keys::Keys;
use super::lanes::Lanes;
use super::order::Notify;
use super::post::Post;
use super::retry;
use super::shuffle;

/// In which order held notifications leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// As they came.
    Fifo,
    /// At random, the same for the same seed.
    Shuffled(u64),
}

/// How it delivers.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// How many at a time.
    pub concurrency: usize,
    /// How long it waits for an answer.
    pub timeout: Duration,
    /// What the intervals between tries are multiplied by.
    pub retry_factor: f64,
}

/// Cheap to clone; the clones are one courier.
#[derive(Clone, Debug)]
pub struct Courier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    own: Mutex<Option<String>>,
    keys: Arc<Keys>,
    clock: Arc<Clock>,
    faults: Arc<Mutex<Faults>>,
    manner: Manner,
    post: Post,
    ready: mpsc::UnboundedSender<Parcel>,
    /// What waits for the first try of the one before it.
    lanes: Lanes,
    /// What waits to be overtaken.
    overtaken: Mutex<HashMap<(String, String), Parcel>>,
    held: Mutex<Vec<Parcel>>,
    deliveries: Mutex<Vec<Delivery>>,
    outstanding: watch::Sender<usize>,
    stop: CancellationToken,
}

/// What it works with.
#[derive(Debug)]
pub struct Tools {
    /// The merchant's own address.
    pub own: Option<String>,
    /// What it signs with.
    pub keys: Arc<Keys>,
    /// The time of a try.
    pub clock: Arc<Clock>,
    /// What goes wrong.
    pub faults: Arc<Mutex<Faults>>,
    /// Ends it.
    pub stop: CancellationToken,
}

impl Courier {
    /// Starts it.
    pub fn start(tools: Tools, manner: Manner) -> Result<Self> {
        let Tools { own, keys, clock, faults, stop } = tools;
        let (ready, queue) = mpsc::unbounded_channel();
        let courier = Self(Arc::new(Inner {
            own: Mutex::new(own),
            keys,
            clock,
            faults,
            manner,
            post: Post::new(manner.timeout)?,
            ready,
            lanes: Lanes::default(),
            overtaken: Mutex::default(),
            held: Mutex::default(),
            deliveries: Mutex::default(),
            outstanding: watch::Sender::new(0),
            stop,
        }));
        courier.spawn(work(courier.clone(), queue));
        Ok(courier)
    }

    /// Where notifications go that say nothing else.
    pub fn set_own(&self, url: Option<String>) {
        *lock(&self.0.own) = url;
    }

    /// Takes notifications of changes. They leave in this order, if no rule is against it.
    pub fn notify(&self, notices: Vec<Notice>) {
        for notice in notices {
            for url in self.addresses(&notice.terms.notify) {
                let content = Content::Notice(Box::new(notice.clone()));
                self.treat(Parcel::new(content, &notice.terms.order_id, url));
            }
        }
    }

    /// Takes a body that the gateway wouldn't send.
    pub fn forge(&self, order_id: &str, notify: &Notify, body: &serde_json::Value) {
        for url in self.addresses(notify) {
            self.enter(Parcel::new(Content::Forged(Box::new(body.clone())), order_id, url));
        }
    }

    /// Lets everything go that is held; how many.
    pub fn release(&self, order: Release) -> usize {
        let mut parcels = std::mem::take(&mut *lock(&self.0.held));
        parcels.extend(std::mem::take(&mut *lock(&self.0.overtaken)).into_values());
        if let Release::Shuffled(seed) = order {
            shuffle::shuffle(&mut parcels, seed);
        }
        let count = parcels.len();
        for parcel in parcels {
            self.enter(parcel);
        }
        count
    }

    /// How many are held, by a rule or to be overtaken.
    pub fn held(&self) -> usize {
        lock(&self.0.held).len() + lock(&self.0.overtaken).len()
    }

    /// All tries from a place on.
    pub fn deliveries(&self, from: usize) -> Vec<Delivery> {
        lock(&self.0.deliveries).get(from..).map(<[_]>::to_vec).unwrap_or_default()
    }

    /// How many are under way or will be tried again.
    pub fn outstanding(&self) -> usize {
        *self.0.outstanding.borrow()
    }

    /// Returns when nothing is under way and nothing will be tried again; what is held stays.
    pub async fn idle(&self) {
        // It can't fail: the sender is ours.
        drop(self.0.outstanding.subscribe().wait_for(|count| *count == 0).await);
    }

    fn addresses(&self, notify: &Notify) -> Vec<String> {
        let own = || lock(&self.0.own).clone().into_iter();
        match notify {
            Notify::Own => own().collect(),
            Notify::Instead(urls) => urls.clone(),
            Notify::Also(urls) => own().chain(urls.iter().cloned()).collect(),
        }
    }

    /// Does with a notification what the rules say.
    fn treat(&self, parcel: Parcel) {
        let former = lock(&self.0.overtaken).remove(&parcel.lane());
        if let Some(former) = former {
            self.enter(parcel);
            return self.enter(former);
        }
        let fault = lock(&self.0.faults).take(On::Notification, &parcel.order_id);
        match fault {
            Some(Fault::Hold) => lock(&self.0.held).push(parcel),
            Some(Fault::Drop) => self.record(&parcel, Err("dropped by a rule".to_owned())),
            Some(Fault::Reorder) => drop(lock(&self.0.overtaken).insert(parcel.lane(), parcel)),
            Some(Fault::Delay { ms }) => {
                self.count(1);
                self.later(parcel, Duration::from_millis(ms));
            }
            Some(Fault::Duplicate { n }) => {
                (0..n).for_each(|_| self.enter(parcel.clone()));
                self.enter(parcel);
            }
            _ => self.enter(parcel),
        }
    }

    /// Sends it, after those of its order that are to be tried first.
    fn enter(&self, mut parcel: Parcel) {
        parcel.leads = true;
        self.count(1);
        if let Some(parcel) = self.0.lanes.enter(parcel) {
            self.send(parcel);
        }
    }

    fn send(&self, parcel: Parcel) {
        // It fails only when all is over.
        drop(self.0.ready.send(parcel));
    }

    fn later(&self, parcel: Parcel, pause: Duration) {
        let courier = self.clone();
        self.spawn(async move {
            tokio::time::sleep(pause).await;
            courier.send(parcel);
        });
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.0.stop.clone();
        tokio::spawn(async move { stop.run_until_cancelled(work).await });
    }

    fn count(&self, more: usize) {
        self.0.outstanding.send_modify(|count| *count += more);
    }

    fn record(&self, parcel: &Parcel, answer: Result<u16, String>) {
        lock(&self.0.deliveries).push(parcel.tried(answer, self.0.clock.now()));
    }

    /// Tries once, and sees to the next try.
    async fn deliver(&self, mut parcel: Parcel) {
        let body = match &parcel.content {
            Content::Notice(notice) => body::notification(notice, &self.0.keys.signing()).to_string(),
            Content::Forged(body) => body.to_string(),
        };
        let answer = self.0.post.send(&parcel.url, &body).await;
        self.record(&parcel, answer.clone());
        if std::mem::take(&mut parcel.leads) {
            self.0.lanes.passed(&parcel.lane()).into_iter().for_each(|next| self.send(next));
        }
        match retry::next(answer.ok(), parcel.attempt) {
            Some(pause) => {
                parcel.attempt += 1;
                self.later(parcel, pause.mul_f64(self.0.manner.retry_factor));
            }
            None => self.0.outstanding.send_modify(|count| *count -= 1),
        }
    }
}

/// Sends what is ready, so many at a time.
async fn work(courier: Courier, mut queue: mpsc::UnboundedReceiver<Parcel>) {
    let places = Arc::new(Semaphore::new(courier.0.manner.concurrency.max(1)));
    while let Some(parcel) = queue.recv().await {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let one = courier.clone();
        courier.spawn(async move {
            one.deliver(parcel).await;
            drop(place);
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
