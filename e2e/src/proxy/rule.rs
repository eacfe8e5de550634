//! A rule: which calls, which of them, and what happens to them.

use std::{fmt, time::Duration};

use super::{call::Verb, matcher::Matcher, status::Reply};

/// Names a rule within its proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub(super) u64);

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}", self.0)
    }
}

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The actor dies before the call reaches the API server. From here until
    /// [`ActorPort::revive`](super::ActorPort::revive) nothing of it passes.
    CrashBefore,
    /// The call is carried out, and the actor dies before it hears of it.
    CrashAfter,
    /// Answered at once; the API server never sees the call.
    Reply(Reply),
    /// The connection is reset; the API server never sees the call.
    Reset,
    /// The call is carried out, its answer replaced.
    CommitThen(Lost),
    /// Passed on after this long.
    Delay(Duration),
    /// Not answered until the actor goes away, or until the rule ends: then it is passed on.
    Hang,
    /// All connections of the actor are cut, watches and the matching call included.
    CutAll,
    /// Matching watches, open ones included, deliver nothing until the rule ends; then everything.
    HoldWatch,
    /// As [`Action::HoldWatch`], but when the rule ends each object's events shrink to the newest.
    CoalesceWatch,
    /// Matching watches, open ones included, are ended as if their time were over.
    CloseWatch,
    /// Matching watches, open ones included, are told 410 `Expired` by an `ERROR` event, then ended.
    Watch410,
}

impl Action {
    /// [`Action::Reply`] with the usual reason.
    pub fn reply(code: u16) -> Self {
        Self::Reply(Reply::code(code))
    }

    /// Whether it acts on the stream of a watch rather than on a request.
    pub(super) fn is_about_streams(&self) -> bool {
        matches!(self, Self::HoldWatch | Self::CoalesceWatch | Self::CloseWatch | Self::Watch410)
    }
}

/// What the actor gets in place of the answer to a call that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Another answer, usually 504.
    Reply(Reply),
    /// A connection reset.
    Reset,
    /// Nothing, until it goes away or the rule ends: then the true answer.
    Hang,
}

/// Which of the matching calls, or watches, a rule acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occurrence {
    /// The n-th alone, counted from 1.
    Nth(u64),
    /// The first so many.
    First(u64),
    /// All of them, until the rule is removed.
    Every,
    /// All of them from the first on for this long; then the rule ends by itself.
    For(Duration),
}

/// Calls, which of them, and what happens to them. Of several rules for a call the one added first acts,
/// and the later ones don't count the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub(super) matcher: Matcher,
    pub(super) occurrence: Occurrence,
    pub(super) action: Action,
}

impl Rule {
    /// Acts once, on the first matching call, unless told otherwise. Actions on watches look at the watch
    /// verb alone; if they name a namespace or an object and the watch is broader, they begin with the first
    /// event about it.
    pub fn new(matcher: Matcher, action: Action) -> Self {
        let matcher = if action.is_about_streams() { matcher.verb(Verb::Watch) } else { matcher };
        Self { matcher, occurrence: Occurrence::Nth(1), action }
    }

    /// Acts on the n-th matching call alone, counted from 1.
    #[must_use]
    pub fn nth(mut self, n: u64) -> Self {
        self.occurrence = Occurrence::Nth(n);
        self
    }

    /// Acts on the first `k` matching calls.
    #[must_use]
    pub fn first(mut self, k: u64) -> Self {
        self.occurrence = Occurrence::First(k);
        self
    }

    /// Acts on every matching call until removed.
    #[must_use]
    pub fn every(mut self) -> Self {
        self.occurrence = Occurrence::Every;
        self
    }

    /// Acts on every matching call for this long, counted from the first of them.
    #[must_use]
    pub fn lasting(mut self, duration: Duration) -> Self {
        self.occurrence = Occurrence::For(duration);
        self
    }
}
