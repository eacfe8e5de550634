//! Questions to the log, and waiting for it by notification.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use tokio::time::timeout;

use super::{
    ProxyError,
    call::{Call, ObjectKey, Verb},
    log::{CallLog, Mark},
    matcher::Matcher,
};

/// One call of a trace, described so that a rule can meet it again in another run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Calls like it.
    pub matcher: Matcher,
    /// Which of them, from 1; for [`Rule::nth`](super::Rule::nth).
    pub nth: u64,
}

impl CallLog {
    /// The matching calls that arrived after `since`.
    pub fn calls(&self, since: Mark, matcher: &Matcher) -> Vec<Call> {
        self.lock().iter().skip(since.0).filter(|call| matcher.matches_call(call)).cloned().collect()
    }

    /// The matching writes that arrived after `since`, refused and injected ones included.
    pub fn writes(&self, since: Mark, matcher: &Matcher) -> Vec<Call> {
        let calls = self.lock();
        let writes = calls.iter().skip(since.0).filter(|call| call.is_write());
        writes.filter(|call| matcher.matches_call(call)).cloned().collect()
    }

    /// How often each object was called with each verb.
    pub fn counts(&self, since: Mark, matcher: &Matcher) -> BTreeMap<ObjectKey, BTreeMap<Verb, usize>> {
        let mut counts = BTreeMap::<_, BTreeMap<_, _>>::new();
        for call in self.lock().iter().skip(since.0).filter(|call| matcher.matches_call(call)) {
            *counts.entry(call.object()).or_default().entry(call.request.verb).or_default() += 1;
        }
        counts
    }

    /// The object most often called within any span of this length, and how often.
    pub fn busiest(&self, since: Mark, matcher: &Matcher, span: Duration) -> Option<(ObjectKey, usize)> {
        let mut recent = HashMap::<ObjectKey, VecDeque<Duration>>::new();
        let mut busiest: Option<(ObjectKey, usize)> = None;
        for call in self.lock().iter().skip(since.0).filter(|call| matcher.matches_call(call)) {
            let times = recent.entry(call.object()).or_default();
            times.push_back(call.started);
            while times.front().is_some_and(|first| call.started.saturating_sub(*first) >= span) {
                times.pop_front();
            }
            if busiest.as_ref().is_none_or(|(_, most)| times.len() > *most) {
                busiest = Some((call.object(), times.len()));
            }
        }
        busiest
    }

    /// The matching calls as steps by which another run can be disturbed, in their order.
    pub fn steps(&self, since: Mark, matcher: &Matcher) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for call in self.calls(since, matcher) {
            let matcher = Matcher::like(&call);
            let earlier = steps.iter().filter(|step| step.matcher == matcher).count();
            steps.push(Step { matcher, nth: earlier as u64 + 1 });
        }
        steps
    }

    /// Waits until the whole log satisfies `predicate`.
    ///
    /// # Errors
    /// If it doesn't within `bound`.
    pub async fn wait_for(
        &self,
        bound: Duration,
        predicate: impl Fn(&[Call]) -> bool,
    ) -> Result<(), ProxyError> {
        let mut changes = self.changes();
        let satisfied = async {
            // The log outlives its channel: `changed` fails no sooner than this future.
            while !predicate(&self.lock()) && changes.changed().await.is_ok() {}
        };
        timeout(bound, satisfied)
            .await
            .map_err(|_| ProxyError::TooLate { awaited: "a state of the log", bound })
    }

    /// Waits for the first matching call after `since` of which it is decided what becomes.
    ///
    /// # Errors
    /// If there is none within `bound`.
    pub async fn wait_for_call(
        &self,
        since: Mark,
        matcher: &Matcher,
        bound: Duration,
    ) -> Result<Call, ProxyError> {
        let mut changes = self.changes();
        let mut scan = Scan { next: since.0, open: Vec::new() };
        let found = async {
            loop {
                if let Some(call) = scan.decided(&self.lock()).find(|call| matcher.matches_call(call)) {
                    return call.clone();
                }
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        timeout(bound, found).await.map_err(|_| ProxyError::TooLate { awaited: "a call", bound })
    }

    /// Waits until no matching write has arrived, or been under way, for `quiet`. The span begins now at the
    /// earliest: what was quiet before may not have begun yet. Returns when the last write ended, or the
    /// time of this call if there was none.
    ///
    /// # Errors
    /// If it isn't quiet within `bound`; the error names the last write.
    pub async fn wait_quiet(
        &self,
        matcher: &Matcher,
        quiet: Duration,
        bound: Duration,
    ) -> Result<Duration, ProxyError> {
        let mut watcher = QuietWatch::new(self.now());
        let until_quiet = async {
            let mut changes = self.changes();
            loop {
                watcher.look(&self.lock(), matcher);
                let now = self.now();
                let end = watcher.last_write + quiet;
                if watcher.under_way() {
                    if changes.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                } else if now >= end {
                    return;
                } else {
                    // The span itself has to pass; only then is there anything to look at.
                    tokio::time::sleep(end.saturating_sub(now)).await;
                }
            }
        };
        match timeout(bound, until_quiet).await {
            Ok(()) => Ok(watcher.last_write),
            Err(_) => Err(ProxyError::NotQuiet { bound, last: watcher.describe(&self.lock()) }),
        }
    }
}

/// Reads a growing log once, looking again only at calls that were open.
struct Scan {
    next: usize,
    open: Vec<usize>,
}

impl Scan {
    /// The calls decided since the last look.
    fn decided<'a>(&mut self, calls: &'a [Call]) -> impl Iterator<Item = &'a Call> + use<'a> {
        let candidates = std::mem::take(&mut self.open).into_iter().chain(self.next..calls.len());
        let (decided, open): (Vec<_>, Vec<_>) =
            candidates.filter_map(|seq| calls.get(seq)).partition(|call| call.is_decided());
        self.next = calls.len();
        self.open = open.into_iter().map(|call| call.seq).collect();
        decided.into_iter()
    }
}

/// Follows the writes of a log.
struct QuietWatch {
    begun: Duration,
    next: usize,
    /// Matching writes under way.
    open: Vec<usize>,
    last_write: Duration,
    last_seq: Option<usize>,
}

impl QuietWatch {
    fn new(now: Duration) -> Self {
        Self { begun: now, next: 0, open: Vec::new(), last_write: now, last_seq: None }
    }

    fn look(&mut self, calls: &[Call], matcher: &Matcher) {
        let candidates: Vec<usize> =
            std::mem::take(&mut self.open).into_iter().chain(self.next..calls.len()).collect();
        for call in candidates.into_iter().filter_map(|seq| calls.get(seq)) {
            if !call.is_write() || !matcher.matches_call(call) {
                continue;
            }
            match call.finished {
                None => self.open.push(call.seq),
                Some(finished) if finished >= self.begun => {
                    self.last_write = self.last_write.max(finished);
                    self.last_seq = Some(call.seq);
                }
                Some(_) => {}
            }
        }
        self.next = calls.len();
    }

    fn under_way(&self) -> bool {
        !self.open.is_empty()
    }

    fn describe(&self, calls: &[Call]) -> String {
        let last = self.open.last().copied().or(self.last_seq).and_then(|seq| calls.get(seq));
        last.map_or_else(|| "none".into(), ToString::to_string)
    }
}
