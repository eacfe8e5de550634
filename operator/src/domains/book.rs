//! What DNS said of each host that is asked for, until when that counts, and when to look again. Looking happens in the
//! background; a reconcile only reads here, and is woken when an answer changes.

use super::records::Seen;
use crate::{clock, settings::domains::Domains as Settings};
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// The pause after the first look that saw nothing; each further one doubles it.
const FIRST: Duration = Duration::from_secs(5);

/// Answers by host.
#[derive(Debug)]
pub struct Book {
    settings: Settings,
    entries: Mutex<HashMap<String, Entry>>,
    /// Tells whoever looks that something may have become due.
    pub earlier: Notify,
}

#[derive(Debug, Default)]
struct Entry {
    /// Who asks for it, by uid.
    asked_by: HashSet<String>,
    /// Those of them who wait for another answer than the last.
    waiting: HashSet<String>,
    seen: Option<Seen>,
    /// The answer's age and times; none before the first.
    looked: Option<Looked>,
    /// How many answers in a row said the same.
    unchanged: u32,
    is_being_looked_up: bool,
}

#[derive(Clone, Copy, Debug)]
struct Looked {
    at: Instant,
    /// When to look again where somebody waits for another answer, and where nobody does.
    soon: Duration,
    late: Duration,
}

impl Entry {
    fn due(&self) -> Option<Instant> {
        let Looked { at, soon, late } = self.looked?;
        let waits = !self.waiting.is_empty() || self.seen.as_ref().is_none_or(Seen::has_failed);
        Some(at + if waits { soon } else { late })
    }
}

impl Book {
    /// An empty one.
    pub fn new(settings: Settings) -> Self {
        Self { settings, entries: Mutex::default(), earlier: Notify::new() }
    }

    /// What DNS said of a host, if it was asked.
    pub fn seen(&self, host: &str) -> Option<Seen> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(host)?.seen.clone()
    }

    /// Notes that an instance asks for a host, and whether it waits for another answer than the last.
    pub fn ask(&self, host: &str, uid: &str, waits: bool) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(host.to_owned()).or_default();
        let is_new = entry.asked_by.insert(uid.to_owned());
        let waited = if waits { !entry.waiting.insert(uid.to_owned()) } else { entry.waiting.remove(uid) };
        // Somebody new who waits is not made to wait for the pauses of those who have long given up hope.
        if is_new && waits {
            entry.unchanged = 0;
            if let Some(looked) = &mut entry.looked {
                looked.soon = looked.soon.min(FIRST.max(self.settings.bounded_ttl(Duration::ZERO)));
            }
        }
        if is_new || waited != waits {
            self.earlier.notify_one();
        }
    }

    /// The hosts to look up now, which count as being looked up from then on, and when the next is due.
    pub fn take_due(&self, now: Instant) -> (Vec<String>, Option<Instant>) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut due, mut next) = (Vec::new(), None::<Instant>);
        for (host, entry) in entries.iter_mut().filter(|(_, entry)| !entry.is_being_looked_up) {
            match entry.due() {
                Some(at) if at > now => next = Some(next.map_or(at, |next| next.min(at))),
                _ => {
                    entry.is_being_looked_up = true;
                    due.push(host.clone());
                }
            }
        }
        (due, next)
    }

    /// Takes an answer whose records may live for `ttl`; whether it is another than the last.
    pub fn answered(&self, host: &str, seen: Seen, ttl: Duration, now: Instant) -> bool {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = entries.get_mut(host) else { return false };
        let changed = entry.seen.as_ref() != Some(&seen);
        entry.unchanged = if changed { 0 } else { entry.unchanged.saturating_add(1) };
        let ttl = self.settings.bounded_ttl(ttl);
        let pause =
            FIRST.saturating_mul(1 << entry.unchanged.min(12)).min(self.settings.recheck_unverified());
        // Never before the answer's own time is over.
        let (soon, late) = (clock::jittered(pause).max(ttl), self.settings.recheck_verified().max(ttl));
        entry.looked = Some(Looked { at: now, soon, late: clock::jittered(late).max(ttl) });
        entry.seen = Some(seen);
        entry.is_being_looked_up = false;
        changed
    }

    /// Forgets who no longer asks, and hosts that nobody asks for.
    pub fn keep_only(&self, asks: impl Fn(&str, &str) -> bool) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|host, entry| {
            entry.asked_by.retain(|uid| asks(host, uid));
            entry.waiting.retain(|uid| asks(host, uid));
            !entry.asked_by.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domains::records::Answer;

    const HOST: &str = "shop.example.com";
    const NOTHING: Seen = Seen { txt: Answer::Nothing, cname: Answer::Nothing };
    const FAILED: Seen = Seen { txt: Answer::Failed, cname: Answer::Nothing };

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// When it is due after an answer, in whole seconds from then.
    fn pause(book: &Book, now: Instant) -> u64 {
        book.take_due(now).1.map_or(0, |at| at.duration_since(now).as_secs())
    }

    #[test]
    fn a_host_is_looked_up_once_at_a_time_and_again_after_its_time_to_live() {
        let (book, now) = (Book::new(Settings::default()), Instant::now());
        book.ask(HOST, "a", true);
        assert_eq!(book.take_due(now).0, [HOST]);
        assert_eq!(book.take_due(now), (Vec::new(), None), "it is being looked up");
        assert!(book.answered(HOST, NOTHING, seconds(60), now));
        assert_eq!((book.seen(HOST), pause(&book, now)), (Some(NOTHING), 60));
        assert_eq!(book.take_due(now + seconds(60)).0, [HOST]);
        assert!(!book.answered(HOST, NOTHING, seconds(60), now), "nobody is woken for the same answer");
    }

    #[test]
    fn pauses_grow_up_to_a_bound_while_nothing_is_seen() {
        let (book, now) = (Book::new(Settings::default()), Instant::now());
        book.ask(HOST, "a", true);
        let mut pauses = Vec::new();
        for _ in 0..10 {
            book.take_due(now + seconds(100_000));
            book.answered(HOST, NOTHING, Duration::ZERO, now);
            pauses.push(pause(&book, now));
        }
        assert!((4..=6).contains(&pauses[0]) && (240..=360).contains(&pauses[9]), "{pauses:?}");
        assert!(pauses[1] < pauses[3] && pauses[3] < pauses[5], "{pauses:?}");
    }

    #[test]
    fn what_was_seen_is_looked_at_rarely_but_soon_where_dns_fails_or_somebody_waits() {
        let (book, now) = (Book::new(Settings::default()), Instant::now());
        book.ask(HOST, "a", false);
        book.take_due(now);
        book.answered(HOST, NOTHING, seconds(60), now);
        assert!((2880..=4320).contains(&pause(&book, now)));
        book.ask(HOST, "b", true);
        assert!(pause(&book, now) <= 6);
        book.ask(HOST, "b", false);
        assert!(pause(&book, now) > 2000);
        book.take_due(now + seconds(100_000));
        book.answered(HOST, FAILED, Duration::ZERO, now);
        assert!(pause(&book, now) <= 6);
    }

    #[test]
    fn what_nobody_asks_for_is_forgotten() {
        let book = Book::new(Settings::default());
        book.ask(HOST, "a", true);
        book.keep_only(|_, uid| uid != "a");
        assert_eq!(book.take_due(Instant::now()), (Vec::new(), None));
    }
}
