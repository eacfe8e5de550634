//! The log of calls: written by the proxy, read and awaited by tests.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Deserialize;
use tokio::{sync::watch, time::Instant};

use super::call::{Call, Outcome, Request};

/// A place in the log; calls that began later come after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub(super) usize);

impl Mark {
    /// Before the first call.
    pub const START: Self = Self(0);
}

/// All calls of all actors, in the order of arrival. Cheap to clone; the clones are one log.
#[derive(Clone)]
pub struct CallLog {
    inner: Arc<Inner>,
}

struct Inner {
    origin: Instant,
    calls: Mutex<Vec<Call>>,
    /// Counts changes.
    changes: watch::Sender<u64>,
}

impl CallLog {
    pub(super) fn new() -> Self {
        let inner = Inner { origin: Instant::now(), calls: Mutex::default(), changes: watch::Sender::new(0) };
        Self { inner: Arc::new(inner) }
    }

    /// Here and now.
    pub fn mark(&self) -> Mark {
        Mark(self.lock().len())
    }

    /// The time since the start of the proxy, comparable with [`Call::started`].
    pub fn now(&self) -> Duration {
        self.inner.origin.elapsed()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<Call>> {
        self.inner.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Writes down that a call arrived.
    pub(super) fn begin(&self, actor: Arc<str>, request: Arc<Request>) -> Record {
        let mut calls = self.lock();
        let seq = calls.len();
        calls.push(Call {
            seq,
            actor,
            request,
            status: None,
            upstream_status: None,
            reason: None,
            uid: None,
            answered_name: None,
            resource_version: None,
            started: self.now(),
            finished: None,
            outcome: Outcome::Pending,
        });
        drop(calls);
        self.changed();
        Record { log: self.clone(), seq }
    }

    fn changed(&self) {
        self.inner.changes.send_modify(|changes| *changes += 1);
    }
}

/// The entry of one call.
#[derive(Clone)]
pub(super) struct Record {
    log: CallLog,
    seq: usize,
}

impl Record {
    /// The API server answered, with this body if it was a write's.
    pub(super) fn answered(&self, status: u16, body: Option<&[u8]>) {
        let fields = body.and_then(|it| serde_json::from_slice::<AnswerFields>(it).ok()).unwrap_or_default();
        self.edit(|call| {
            call.upstream_status = Some(status);
            call.reason = fields.reason;
            call.uid = fields.metadata.uid.or(fields.details.uid);
            call.answered_name = fields.metadata.name.or(fields.details.name);
            call.resource_version = fields.metadata.resource_version;
        });
    }

    /// It is decided what becomes of the call; `status` is what the actor will see.
    pub(super) fn decide(&self, outcome: Outcome, status: Option<u16>) {
        self.edit(|call| {
            call.outcome = outcome;
            call.status = status;
        });
        self.log.changed();
    }

    fn edit(&self, edit: impl FnOnce(&mut Call)) {
        if let Some(call) = self.log.lock().get_mut(self.seq) {
            edit(call);
        }
    }
}

/// Ends the entry of a call when dropped, wherever that happens.
pub(super) struct Ending(pub(super) Record);

impl Drop for Ending {
    fn drop(&mut self) {
        let now = self.0.log.now();
        self.0.edit(|call| {
            call.finished = Some(now);
            if call.outcome == Outcome::Pending {
                call.outcome = Outcome::Abandoned;
            }
        });
        self.0.log.changed();
    }
}

/// What the log takes from the answer to a write: an object, or a `Status`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct AnswerFields {
    metadata: AnswerMeta,
    details: AnswerMeta,
    reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct AnswerMeta {
    name: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
}
