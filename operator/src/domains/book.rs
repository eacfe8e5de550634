//! What DNS said of each host that is asked for, until when that counts, and when to look again. Looking happens in the
//! background; a reconcile only reads here, and is woken when an answer changes.
//!
//! Only so many hosts are looked up at the same time, and of them only a share for one tenant: whoever names hosts on slow name
//! servers makes only itself wait.

use super::{
    records::Seen,
    slots::{Candidate, Slots},
};
use crate::{clock, settings::domains::Domains as Settings};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// The pause after the first look that saw nothing; each further one doubles it.
const FIRST: Duration = Duration::from_secs(5);

/// Answers by host.
#[derive(Debug)]
pub struct Book {
    settings: Settings,
    pages: Mutex<Pages>,
    /// Tells whoever looks that something may have become due.
    pub earlier: Notify,
}

#[derive(Debug, Default)]
struct Pages {
    entries: HashMap<String, Entry>,
    /// The hosts that are being looked up, and for which tenant. They stay here until there is an answer, whoever still asks.
    under_way: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
struct Entry {
    /// Who asks for it, by uid, and of which tenant.
    asked_by: HashMap<String, String>,
    /// Those of them who wait for another answer than the last.
    waiting: HashSet<String>,
    seen: Option<Seen>,
    /// The answer's age and times; none before the first.
    looked: Option<Looked>,
    /// How many answers in a row said the same.
    unchanged: u32,
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
        Self { settings, pages: Mutex::default(), earlier: Notify::new() }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What DNS said of a host, if it was asked.
    pub fn seen(&self, host: &str) -> Option<Seen> {
        self.pages().entries.get(host)?.seen.clone()
    }

    /// Notes that an instance of a tenant asks for a host, and whether it waits for another answer than the last.
    pub fn ask(&self, host: &str, uid: &str, tenant: &str, waits: bool) {
        let mut pages = self.pages();
        let entry = pages.entries.entry(host.to_owned()).or_default();
        let is_new = entry.asked_by.insert(uid.to_owned(), tenant.to_owned()).is_none();
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

    /// Notes that an instance does not ask for a host at present.
    pub fn forgo(&self, host: &str, uid: &str) {
        let mut pages = self.pages();
        let Some(entry) = pages.entries.get_mut(host) else { return };
        entry.asked_by.remove(uid);
        entry.waiting.remove(uid);
        if entry.asked_by.is_empty() {
            pages.entries.remove(host);
        }
    }

    /// The hosts to look up now, which count as being looked up until they are answered, and when the next is due. What is due and
    /// finds no room is taken once an answer makes some.
    pub fn take_due(&self, now: Instant) -> (Vec<String>, Option<Instant>) {
        let mut pages = self.pages();
        let Pages { entries, under_way } = &*pages;
        let (mut candidates, mut next) = (Vec::new(), None::<Instant>);
        for (host, entry) in entries.iter().filter(|(host, _)| !under_way.contains_key(*host)) {
            match entry.due() {
                Some(at) if at > now => next = Some(next.map_or(at, |next| next.min(at))),
                since => {
                    candidates.push(Candidate { host, since, tenants: entry.asked_by.values().collect() });
                }
            }
        }
        let slots = Slots { all: usize::from(self.settings.concurrency), share: self.settings.share() };
        let taken = slots.give(candidates, under_way);
        let due = taken.iter().map(|(host, _)| host.clone()).collect();
        pages.under_way.extend(taken);
        (due, next)
    }

    /// Takes an answer whose records may live for `ttl`; whether it is another than the last.
    pub fn answered(&self, host: &str, seen: Seen, ttl: Duration, now: Instant) -> bool {
        let mut pages = self.pages();
        pages.under_way.remove(host);
        let Some(entry) = pages.entries.get_mut(host) else { return false };
        let changed = entry.seen.as_ref() != Some(&seen);
        entry.unchanged = if changed { 0 } else { entry.unchanged.saturating_add(1) };
        let ttl = self.settings.bounded_ttl(ttl);
        let pause =
            FIRST.saturating_mul(1 << entry.unchanged.min(12)).min(self.settings.recheck_unverified());
        // Never before the answer's own time is over.
        let (soon, late) = (clock::jittered(pause).max(ttl), self.settings.recheck_verified().max(ttl));
        entry.looked = Some(Looked { at: now, soon, late: clock::jittered(late).max(ttl) });
        entry.seen = Some(seen);
        changed
    }

    /// Forgets who no longer asks, and hosts that nobody asks for.
    pub fn keep_only(&self, asks: impl Fn(&str, &str) -> bool) {
        self.pages().entries.retain(|host, entry| {
            entry.asked_by.retain(|uid, _| asks(host, uid));
            entry.waiting.retain(|uid| asks(host, uid));
            !entry.asked_by.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domains::records::Answer;
    use std::collections::BTreeSet;

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
        book.ask(HOST, "a", "sample", true);
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
        book.ask(HOST, "a", "sample", true);
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
        book.ask(HOST, "a", "sample", false);
        book.take_due(now);
        book.answered(HOST, NOTHING, seconds(60), now);
        assert!((2880..=4320).contains(&pause(&book, now)));
        book.ask(HOST, "b", "sample", true);
        assert!(pause(&book, now) <= 6);
        book.ask(HOST, "b", "sample", false);
        assert!(pause(&book, now) > 2000);
        book.take_due(now + seconds(100_000));
        book.answered(HOST, FAILED, Duration::ZERO, now);
        assert!(pause(&book, now) <= 6);
    }

    #[test]
    fn what_nobody_asks_for_is_forgotten() {
        let book = Book::new(Settings::default());
        book.ask(HOST, "a", "sample", true);
        book.keep_only(|_, uid| uid != "a");
        assert_eq!(book.take_due(Instant::now()), (Vec::new(), None));
    }

    #[test]
    fn whoever_forgoes_a_host_is_not_asked_for_and_the_others_are() {
        let (book, now) = (Book::new(Settings::default()), Instant::now());
        book.ask(HOST, "a", "first", true);
        book.ask(HOST, "b", "second", true);
        book.forgo(HOST, "a");
        assert_eq!(book.take_due(now).0, [HOST]);
        book.answered(HOST, NOTHING, seconds(60), now);
        book.forgo(HOST, "b");
        assert_eq!((book.seen(HOST), book.take_due(now + seconds(9999))), (None, (Vec::new(), None)));
    }

    /// A book with eight slots, of which one tenant has two, in which each of these tenants asks for so many hosts.
    fn crowded(asking: &[(&str, usize)]) -> Book {
        let book = Book::new(Settings { concurrency: 8, ..Settings::default() });
        for (tenant, count) in asking {
            (0..*count).for_each(|n| book.ask(&format!("{tenant}{n}.test"), tenant, tenant, true));
        }
        book
    }

    /// How many hosts of each tenant are taken now, by the first letter.
    fn taken(book: &Book, now: Instant) -> (Vec<String>, BTreeMap<char, usize>) {
        let (due, mut counts) = (book.take_due(now).0, BTreeMap::new());
        for host in &due {
            *counts.entry(host.chars().next().unwrap()).or_default() += 1;
        }
        (due, counts)
    }

    #[test]
    fn a_tenant_with_many_slow_hosts_makes_only_itself_wait() {
        let (book, now) = (crowded(&[("slow", 100)]), Instant::now());
        let (slow, counts) = taken(&book, now);
        assert_eq!(counts, BTreeMap::from([('s', 2)]), "its share, though there is more room");
        assert_eq!(taken(&book, now).0, [""; 0], "and no more until one is answered");
        book.ask("good.test", "good", "good", true);
        assert_eq!(taken(&book, now).0, ["good.test"]);
        book.answered(&slow[0], FAILED, Duration::ZERO, now);
        assert_eq!(taken(&book, now).1, BTreeMap::from([('s', 1)]));
    }

    #[test]
    fn a_free_slot_goes_to_the_tenant_with_the_least_under_way() {
        let asking = [("a", 9), ("b", 9), ("c", 9), ("d", 9), ("e", 1)];
        let (book, now) = (crowded(&asking), Instant::now());
        let (under_way, counts) = taken(&book, now);
        assert_eq!(counts, BTreeMap::from([('a', 2), ('b', 2), ('c', 2), ('d', 1), ('e', 1)]));
        book.ask("f.test", "f", "f", true);
        assert_eq!(taken(&book, now).0, [""; 0], "all slots are taken");
        book.answered(&under_way[0], FAILED, Duration::ZERO, now);
        assert_eq!(taken(&book, now).0, ["f.test"], "before those who have some");
    }

    #[test]
    fn a_host_that_two_tenants_ask_for_waits_for_neither_of_their_crowds() {
        let (book, now) = (crowded(&[("slow", 100)]), Instant::now());
        taken(&book, now);
        book.ask("slow99.test", "x", "good", true);
        assert_eq!(taken(&book, now).0, ["slow99.test"]);
    }

    #[test]
    fn what_is_under_way_keeps_its_slot_though_nobody_asks_any_more() {
        let (book, now) = (crowded(&[("slow", 100)]), Instant::now());
        let (under_way, _) = taken(&book, now);
        book.keep_only(|_, _| false);
        (0..100).for_each(|n| book.ask(&format!("slow{n}.test"), "slow", "slow", true));
        assert_eq!(taken(&book, now).0, [""; 0], "dropping hosts and naming them again frees none");
        for host in &under_way {
            book.answered(host, NOTHING, seconds(60), now);
        }
        assert_eq!(taken(&book, now).1, BTreeMap::from([('s', 2)]));
    }

    #[test]
    fn all_that_is_due_comes_to_its_turn() {
        let (book, now) = (crowded(&[("a", 30), ("b", 3)]), Instant::now());
        let mut all = BTreeSet::new();
        for _ in 0..30 {
            for host in taken(&book, now).0 {
                book.answered(&host, NOTHING, seconds(60), now);
                all.insert(host);
            }
        }
        assert_eq!(all.len(), 33);
    }
}
