//! The rules in force, and the handles by which a test follows them.

use std::{
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    ProxyError,
    call::Request,
    matcher::StreamMatch,
    rule::{Action, Occurrence, Rule, RuleId},
};

/// A rule in force.
pub(super) struct Entry {
    pub(super) id: RuleId,
    pub(super) rule: Rule,
    /// Cancelled when the rule is removed or its time is over.
    pub(super) ended: CancellationToken,
    /// Matching calls so far.
    seen: Mutex<u64>,
    progress: watch::Sender<Progress>,
}

/// What a rule has done so far.
#[derive(Clone, Copy, Default)]
struct Progress {
    hits: u64,
    held: u64,
}

impl Entry {
    /// Counts a matching call and says whether the rule acts on it.
    pub(super) fn fires(&self) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen += 1;
        let fires = match self.rule.occurrence {
            Occurrence::Nth(n) => *seen == n,
            Occurrence::First(k) => *seen <= k,
            Occurrence::Every => true,
            Occurrence::For(duration) => {
                if *seen == 1 {
                    self.end_after(duration);
                }
                true
            }
        };
        if fires {
            self.progress.send_modify(|progress| progress.hits += 1);
        }
        fires
    }

    /// Counts events withheld from a watcher.
    pub(super) fn withheld(&self, events: usize) {
        self.progress.send_modify(|progress| progress.held += events as u64);
    }

    fn end_after(&self, duration: Duration) {
        let ended = self.ended.clone();
        tokio::spawn(async move {
            // An elapsed time is the point; an earlier end is just as well.
            let _ = tokio::time::timeout(duration, ended.cancelled()).await;
            ended.cancel();
        });
    }
}

/// All rules of a proxy, in the order they were added.
#[derive(Clone)]
pub(super) struct Rules {
    entries: Arc<RwLock<Vec<Arc<Entry>>>>,
    /// Counts the rules ever added.
    added: Arc<watch::Sender<u64>>,
}

impl Rules {
    pub(super) fn new() -> Self {
        Self { entries: Arc::default(), added: Arc::new(watch::Sender::new(0)) }
    }

    pub(super) fn add(&self, rule: Rule) -> RuleHandle {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let id = RuleId(*self.added.borrow() + 1);
        let entry = Arc::new(Entry {
            id,
            rule,
            ended: CancellationToken::new(),
            seen: Mutex::new(0),
            progress: watch::Sender::new(Progress::default()),
        });
        entries.retain(|entry| !entry.ended.is_cancelled());
        entries.push(Arc::clone(&entry));
        drop(entries);
        self.added.send_modify(|added| *added = id.0);
        RuleHandle { entry }
    }

    /// Ends every rule.
    pub(super) fn clear(&self) {
        let entries = std::mem::take(&mut *self.entries.write().unwrap_or_else(PoisonError::into_inner));
        for entry in entries {
            entry.ended.cancel();
        }
    }

    /// Tells when rules were added.
    pub(super) fn additions(&self) -> watch::Receiver<u64> {
        self.added.subscribe()
    }

    /// The rule that acts on this request, if any.
    pub(super) fn take(&self, actor: &str, request: &Request) -> Option<Arc<Entry>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let mut meant = entries.iter().filter(|entry| {
            !entry.rule.action.is_about_streams()
                && !entry.ended.is_cancelled()
                && entry.rule.matcher.matches(actor, request)
        });
        meant.find(|entry| entry.fires()).cloned()
    }

    /// The rules that mean this watch, and how far. Counts nothing.
    pub(super) fn about_stream(&self, actor: &str, request: &Request) -> Vec<(Arc<Entry>, StreamMatch)> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let live = entries.iter().filter(|it| it.rule.action.is_about_streams() && !it.ended.is_cancelled());
        live.map(|entry| (Arc::clone(entry), entry.rule.matcher.matches_stream(actor, request)))
            .filter(|(_, how)| *how != StreamMatch::No)
            .collect()
    }
}

/// Follows a rule in force. Dropping it leaves the rule in force.
#[derive(Clone)]
pub struct RuleHandle {
    entry: Arc<Entry>,
}

impl RuleHandle {
    /// The name under which the log mentions the rule.
    pub fn id(&self) -> RuleId {
        self.entry.id
    }

    /// How many calls, or watches, the rule has acted on.
    pub fn hits(&self) -> u64 {
        self.entry.progress.borrow().hits
    }

    /// How many events the rule has withheld from watchers, those delivered since included.
    pub fn held(&self) -> u64 {
        self.entry.progress.borrow().held
    }

    /// Waits until the rule has acted on `n` calls or watches.
    ///
    /// # Errors
    /// If it hasn't within `bound`.
    pub async fn wait_hits(&self, n: u64, bound: Duration) -> Result<(), ProxyError> {
        self.wait(bound, "hits of a rule", |progress| progress.hits >= n).await
    }

    /// Waits until the rule has withheld `n` events.
    ///
    /// # Errors
    /// If it hasn't within `bound`.
    pub async fn wait_held(&self, n: u64, bound: Duration) -> Result<(), ProxyError> {
        self.wait(bound, "events held by a rule", |progress| progress.held >= n).await
    }

    /// Waits until the rule has been removed or its time is over.
    ///
    /// # Errors
    /// If it hasn't within `bound`.
    pub async fn wait_ended(&self, bound: Duration) -> Result<(), ProxyError> {
        let ended = tokio::time::timeout(bound, self.entry.ended.cancelled()).await;
        ended.map_err(|_| ProxyError::TooLate { awaited: "the end of a rule", bound })
    }

    /// Ends the rule: what hangs is passed on, what is held is delivered.
    pub fn remove(&self) {
        self.entry.ended.cancel();
    }

    async fn wait(
        &self,
        bound: Duration,
        awaited: &'static str,
        reached: impl Fn(&Progress) -> bool,
    ) -> Result<(), ProxyError> {
        let mut progress = self.entry.progress.subscribe();
        let reached = tokio::time::timeout(bound, progress.wait_for(|it| reached(it))).await;
        reached.map(|_| ()).map_err(|_| ProxyError::TooLate { awaited, bound })
    }
}

impl std::fmt::Debug for RuleHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({:?}), hits: {}", self.entry.id, self.entry.rule.action, self.hits())
    }
}

/// What an action means for an open watch.
pub(super) fn is_hold(action: &Action) -> bool {
    matches!(action, Action::HoldWatch | Action::CoalesceWatch)
}
