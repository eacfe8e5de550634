//! A stand-in for the payment gateway Midtrans, for tests and for `cargo dev up`: its two interfaces, the customer's page and its
//! notifications, with their traps, a book of its own that says what the merchant really holds, and doors to make things happen.
//!
//! It was written from the contract as the documents have it, never against the gateway itself.

pub mod act;
mod ask;
pub mod body;
pub mod book;
pub mod client;
pub mod clock;
mod control;
pub mod control_body;
mod core_api;
mod core_refund;
pub mod courier;
pub mod delivery;
pub mod doing;
pub mod entry;
pub mod faults;
pub mod forge;
pub mod gateway;
mod idempotency;
pub mod keys;
mod lanes;
pub mod method;
pub mod order;
mod page;
pub mod play;
mod post;
pub mod refund;
mod reply;
pub mod retry;
mod server;
pub mod shuffle;
pub mod signature;
mod snap;
pub mod status;
pub mod store;
#[cfg(test)]
mod tests;
pub mod transaction;
pub mod wib;

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use act::{Act, Verb};
pub use client::Control;
pub use courier::Release;
pub use delivery::Delivery;
pub use doing::Done;
pub use faults::{Fault, On, Rule};
pub use forge::Forgery;
pub use gateway::Gateway;
pub use method::Method;
pub use transaction::{Fraud, Refused, Status};

use courier::{Courier, Manner, Tools};
use gateway::{Kept, Parts};
use keys::Keys;
use store::{Found, Store};

/// How often it looks what has expired, when nobody calls.
const LOOK: Duration = Duration::from_secs(1);

/// How to run one.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens: `127.0.0.1:0` for a free port.
    pub listen: String,
    /// The server key, which signs.
    pub server_key: String,
    /// Another one that is taken.
    pub second_key: Option<String>,
    /// Where notifications go that say nothing else.
    pub notify: Option<String>,
    /// The file that keeps the book.
    pub book: Option<PathBuf>,
    /// How many notifications are sent at a time.
    pub concurrency: usize,
    /// How long it waits for an answer to one.
    pub timeout: Duration,
    /// What the intervals between tries are multiplied by; 1: minutes and hours, as the gateway has them.
    pub retry_factor: f64,
}

impl Settings {
    /// The usual ones for tests, on a free port.
    pub fn new(server_key: impl Into<String>) -> Self {
        Self {
            listen: "127.0.0.1:0".to_owned(),
            server_key: server_key.into(),
            second_key: None,
            notify: None,
            book: None,
            concurrency: 32,
            timeout: Duration::from_secs(15),
            retry_factor: 0.001,
        }
    }
}

/// A running stand-in. Dropping it stops it.
#[derive(Debug)]
pub struct Midtrans {
    gateway: Arc<Gateway>,
    _stop: DropGuard,
}

impl Deref for Midtrans {
    type Target = Gateway;

    fn deref(&self) -> &Gateway {
        &self.gateway
    }
}

impl Midtrans {
    /// Starts one; it listens when this returns.
    pub async fn start(settings: Settings) -> Result<Self> {
        let Settings { listen, server_key, second_key, notify, book, concurrency, timeout, retry_factor } =
            settings;
        let listener =
            TcpListener::bind(&listen).await.with_context(|| format!("can't listen on {listen}"))?;
        let url = format!("http://{}", listener.local_addr()?);
        let (store, found) = match book {
            Some(path) => Store::open(&path).map(|(store, found)| (Some(store), found))?,
            None => (None, Found::default()),
        };
        let keys = Arc::new(Keys::new(server_key, second_key));
        let clock = Arc::new(clock::Clock::default());
        clock.set_ahead(found.ahead);
        let faults = Arc::new(Mutex::default());
        let stop = CancellationToken::new();
        let tools = Tools {
            own: notify,
            keys: Arc::clone(&keys),
            clock: Arc::clone(&clock),
            faults: Arc::clone(&faults),
            stop: stop.clone(),
        };
        let courier = Courier::start(tools, Manner { concurrency, timeout, retry_factor })?;
        let kept = Kept { book: found.book, store };
        let gateway = Arc::new(Gateway::new(Parts { kept, faults, courier, keys, clock, url }));
        tokio::spawn(server::accept(listener, server::router(Arc::clone(&gateway)), stop.clone()));
        tokio::spawn(watch_deadlines(Arc::clone(&gateway), stop.clone()));
        Ok(Self { gateway, _stop: stop.drop_guard() })
    }

    /// Its control doors, as others see them.
    pub fn control(&self) -> Result<Control> {
        Control::new(self.url())
    }
}

async fn watch_deadlines(gateway: Arc<Gateway>, stop: CancellationToken) {
    let mut pace = tokio::time::interval(LOOK);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(pace.tick()).await.is_some() {
        gateway.tick();
    }
}
