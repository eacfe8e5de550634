//! A proxy before PostgreSQL: knows the protocol so far that it sees what a program's statements change, writes that down, and can have something
//! killed right before a change reaches the database, or right after it is there and before the program hears of it.
//!
//! Every program has a loopback port of its own, by which it is known. What is changed is a statement outside a transaction that changes at least
//! one row, or the commit of a transaction that did.

mod relay;
mod sql;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::HashMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::wait;

/// A change of what is in the database, described so that it can be met again in another run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DatabaseWrite {
    /// Whose.
    pub actor: Arc<str>,
    /// What is changed, by verb, table and first column.
    pub what: String,
    /// Which of its kind, from 1 on.
    pub nth: u64,
}

/// When something is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The change never reaches the database.
    Before,
    /// The database has it, and nobody has heard of that.
    After,
}

/// Kills something; called from within the proxy.
pub type Strike = Arc<dyn Fn() + Send + Sync>;

/// Where to strike.
pub struct Target {
    /// At which change.
    pub write: DatabaseWrite,
    /// Not before this one was seen: of what is asked again and again one does not know beforehand whether it will change anything.
    pub follows: Option<DatabaseWrite>,
    /// On which side of it.
    pub moment: Moment,
    /// What is to happen.
    pub strike: Strike,
}

/// A running proxy. Dropping it closes every port; connections end with their programs.
pub struct PostgresProxy {
    shared: Arc<Shared>,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

struct Shared {
    upstream: SocketAddr,
    book: Mutex<Book>,
    strikes: watch::Sender<u64>,
}

#[derive(Default)]
struct Book {
    counts: HashMap<(Arc<str>, String), u64>,
    trace: Vec<DatabaseWrite>,
    target: Option<Target>,
    /// What was aimed at is dead.
    is_struck: bool,
}

impl PostgresProxy {
    /// Prepares the way to a server on this machine, which need not run yet.
    pub fn start(port: u16) -> Self {
        let stop = CancellationToken::new();
        let shared = Shared {
            upstream: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            book: Mutex::default(),
            strikes: watch::Sender::new(0),
        };
        Self { shared: Arc::new(shared), _stop_on_drop: stop.clone().drop_guard(), stop }
    }

    /// Opens a port for a program. To be called within a runtime.
    pub fn open(&self, actor: &str) -> Result<u16> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::spawn(relay::accept(listener, actor.into(), Arc::clone(&self.shared), self.stop.clone()));
        Ok(port)
    }

    /// Forgets what was seen; counts begin anew.
    pub fn forget(&self) {
        *self.shared.book() = Book::default();
    }

    /// What has been changed, in that order.
    pub fn trace(&self) -> Vec<DatabaseWrite> {
        self.shared.book().trace.clone()
    }

    /// Strikes at this change, once.
    pub fn aim(&self, target: Target) {
        let mut book = self.shared.book();
        (book.target, book.is_struck) = (Some(target), false);
    }

    /// Lets pass what was aimed at, if it has not come.
    pub fn put_down(&self) {
        self.shared.book().target = None;
    }

    /// Waits until it was struck, and what was to die is dead.
    pub async fn struck(&self, bound: Duration) -> Result<()> {
        let mut strikes = self.shared.strikes.subscribe();
        let struck = async {
            while !self.shared.book().is_struck {
                strikes.changed().await?;
            }
            anyhow::Ok(())
        };
        wait::within("a change of the database to come", bound, struck).await
    }
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is about to be changed has arrived; whether something was killed instead.
    fn arrives(&self, actor: &Arc<str>, what: &str) -> bool {
        let target = {
            let mut book = self.book();
            let is_it = book.is_next(actor, what, Moment::Before) && book.has_followed();
            if is_it { book.target.take() } else { None }
        };
        target.is_some_and(|target| self.hit(&target))
    }

    /// Whether the answer must be kept back until it is known what was changed.
    fn may_strike_after(&self, actor: &Arc<str>, what: &str) -> bool {
        self.book().is_next(actor, what, Moment::After)
    }

    /// It is changed; whether something was killed.
    fn changed(&self, actor: &Arc<str>, what: &str) -> bool {
        let target = {
            let mut book = self.book();
            let is_it = book.is_next(actor, what, Moment::After);
            let count = book.counts.entry((Arc::clone(actor), what.to_owned())).or_default();
            *count += 1;
            let write = DatabaseWrite { actor: Arc::clone(actor), what: what.to_owned(), nth: *count };
            book.trace.push(write);
            if is_it { book.target.take() } else { None }
        };
        target.is_some_and(|target| self.hit(&target))
    }

    fn hit(&self, target: &Target) -> bool {
        (target.strike)();
        self.book().is_struck = true;
        self.strikes.send_modify(|strikes| *strikes += 1);
        true
    }
}

impl Book {
    fn count(&self, actor: &Arc<str>, what: &str) -> u64 {
        self.counts.get(&(Arc::clone(actor), what.to_owned())).copied().unwrap_or_default()
    }

    fn is_next(&self, actor: &Arc<str>, what: &str, moment: Moment) -> bool {
        self.target.as_ref().is_some_and(|target| {
            let write = &target.write;
            let is_alike = target.moment == moment && write.actor == *actor && write.what == what;
            is_alike && self.count(actor, what) + 1 == write.nth
        })
    }

    fn has_followed(&self) -> bool {
        let follows = self.target.as_ref().and_then(|target| target.follows.as_ref());
        follows.is_none_or(|write| self.count(&write.actor, &write.what) >= write.nth)
    }
}

impl fmt::Display for DatabaseWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.actor, self.what)?;
        if self.nth > 1 { write!(f, " ({})", self.nth) } else { Ok(()) }
    }
}

impl fmt::Debug for PostgresProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a proxy before {}", self.shared.upstream)
    }
}
