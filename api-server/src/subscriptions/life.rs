//! What comes next for a subscription, from its row, from what the cluster says of its resource, and from the time. Pure: it asks nobody
//! and does nothing.

use super::{ALERT, EndedBy, FIRST_GRACE, GIVEN_UP, GRACE, SLOW, Status, Subscription};
use crate::clock;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// How long until one looks again while waiting for the cluster, which says by itself when something happens: for what one might miss.
const WAITING: SignedDuration = SignedDuration::from_secs(30);
/// The shortest such pause while money waits to go back; it grows with the time for which it waits.
const ENDING: SignedDuration = SignedDuration::from_secs(5);

/// What the cluster says of the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Seen {
    /// Which one it is.
    pub uid: Uuid,
    /// How often its spec was changed.
    pub generation: i64,
    /// Which change the status speaks of.
    pub observed_generation: i64,
    /// It serves, says that status.
    pub is_available: bool,
    /// It may not run and has no pod any more, says that status.
    pub is_suspended: bool,
    /// It is being deleted, and the operator is done with it.
    pub is_over: bool,
    /// What billing told it last.
    pub told: Option<i64>,
    /// It says until when it is paid for, and billing does not hold it: it was there for the first time.
    pub was_there: bool,
}

/// What the resource is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It runs, for so long.
    Run {
        /// Until when it is paid for; none before it is there for the first time.
        paid_until: Option<Timestamp>,
        /// When the operator suspends it by itself.
        suspend_at: Timestamp,
    },
    /// It does not run; its data is kept.
    Hold {
        /// Since when.
        since: Timestamp,
    },
    /// It is deleted.
    Gone,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make the resource.
    Make,
    /// Tell the cluster.
    Apply(Wanted),
    /// It is there for the first time.
    Activate,
    /// Tell its owner that it takes long.
    TellSlow,
    /// Tell administrators.
    Alert,
    /// Give it up: it has ended, and its money goes back.
    GiveUp,
    /// Ask the cluster itself whether anything of it still runs; if not, it is fenced.
    Fence,
    /// Nothing, until it was looked into: the resource was told something that the row has not come to.
    Stop,
    /// Nothing; look again then, or when something happens.
    Wait(Option<Timestamp>),
}

/// What the resource is to say of a subscription.
pub fn wanted(row: &Subscription) -> Wanted {
    if let Some(end) = row.end {
        return if end.fenced_at.is_some() { Wanted::Gone } else { Wanted::Hold { since: end.at } };
    }
    let paid_until = row.paid.map(|paid| paid.until);
    let suspend_at = paid_until
        .map_or_else(|| clock::after(row.created_at, FIRST_GRACE), |until| clock::after(until, GRACE));
    Wanted::Run { paid_until, suspend_at }
}

/// What comes next.
pub fn next(row: &Subscription, seen: Option<&Seen>, now: Timestamp) -> Step {
    if let Some(step) = seen.and_then(|seen| older(row, seen)) {
        return step;
    }
    // Only what speaks of the resource as it was told last counts.
    let is_told = row.crossing.applied_version >= row.crossing.desired_version;
    let seen = seen.filter(|seen| Some(seen.uid) == row.crossing.uid);
    let is_new =
        |seen: &&Seen| row.crossing.applied_generation.is_none_or(|told| seen.observed_generation >= told);
    let current = seen.filter(is_new).filter(|_| is_told);
    // Deadlines count also while the cluster can't be told anything.
    let pending = (row.status == Status::PendingDeployment).then(|| pending(row, current, now));
    if let Some(step) = pending.filter(|step| is_told || !matches!(step, Step::Wait(_))) {
        return step;
    }
    if !is_told {
        return match (wanted(row), row.crossing.uid) {
            (Wanted::Run { .. }, None) => Step::Make,
            (wanted, _) => Step::Apply(wanted),
        };
    }
    match row.end {
        Some(end) if end.fenced_at.is_none() => {
            let pause = (now.duration_since(end.at) / 4).clamp(ENDING, WAITING);
            ending(row, seen, current, clock::after(now, pause))
        }
        _ => Step::Wait(None),
    }
}

/// What comes next where the cluster knows more than a row that waits to be there for the first time: the database is older, as after it was
/// restored. Nobody's app is given up or told old words then. Once the row has newer words than the resource was told, it is taken up
/// where it was there: whatever its period was, another begins.
fn older(row: &Subscription, seen: &Seen) -> Option<Step> {
    let is_own = row.crossing.uid.is_none_or(|uid| uid == seen.uid);
    if row.status != Status::PendingDeployment || !is_own {
        return None;
    }
    if seen.told.is_some_and(|told| told > row.crossing.desired_version) {
        return Some(Step::Stop);
    }
    seen.was_there.then_some(if row.crossing.uid.is_none() { Step::Make } else { Step::Activate })
}

fn pending(row: &Subscription, seen: Option<&Seen>, now: Timestamp) -> Step {
    if seen.is_some_and(|seen| seen.is_available) {
        return Step::Activate;
    }
    let at = |after| clock::after(row.created_at, after);
    let due = |after, done: bool| !done && now >= at(after);
    if due(GIVEN_UP, false) {
        return Step::GiveUp;
    }
    if due(ALERT, row.was_alerted) {
        return Step::Alert;
    }
    if due(SLOW, row.was_told_slow) {
        return Step::TellSlow;
    }
    let deadlines = [SLOW, ALERT, GIVEN_UP].into_iter().map(at).filter(|at| *at > now);
    Step::Wait(deadlines.chain([clock::after(now, WAITING)]).min())
}

/// What is held is asked about once the operator says of that very generation that it is suspended; what the cluster does not have is
/// asked about at once, since a cache may be behind; so is what somebody deletes, once the operator is done with it.
fn ending(row: &Subscription, seen: Option<&Seen>, current: Option<&Seen>, again: Timestamp) -> Step {
    match (row.crossing.uid, seen, current) {
        (None, ..) | (Some(_), None, _) => Step::Fence,
        (_, _, Some(seen)) if seen.is_suspended => Step::Fence,
        (_, Some(seen), _) if seen.is_over => Step::Fence,
        _ => Step::Wait(Some(again)),
    }
}

/// Who ends what is given up.
pub const GIVES_UP: EndedBy = EndedBy::System;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Rupiah;
    use crate::subscriptions::{Crossing, End, Paid, Resources};
    use crds::plan::Period;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const UID: Uuid = Uuid::from_u128(7);

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
    }

    fn bought() -> Subscription {
        Subscription {
            id: Uuid::from_u128(1),
            user_id: Uuid::from_u128(2),
            name: "Ghost Small".into(),
            service: "ghost".into(),
            plan: "ghost-small".into(),
            parameters: BTreeMap::new(),
            period: Period::Monthly,
            price: Rupiah::new(89_000).unwrap(),
            tax: Rupiah::ZERO,
            resources: Resources::default(),
            auto_renew: true,
            status: Status::PendingDeployment,
            created_at: at(0),
            periods: 0,
            anchor_day: None,
            paid: None,
            end: None,
            was_told_slow: false,
            was_alerted: false,
            crossing: Crossing { desired_version: 1, ..Crossing::default() },
        }
    }

    fn told(row: Subscription, generation: i64) -> Subscription {
        let crossing = Crossing {
            uid: Some(UID),
            applied_version: row.crossing.desired_version,
            applied_generation: Some(generation),
            ..row.crossing
        };
        Subscription { crossing, ..row }
    }

    fn ended(row: Subscription) -> Subscription {
        let end = End { at: at(1), by: EndedBy::Customer, refund_id: None, fenced_at: None };
        let crossing = Crossing { desired_version: row.crossing.desired_version + 1, ..row.crossing };
        Subscription { status: Status::Cancelled, end: Some(end), crossing, ..row }
    }

    fn seen(generation: i64) -> Seen {
        Seen {
            uid: UID,
            generation,
            observed_generation: generation,
            is_available: false,
            is_suspended: false,
            is_over: false,
            told: None,
            was_there: false,
        }
    }

    #[test]
    fn it_is_made_before_it_is_entitled_and_not_asked_about_before_it_was_told() {
        assert_eq!(next(&bought(), None, at(0)), Step::Make);
        let made = Subscription { crossing: Crossing { uid: Some(UID), ..bought().crossing }, ..bought() };
        let wanted = Wanted::Run { paid_until: None, suspend_at: at(75) };
        assert_eq!(next(&made, Some(&Seen { is_available: true, ..seen(9) }), at(0)), Step::Apply(wanted));
    }

    #[test]
    fn deadlines_count_while_the_cluster_is_away() {
        assert_eq!(next(&bought(), None, at(6)), Step::TellSlow);
        assert_eq!(next(&bought(), None, at(60)), Step::GiveUp);
        assert_eq!(next(&ended(bought()), None, at(61)), Step::Apply(Wanted::Hold { since: at(1) }));
    }

    #[test]
    fn only_the_resource_that_was_made_as_it_was_told_last_activates_it() {
        let row = told(bought(), 3);
        let available = Seen { is_available: true, ..seen(3) };
        let waits = |seen: Option<Seen>| matches!(next(&row, seen.as_ref(), at(1)), Step::Wait(Some(_)));
        assert_eq!(next(&row, Some(&available), at(1)), Step::Activate);
        assert!(waits(None) && waits(Some(seen(3))));
        assert!(waits(Some(Seen { uid: Uuid::from_u128(8), ..available })), "another of its name");
        assert!(
            waits(Some(Seen { generation: 2, observed_generation: 2, ..available })),
            "before it was told"
        );
        assert!(waits(Some(Seen { observed_generation: 2, ..available })), "of what it was before");
    }

    #[test]
    fn what_is_not_there_is_told_alerted_and_given_up_in_that_order_and_once() {
        let row = told(bought(), 3);
        let late = |row: &Subscription, minute| next(row, Some(&seen(3)), at(minute));
        assert_eq!(late(&row, 5), Step::TellSlow);
        let slow = Subscription { was_told_slow: true, ..row };
        assert!(matches!(late(&slow, 5), Step::Wait(Some(_))));
        assert_eq!(late(&slow, 15), Step::Alert);
        let alerted = Subscription { was_alerted: true, ..slow };
        assert_eq!(late(&alerted, 59), Step::Wait(Some(clock::after(at(59), WAITING))));
        assert_eq!(late(&alerted, 60), Step::GiveUp);
        // What comes at that moment has come.
        assert_eq!(next(&alerted, Some(&Seen { is_available: true, ..seen(3) }), at(60)), Step::Activate);
    }

    #[test]
    fn what_the_cluster_knows_more_of_is_neither_given_up_nor_made_nor_told_old_words() {
        let newer = Seen { told: Some(3), was_there: true, ..seen(4) };
        for row in [bought(), told(bought(), 2)] {
            for minute in [1, 5, 60, 600] {
                assert_eq!(next(&row, Some(&newer), at(minute)), Step::Stop);
                // Nobody has activated it yet, and somebody has told it more all the same.
                assert_eq!(next(&row, Some(&Seen { was_there: false, ..newer }), at(minute)), Step::Stop);
            }
        }
        let another = Seen { uid: Uuid::from_u128(8), ..newer };
        assert_eq!(next(&told(bought(), 2), Some(&another), at(60)), Step::GiveUp, "none of ours");
        // What has ended is held whatever was told.
        let held = Step::Apply(Wanted::Hold { since: at(1) });
        assert_eq!(next(&ended(bought()), Some(&newer), at(60)), held);
    }

    #[test]
    fn what_was_there_is_taken_up_once_the_row_has_newer_words() {
        let newer = Seen { told: Some(3), was_there: true, ..seen(4) };
        let crossing = Crossing { desired_version: 4, ..Crossing::default() };
        let retold = Subscription { crossing, ..bought() };
        assert_eq!(next(&retold, Some(&newer), at(600)), Step::Make);
        let made = Subscription { crossing: Crossing { uid: Some(UID), ..crossing }, ..retold.clone() };
        assert_eq!(next(&made, Some(&newer), at(600)), Step::Activate);
        assert_eq!(next(&retold, Some(&Seen { was_there: false, ..newer }), at(60)), Step::GiveUp);
    }

    #[test]
    fn what_has_ended_is_held_then_asked_about_then_deleted() {
        let row = ended(told(bought(), 3));
        assert_eq!(next(&row, Some(&seen(3)), at(2)), Step::Apply(Wanted::Hold { since: at(1) }));
        let held = told(row, 4);
        let suspended = Seen { is_suspended: true, ..seen(4) };
        let waits = |seen: Seen| matches!(next(&held, Some(&seen), at(2)), Step::Wait(Some(_)));
        assert!(waits(seen(4)), "it still runs");
        assert!(
            waits(Seen { generation: 3, observed_generation: 3, ..suspended }),
            "suspended for another cause before"
        );
        assert!(waits(Seen { observed_generation: 3, ..suspended }), "the operator has not seen the hold");
        let deleted = Seen { is_over: true, ..seen(5) };
        assert_eq!(next(&held, Some(&deleted), at(2)), Step::Fence, "by somebody else");
        assert_eq!(next(&held, Some(&suspended), at(2)), Step::Fence);
        let end = held.end.map(|end| End { fenced_at: Some(at(2)), ..end });
        let crossing = Crossing { desired_version: held.crossing.desired_version + 1, ..held.crossing };
        let fenced = Subscription { end, crossing, ..held };
        assert_eq!(next(&fenced, Some(&suspended), at(3)), Step::Apply(Wanted::Gone));
        assert_eq!(next(&told(fenced, 4), None, at(3)), Step::Wait(None));
    }

    #[test]
    fn a_period_that_is_paid_for_is_what_the_operator_is_told() {
        let paid = Some(Paid { start: at(0), until: at(100) });
        let active = Subscription { status: Status::Active, paid, ..bought() };
        let suspend_at = clock::after(at(100), GRACE);
        assert_eq!(wanted(&active), Wanted::Run { paid_until: Some(at(100)), suspend_at });
        assert_eq!(next(&told(active, 1), None, at(200)), Step::Wait(None));
    }

    /// What may happen while a subscription is looked after.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        /// A worker makes the next step, from what the watch shows.
        Work,
        /// The watch shows what is.
        Watch,
        /// The operator does what the resource says.
        Operate,
        /// The app is up.
        Up,
        /// The last pod of what is held ends.
        PodsEnd,
        /// Its owner cancels.
        Cancel,
        /// Minutes pass.
        Pass(i64),
    }

    /// A subscription, its resource and its pods.
    #[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
    struct Play {
        row: Subscription,
        real: Option<Seen>,
        shown: Option<Seen>,
        held: bool,
        wants_pods: bool,
        pods: bool,
        minute: i64,
        refunded: bool,
    }

    impl Play {
        fn end(&mut self, by: EndedBy) {
            self.row.status = Status::Cancelled;
            self.row.end = Some(End { at: at(self.minute), by, refund_id: None, fenced_at: None });
            self.row.crossing.desired_version += 1;
        }

        fn apply(&mut self, wanted: Wanted) {
            let crossing = &mut self.row.crossing;
            crossing.applied_version = crossing.desired_version;
            if let Some(real) = &mut self.real {
                real.generation += 1;
                (real.is_available, real.is_suspended) = (false, false);
                crossing.applied_generation = Some(real.generation);
            }
            match wanted {
                Wanted::Run { .. } => {}
                Wanted::Hold { .. } => self.held = true,
                Wanted::Gone => self.real = None,
            }
        }

        /// As the cluster itself says when it is asked.
        fn is_quiet(&self) -> bool {
            let is_suspended = self.real.is_none_or(|real| self.held && real.is_suspended);
            is_suspended && !self.pods
        }

        fn work(&mut self) {
            match next(&self.row, self.shown.as_ref(), at(self.minute)) {
                Step::Make => {
                    let new = Seen {
                        uid: UID,
                        generation: 1,
                        observed_generation: 0,
                        is_available: false,
                        is_suspended: false,
                        is_over: false,
                        told: None,
                        was_there: false,
                    };
                    self.real.get_or_insert(new);
                    self.row.crossing.uid = Some(UID);
                }
                Step::Apply(wanted) => self.apply(wanted),
                Step::Activate => {
                    assert!(self.row.end.is_none(), "what has ended is never activated");
                    self.row.status = Status::Active;
                    self.row.paid = Some(Paid { start: at(self.minute), until: at(self.minute + 40_000) });
                    self.row.crossing.desired_version += 1;
                }
                Step::TellSlow => self.row.was_told_slow = true,
                Step::Alert => self.row.was_alerted = true,
                Step::GiveUp => self.end(GIVES_UP),
                Step::Fence if self.is_quiet() => {
                    assert!(!self.refunded, "money comes back once");
                    self.refunded = true;
                    self.row.end = self.row.end.map(|end| End { fenced_at: Some(at(self.minute)), ..end });
                    self.row.crossing.desired_version += 1;
                }
                Step::Fence | Step::Stop | Step::Wait(_) => {}
            }
        }

        fn happens(&mut self, event: Event) {
            match event {
                Event::Work => self.work(),
                Event::Watch => self.shown = self.real,
                Event::Operate => {
                    let is_entitled = self.row.crossing.applied_version > 0;
                    self.wants_pods = self.real.is_some() && is_entitled && !self.held;
                    self.pods |= self.wants_pods;
                    if let Some(real) = &mut self.real {
                        real.observed_generation = real.generation;
                        real.is_suspended = self.held && !self.pods;
                        real.is_available &= !self.held;
                    }
                }
                Event::Up => {
                    let up = self.pods && !self.held;
                    self.real = self.real.map(|real| Seen {
                        is_available: up && real.observed_generation == real.generation,
                        ..real
                    });
                }
                Event::PodsEnd if !self.wants_pods => self.pods = false,
                Event::Cancel if self.row.end.is_none() => self.end(EndedBy::Customer),
                Event::Pass(minutes) => self.minute += minutes,
                Event::PodsEnd | Event::Cancel => {}
            }
            assert!(!(self.refunded && self.pods), "the money has come back, and a pod runs");
            assert!(!(self.row.status == Status::Active && self.row.paid.is_none()));
        }
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            6 => Just(Event::Work), 4 => Just(Event::Watch), 4 => Just(Event::Operate), 2 => Just(Event::Up),
            2 => Just(Event::PodsEnd), 1 => Just(Event::Cancel), 2 => (1i64..30).prop_map(Event::Pass),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn however_deadline_and_readiness_meet_the_money_never_comes_back_while_a_pod_runs(
            events in proptest::collection::vec(event(), 0..120)
        ) {
            let mut play = Play {
                row: bought(), real: None, shown: None, held: false, wants_pods: false, pods: false, minute: 0, refunded: false,
            };
            for event in events {
                play.happens(event);
            }
            // Left alone it comes to an end: it runs, or all has come back and nothing is left.
            for _ in 0..40 {
                for event in [Event::Work, Event::Operate, Event::PodsEnd, Event::Operate, Event::Up, Event::Watch, Event::Pass(1)] {
                    play.happens(event);
                }
            }
            let is_over = play.refunded && play.real.is_none() && !play.pods;
            prop_assert!(play.row.status == Status::Active || is_over, "{:?} {:?}", play.row, play.real);
        }
    }
}
