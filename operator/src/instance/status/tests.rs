//! What is said of an instance in every state that it can be in.

mod causes;

use super::{Outcome, Refused, next_look, status, too_early_to_say};
use crate::{
    instance::{
        fetch::Fetched,
        fixtures::{self, Wanted, child},
        power::{self, Power},
        rollout::Rollout,
        validate::Invalid,
    },
    kinds::Kind,
    observed::{Child, PodTemplate, State, Volume},
};
use crds::{Quantity, ServiceInstanceStatus, conditions, instance::Phase};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

fn workload(replicas: i64, ready: i64) -> Arc<Child> {
    let state = State::Workload {
        replicas,
        current: replicas,
        ready,
        updated: replicas,
        observed: true,
        pods: PodTemplate::default(),
        cause: None,
    };
    child(Kind::StatefulSet, "db", state)
}

fn pod() -> Arc<Child> {
    child(Kind::Pod, "db-0", State::Pod { ready: true, finished: false, cause: None })
}

fn volume(bound: bool) -> Arc<Child> {
    let size = Quantity::from_units(5 << 30);
    let capacity = if bound { size } else { Quantity::ZERO };
    child(
        Kind::PersistentVolumeClaim,
        "data",
        State::Volume(Volume { bound, requested: size, capacity, ..Volume::default() }),
    )
}

fn say(
    wanted: Wanted,
    children: &[Arc<Child>],
    before: Option<&ServiceInstanceStatus>,
    at: Timestamp,
) -> ServiceInstanceStatus {
    let fetched = with(wanted, before);
    let order = fixtures::order(&with(wanted, None)).unwrap();
    let credentials = Some("credentials".to_owned());
    let outcome = Outcome::Built {
        order: Box::new(order),
        credentials,
        volumes: 1,
        blocked: false,
        refused: None,
        rollout: Rollout::UpToDate,
    };
    status(&fetched, children, &outcome, fixtures::settings(), at)
}

fn with(wanted: Wanted, before: Option<&ServiceInstanceStatus>) -> Fetched {
    let mut fetched = fixtures::fetched("postgresql", wanted);
    let mut instance = (*fetched.instance).clone();
    instance.status = before.cloned();
    fetched.instance = Arc::new(instance);
    fetched
}

/// Phase, READY, Available, REASON.
fn row(status: &ServiceInstanceStatus) -> (Phase, &str, &str, Option<&str>) {
    let of = |type_| conditions::find(&status.conditions, type_).map_or("none", |one| one.status.as_str());
    (status.phase.unwrap(), of(conditions::READY), of(conditions::AVAILABLE), status.reason.as_deref())
}

fn is(status: &ServiceInstanceStatus, type_: &str) -> bool {
    conditions::is_true(&status.conditions, type_, Some(1))
}

#[test]
fn on_its_way_up_it_is_provisioning_and_then_running() {
    let now = fixtures::now();
    let first = say(Wanted::Running, &[workload(1, 0), volume(false)], None, now);
    assert_eq!(row(&first), (Phase::Provisioning, "False", "False", Some("Provisioning")));
    assert!(is(&first, conditions::RECONCILING) && !is(&first, conditions::STORAGE_READY));
    let second = say(Wanted::Running, &[workload(1, 1), volume(true), pod()], Some(&first), now);
    assert_eq!(row(&second), (Phase::Running, "True", "True", None));
    assert!(!is(&second, conditions::RECONCILING) && is(&second, conditions::STORAGE_READY));
    assert_eq!(second.endpoints.unwrap().internal.unwrap(), "shop.customer-sample.svc:5432");
}

#[test]
fn stopped_by_its_owner_is_ready_and_not_available() {
    let now = fixtures::now();
    let running = say(Wanted::Running, &[workload(1, 1), volume(true), pod()], None, now);
    let ending = say(Wanted::Stopped, &[workload(0, 0), pod(), volume(true)], Some(&running), now);
    assert_eq!(row(&ending), (Phase::Stopping, "False", "False", Some("Stopping")));
    let ended = say(Wanted::Stopped, &[workload(0, 0), volume(true)], Some(&ending), now);
    assert_eq!(row(&ended), (Phase::Stopped, "True", "False", Some("Stopped")));
}

#[test]
fn it_is_suspended_once_no_pod_is_left() {
    let now = fixtures::now();
    let ending = say(Wanted::Suspended, &[workload(0, 0), pod(), volume(true)], None, now);
    assert!(!is(&ending, conditions::SUSPENDED) && ending.phase == Some(Phase::Stopping));
    let ended = say(Wanted::Suspended, &[workload(0, 0), volume(true)], Some(&ending), now);
    assert_eq!(row(&ended), (Phase::Suspended, "False", "False", Some("HeldByBilling")));
    assert!(is(&ended, conditions::SUSPENDED) && !is(&ended, conditions::STALLED));
}

#[test]
fn a_pod_that_dies_without_a_change_is_degraded_and_not_updating() {
    let now = fixtures::now();
    let running = say(Wanted::Running, &[workload(1, 1), volume(true), pod()], None, now);
    let dead = say(Wanted::Running, &[workload(1, 0), volume(true), pod()], Some(&running), now);
    assert_eq!(row(&dead), (Phase::Degraded, "False", "False", Some("NotServing")));
}

#[test]
fn no_wait_is_without_a_bound() {
    let now = fixtures::now();
    let children = [workload(1, 0), volume(false)];
    let first = say(Wanted::Running, &children, None, now);
    let bound = next_look(&first, fixtures::settings()).unwrap();
    assert_eq!(bound.duration_since(now), SignedDuration::from_secs(900));
    let late = say(Wanted::Running, &children, Some(&first), bound);
    assert!(is(&late, conditions::STALLED) && late.phase == Some(Phase::Provisioning));
    assert_eq!(next_look(&late, fixtures::settings()), None);
}

#[test]
fn what_serves_goes_on_serving_when_its_order_becomes_wrong() {
    let now = fixtures::now();
    let running = say(Wanted::Running, &[workload(1, 1), volume(true), pod()], None, now);
    let fetched = with(Wanted::Running, Some(&running));
    let invalid = Invalid { reason: "PlanNotFound", message: "gone".into(), waiting: false };
    let outcome = Outcome::Invalid { invalid, power: Power::On, look_again: None };
    let dead = status(&fetched, &[], &outcome, fixtures::settings(), now);
    assert_eq!(row(&dead), (Phase::Failed, "False", "False", Some("PlanNotFound")));
    let wrong = status(&fetched, &[workload(1, 1), pod()], &outcome, fixtures::settings(), now);
    assert_eq!(row(&wrong), (Phase::Degraded, "False", "True", Some("PlanNotFound")));
    assert!(
        is(&wrong, conditions::STALLED)
            && wrong.data_id == running.data_id
            && wrong.endpoints == running.endpoints
    );
}

#[test]
fn a_wrong_order_is_no_way_around_a_suspension() {
    let now = fixtures::now();
    let running = say(Wanted::Running, &[workload(1, 1), volume(true), pod()], None, now);
    let fetched = with(Wanted::Suspended, Some(&running));
    let invalid = Invalid { reason: "ParameterInvalid", message: "no".into(), waiting: false };
    let (power, _) = power::decide(&fetched.instance.spec, fixtures::settings().unsubscribed, now);
    let outcome = Outcome::Invalid { invalid, power, look_again: None };
    let said = status(&fetched, &[workload(0, 0), volume(true)], &outcome, fixtures::settings(), now);
    assert_eq!(row(&said), (Phase::Suspended, "False", "False", Some("HeldByBilling")));
    assert!(is(&said, conditions::SUSPENDED) && is(&said, conditions::STALLED));
}

fn invalid(reason: &'static str, waiting: bool, fetched: &Fetched) -> Outcome {
    let (power, look_again) =
        power::decide(&fetched.instance.spec, fixtures::settings().unsubscribed, fixtures::now());
    Outcome::Invalid { invalid: Invalid { reason, message: "no".into(), waiting }, power, look_again }
}

#[test]
fn what_is_held_is_suspended_also_where_nothing_was_ever_made_of_it_and_says_still_what_is_wrong() {
    let (held, free) = (with(Wanted::Suspended, None), with(Wanted::Running, None));
    let say = |fetched: &Fetched, children: &[Arc<Child>], outcome: &Outcome| {
        status(fetched, children, outcome, fixtures::settings(), fixtures::now())
    };
    for (reason, waiting) in [("PlanNotFound", false), ("QuotaExceeded", false), ("AwaitingAdmission", true)]
    {
        let said = say(&held, &[], &invalid(reason, waiting, &held));
        assert_eq!((said.reason.as_deref(), is(&said, conditions::SUSPENDED)), (Some(reason), true));
        let suspended = conditions::find(&said.conditions, conditions::SUSPENDED).unwrap();
        assert_eq!(suspended.reason, "HeldByBilling");
        assert!(!is(&say(&free, &[], &invalid(reason, waiting, &free)), conditions::SUSPENDED));
        for left in [pod(), workload(1, 0)] {
            assert!(!is(&say(&held, &[left], &invalid(reason, waiting, &held)), conditions::SUSPENDED));
        }
    }
    let built = |blocked, refused: bool| Outcome::Built {
        order: Box::new(fixtures::order(&held).unwrap()),
        credentials: None,
        volumes: 1,
        blocked,
        refused: refused.then(|| Refused { reason: "Rejected", message: "no".into() }),
        rollout: Rollout::UpToDate,
    };
    for (outcome, reason) in [(built(true, false), "WaitingForDeletion"), (built(false, true), "Rejected")] {
        let said = say(&held, &[workload(0, 0)], &outcome);
        assert_eq!((said.reason.as_deref(), is(&said, conditions::SUSPENDED)), (Some(reason), true));
        assert!(!is(&say(&held, &[pod()], &outcome), conditions::SUSPENDED));
    }
}

#[test]
fn what_is_up_is_available_though_its_order_was_made_wrong_before_it_was_for_the_first_time() {
    let now = fixtures::now();
    let begun = say(Wanted::Running, &[workload(1, 0), volume(true)], None, now);
    let fetched = with(Wanted::Running, Some(&begun));
    let outcome = invalid("ParameterInvalid", false, &fetched);
    let say = |fetched: &Fetched, children: &[Arc<Child>]| {
        status(fetched, children, &outcome, fixtures::settings(), now)
    };
    let up = [workload(1, 1), pod(), volume(true)];
    let serves = say(&fetched, &up);
    assert_eq!(row(&serves), (Phase::Degraded, "False", "True", Some("ParameterInvalid")));
    assert!(is(&serves, conditions::STALLED));
    assert_eq!(row(&say(&fetched, &[workload(1, 0), pod()])).2, "False", "not all of it is ready");
    // What was to be made is not known: something may be missing.
    let lost = Fetched { template: None, ..fetched };
    assert_eq!(row(&say(&lost, &up)).2, "False");
}

#[test]
fn what_is_up_and_not_initialized_is_not_available_yet() {
    let mut fetched = fixtures::fetched("ghost", Wanted::Running);
    let names: Vec<String> =
        fetched.template.iter().flat_map(|one| &one.spec.components).map(|one| one.name.clone()).collect();
    let up = |name: &String| {
        let mut one = (*workload(1, 1)).clone();
        one.component = Some(name.clone());
        Arc::new(one)
    };
    let up: Vec<Arc<Child>> = names.iter().map(up).collect();
    let outcome = invalid("ParameterInvalid", false, &fetched);
    let say = |fetched: &Fetched| status(fetched, &up, &outcome, fixtures::settings(), fixtures::now());
    assert_eq!(row(&say(&fetched)).2, "False");
    let before = ServiceInstanceStatus { initialized: true, ..ServiceInstanceStatus::default() };
    Arc::make_mut(&mut fetched.instance).status = Some(before);
    assert_eq!(row(&say(&fetched)).2, "True");
}

#[test]
fn what_the_api_server_refuses_for_good_is_said_and_stalls() {
    let fetched = with(Wanted::Running, None);
    let said = status(&fetched, &[], &refused(&fetched), fixtures::settings(), fixtures::now());
    assert_eq!(row(&said), (Phase::Failed, "False", "False", Some("Rejected")));
    assert!(is(&said, conditions::STALLED));
}

#[test]
fn what_is_up_is_available_for_the_first_time_though_a_part_of_it_is_refused() {
    let up = [workload(1, 1), pod(), volume(true)];
    let said = |wanted, children: &[Arc<Child>]| {
        let fetched = with(wanted, None);
        status(&fetched, children, &refused(&fetched), fixtures::settings(), fixtures::now())
    };
    let serves = said(Wanted::Running, &up);
    assert_eq!(row(&serves), (Phase::Degraded, "False", "True", Some("Rejected")));
    assert!(is(&serves, conditions::STALLED));
    let not_all = said(Wanted::Running, &[workload(2, 1), pod(), volume(true)]);
    assert_eq!(row(&not_all), (Phase::Failed, "False", "False", Some("Rejected")));
    for off in [Wanted::Stopped, Wanted::Suspended] {
        assert_eq!(row(&said(off, &up)).2, "False", "its pods only end still");
    }
}

#[test]
fn what_is_up_and_not_initialized_is_not_available_though_a_part_of_it_is_refused() {
    let mut fetched = fixtures::fetched("ghost", Wanted::Running);
    let names: Vec<String> =
        fetched.template.iter().flat_map(|one| &one.spec.components).map(|one| one.name.clone()).collect();
    let up = names.iter().map(|name| {
        let mut one = (*workload(1, 1)).clone();
        one.component = Some(name.clone());
        Arc::new(one)
    });
    let up: Vec<Arc<Child>> = up.collect();
    let is_available = |fetched: &Fetched| {
        let said = status(fetched, &up, &refused(fetched), fixtures::settings(), fixtures::now());
        is(&said, conditions::AVAILABLE)
    };
    assert!(!is_available(&fetched));
    let before = ServiceInstanceStatus { initialized: true, ..ServiceInstanceStatus::default() };
    Arc::make_mut(&mut fetched.instance).status = Some(before);
    assert!(is_available(&fetched));
}

/// A part of it is refused for good.
fn refused(fetched: &Fetched) -> Outcome {
    Outcome::Built {
        order: Box::new(fixtures::order(fetched).unwrap()),
        credentials: None,
        volumes: 1,
        blocked: false,
        refused: Some(Refused { reason: "Rejected", message: "no".into() }),
        rollout: Rollout::UpToDate,
    }
}

#[test]
fn a_volume_that_is_made_with_the_next_form_of_the_app_is_not_waited_for() {
    let fetched = with(Wanted::Running, None);
    let storage = |volumes, rollout| {
        let order = Box::new(fixtures::order(&fetched).unwrap());
        let outcome =
            Outcome::Built { order, credentials: None, volumes, blocked: false, refused: None, rollout };
        let children = [workload(1, 1), volume(true), pod()];
        is(
            &status(&fetched, &children, &outcome, fixtures::settings(), fixtures::now()),
            conditions::STORAGE_READY,
        )
    };
    assert!(storage(1, Rollout::Waits { until: None }));
    assert!(!storage(2, Rollout::Now), "it is one of them now");
}

#[test]
fn saying_it_again_changes_nothing() {
    let now = fixtures::now();
    for (wanted, children) in [
        (Wanted::Running, vec![workload(1, 1), volume(true), pod()]),
        (Wanted::Stopped, vec![workload(0, 0), volume(true)]),
        (Wanted::Suspended, vec![workload(0, 0), volume(true)]),
        (Wanted::Running, vec![workload(1, 0), volume(false)]),
    ] {
        let first = say(wanted, &children, None, now);
        let later = now.checked_add(SignedDuration::from_secs(60)).unwrap();
        assert_eq!(say(wanted, &children, Some(&first), later), first);
    }
}

#[test]
fn small_steps_on_the_way_up_are_not_told_one_by_one() {
    let begun = fixtures::now();
    let first = say(Wanted::Running, &[workload(1, 0), volume(false)], None, begun);
    let bound = say(Wanted::Running, &[workload(1, 0), volume(true)], Some(&first), begun);
    assert_ne!(first, bound);
    let pause = too_early_to_say(Some(&first), &bound, begun + SignedDuration::from_secs(5));
    assert_eq!(pause, Some(std::time::Duration::from_secs(15)));
    assert_eq!(
        too_early_to_say(Some(&first), &bound, begun + SignedDuration::from_secs(20)),
        None,
        "it lasts"
    );
    let up = say(Wanted::Running, &[workload(1, 1), volume(true), pod()], Some(&first), begun);
    assert_eq!(too_early_to_say(Some(&first), &up, begun), None, "it is news");
    assert_eq!(too_early_to_say(None, &first, begun), None, "the first word");
    assert_eq!(too_early_to_say(Some(&first), &first, begun), None, "nothing is new");
}
