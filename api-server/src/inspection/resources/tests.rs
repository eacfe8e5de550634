use super::*;
use crate::{
    money::Rupiah,
    subscriptions::{Crossing, End, EndedBy, Paid},
};
use crds::plan::Period;
use std::collections::BTreeMap;

const UID: Uuid = Uuid::from_u128(7);

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
}

/// Bought at 0, active from 1 to 40,000, and told so.
fn active() -> Subscription {
    Subscription {
        id: Uuid::from_u128(1),
        user_id: Uuid::from_u128(2),
        name: "Ghost Small".into(),
        service: "ghost".into(),
        plan: "small".into(),
        parameters: BTreeMap::new(),
        period: Period::Monthly,
        price: Rupiah::new(89_000).unwrap(),
        tax: Rupiah::ZERO,
        resources: crate::subscriptions::Resources::default(),
        auto_renew: true,
        status: Status::Active,
        created_at: at(0),
        periods: 1,
        anchor_day: Some(1),
        paid: Some(Paid { start: at(1), until: at(40_000) }),
        end: None,
        was_told_slow: false,
        was_alerted: false,
        crossing: Crossing {
            uid: Some(UID),
            desired_version: 2,
            applied_version: 2,
            applied_generation: Some(3),
            failures: 0,
            decided_at: Some(at(1)),
        },
    }
}

fn ended(fenced_at: Option<Timestamp>) -> Subscription {
    let end = End { at: at(10), by: EndedBy::Customer, refund_id: None, fenced_at };
    Subscription { status: Status::Cancelled, end: Some(end), ..active() }
}

/// Its resource, as it was told.
fn told() -> Resource {
    let row = active();
    Resource {
        namespace: crds::names::tenant_namespace(&row.tenant()),
        name: row.resource_name(),
        uid: Some(UID),
        is_bought: true,
        subscription: Some(row.id),
        plan: "small".into(),
        is_entitled: true,
        paid_until: Some(at(40_000)),
        suspend_at: Some(clock::after(at(40_000), crate::subscriptions::GRACE)),
        is_held_by_billing: false,
        is_held: false,
        is_going: false,
        generation: 3,
        told: Some(2),
        made_at: Some(at(0)),
        entitled_because: None,
    }
}

/// All that differs between one subscription and some resources, at a time.
fn differs(row: &Subscription, there: &[Resource], minute: i64) -> Vec<Kind> {
    let all: Resources = there.iter().cloned().collect();
    let of_row = if row.end.is_none_or(|end| end.fenced_at.is_none()) {
        of_subscription(row, &all, at(minute))
    } else {
        None
    };
    let some: Vec<&Resource> = all.all().collect();
    let of_resources = of_resources(&some, std::slice::from_ref(row), at(minute));
    of_row.into_iter().chain(of_resources).map(|one| one.kind).collect()
}

#[test]
fn what_is_as_it_was_told_differs_in_nothing_and_what_is_not_there_or_may_not_run_does() {
    let row = active();
    assert_eq!(differs(&row, &[told()], 100), []);
    let stopped_by_an_administrator = Resource { is_held: true, ..told() };
    assert_eq!(differs(&row, &[stopped_by_an_administrator], 100), []);
    let paid_not_running = [Kind::PaidNotRunning];
    assert_eq!(differs(&row, &[], 100), paid_not_running);
    for wrong in [
        Resource { is_entitled: false, paid_until: None, suspend_at: None, ..told() },
        Resource { suspend_at: Some(at(75)), paid_until: None, ..told() },
        Resource { is_held: true, is_held_by_billing: true, ..told() },
        Resource { is_going: true, ..told() },
    ] {
        assert_eq!(differs(&row, std::slice::from_ref(&wrong), 100), paid_not_running, "{wrong:?}");
    }
    // What is not paid any more has its own deadline.
    assert_eq!(differs(&row, &[], 50_000), []);
    let another = Resource { uid: Some(Uuid::from_u128(8)), ..told() };
    assert_eq!(differs(&row, &[another], 100), [Kind::PaidNotRunning, Kind::RunningNotPaid]);
}

#[test]
fn what_was_bought_has_its_hour_and_is_overdue_then() {
    let crossing = Crossing { desired_version: 1, ..Crossing::default() };
    let row =
        Subscription { status: Status::PendingDeployment, paid: None, periods: 0, crossing, ..active() };
    assert_eq!(differs(&row, &[], 74), []);
    assert_eq!(differs(&row, &[], 75), [Kind::PaidNotRunning]);
    // Somebody makes it right now, and its uid is not noted yet.
    let made = Resource { is_entitled: false, suspend_at: None, paid_until: None, told: Some(1), ..told() };
    assert_eq!(differs(&row, &[made], 74), []);
}

#[test]
fn what_runs_for_longer_than_that_or_by_another_plan_or_by_newer_words_is_told() {
    let row = active();
    let later = Some(at(90_000));
    for longer in [
        Resource { suspend_at: later, ..told() },
        Resource { suspend_at: None, ..told() },
        Resource { paid_until: Some(at(40_001)), ..told() },
    ] {
        assert_eq!(differs(&row, &[longer], 100), [Kind::RunningNotPaid]);
    }
    assert_eq!(differs(&row, &[Resource { plan: "large".into(), ..told() }], 100), [Kind::WrongPlan]);
    let newer = Resource { told: Some(9), ..told() };
    let all: Resources = [newer].into_iter().collect();
    let found = of_subscription(&row, &all, at(100)).unwrap();
    assert_eq!(
        (found.kind, found.mend),
        (Kind::Overtaken, Remedy::Retell { subscription: row.id, above: 9 })
    );
}

#[test]
fn what_was_decided_a_moment_ago_is_on_its_way_until_it_fails_or_takes_two_minutes() {
    let decided =
        |failures| Crossing { desired_version: 3, decided_at: Some(at(100)), failures, ..active().crossing };
    let row = |failures| Subscription { crossing: decided(failures), ..active() };
    for not_yet in [
        Resource { is_entitled: false, paid_until: None, suspend_at: None, ..told() },
        Resource { plan: "large".into(), ..told() },
        Resource { suspend_at: None, ..told() },
    ] {
        let kinds = |failures, minute| differs(&row(failures), std::slice::from_ref(&not_yet), minute);
        assert_eq!((kinds(0, 101), kinds(0, 102).len(), kinds(1, 101).len()), (vec![], 1, 1), "{not_yet:?}");
    }
    // What is gone is on no way.
    assert_eq!(differs(&row(0), &[], 101), [Kind::PaidNotRunning]);
}

#[test]
fn of_what_waits_to_be_there_and_was_there_already_newer_words_are_told_and_nothing_else() {
    let crossing = Crossing { desired_version: 1, ..Crossing::default() };
    let older =
        Subscription { status: Status::PendingDeployment, paid: None, periods: 0, crossing, ..active() };
    let newer = Resource { told: Some(3), ..told() };
    for minute in [10, 100] {
        assert_eq!(differs(&older, std::slice::from_ref(&newer), minute), [Kind::Overtaken]);
    }
    let noted = Subscription { crossing: Crossing { uid: Some(UID), ..crossing }, ..older.clone() };
    assert_eq!(differs(&noted, std::slice::from_ref(&newer), 100), [Kind::Overtaken]);
    // What only says that it is this subscription's is not.
    let elsewhere = Resource { name: "second".into(), ..newer };
    assert_eq!(differs(&older, &[elsewhere], 10), [Kind::RunningNotPaid]);
}

#[test]
fn what_is_over_is_held_then_fenced_then_gone() {
    let ending = ended(None);
    assert_eq!(differs(&ending, &[told()], 11), [], "the hold is on its way");
    assert_eq!(differs(&ending, &[told()], 12), [Kind::RunningNotPaid]);
    let held = Resource { is_held: true, is_held_by_billing: true, ..told() };
    assert_eq!(differs(&ending, std::slice::from_ref(&held), 69), []);
    assert_eq!(differs(&ending, std::slice::from_ref(&held), 70), [Kind::RefundWaits]);
    let fenced = ended(Some(at(20)));
    assert_eq!(differs(&fenced, std::slice::from_ref(&held), 21), [], "it is being deleted");
    assert_eq!(differs(&fenced, &[held], 22), [Kind::Orphan]);
    assert_eq!(differs(&fenced, &[told()], 22), [Kind::RunningNotPaid]);
    assert_eq!(differs(&fenced, &[Resource { is_going: true, ..told() }], 22), []);
}

#[test]
fn what_nobody_has_bought_is_told_where_it_runs_or_says_otherwise() {
    let row = active();
    let nobodys = Resource { subscription: Some(Uuid::from_u128(99)), name: "lost".into(), ..told() };
    let idle = |one: Resource| Resource { is_entitled: false, suspend_at: None, paid_until: None, ..one };
    assert_eq!(differs(&row, &[told(), nobodys.clone()], 100), [Kind::RunningNotPaid]);
    assert_eq!(differs(&row, &[told(), idle(nobodys.clone())], 100), [Kind::Orphan]);
    assert_eq!(
        differs(&row, &[told(), idle(nobodys)], 1),
        [Kind::Orphan],
        "a row is there before its resource"
    );
    let by_hand = Resource { is_bought: false, subscription: None, name: "by-hand".into(), ..told() };
    assert_eq!(differs(&row, &[told(), by_hand.clone()], 100), [Kind::RunningNotPaid]);
    assert_eq!(differs(&row, &[told(), idle(by_hand.clone())], 100), []);
    let is_meant = |one: Resource| Resource { entitled_because: Some("a sample".into()), ..one };
    assert_eq!(differs(&row, &[told(), is_meant(by_hand.clone())], 100), []);
    assert_eq!(meant(&is_meant(by_hand.clone()), at(100)).map(|one| one.because), Some("a sample".into()));
    assert_eq!(meant(&is_meant(idle(by_hand)), at(100)), None, "it does not run");
    // Of what somebody has bought that says nothing.
    let bought = is_meant(Resource { suspend_at: None, ..told() });
    assert_eq!(
        (differs(&row, std::slice::from_ref(&bought), 100), meant(&bought, at(100))),
        (vec![Kind::RunningNotPaid], None)
    );
    let second = Resource { uid: Some(Uuid::from_u128(8)), name: "second".into(), ..told() };
    assert_eq!(differs(&row, &[told(), second.clone()], 100), [Kind::RunningNotPaid]);
    assert_eq!(differs(&row, &[told(), idle(second.clone())], 100), [Kind::Orphan]);
    assert_eq!(differs(&row, &[told(), idle(second)], 1), [], "it may be just being made");
}
