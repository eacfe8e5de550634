//! Which cause is said of what does not serve, and whether it stalls.

use super::{Phase, child, conditions, is, pod, row, say, volume, workload};
use crate::{
    cause::Cause,
    instance::{
        fetch::Fetched,
        fixtures::{self, Wanted},
        rollout::Rollout,
        status::{Outcome, next_look, status},
    },
    kinds::Kind,
    observed::{Child, Growth, PodTemplate, State, Volume},
};
use crds::{Quantity, ServiceInstanceStatus, reasons};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

fn stuck(cause: Cause) -> Arc<Child> {
    child(Kind::Pod, "db-0", State::Pod { ready: false, finished: false, cause: Some(cause) })
}

fn after(seconds: i64) -> Timestamp {
    fixtures::now().checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

fn stalled(status: &ServiceInstanceStatus) -> Option<&str> {
    let all = &status.conditions;
    conditions::find(all, conditions::STALLED)
        .filter(|one| one.status == "True")
        .map(|one| one.reason.as_str())
}

fn running() -> ServiceInstanceStatus {
    say(Wanted::Running, &[workload(1, 1), volume(true), pod()], None, fixtures::now())
}

#[test]
fn what_somebody_must_cure_is_said_at_once_and_unsaid_by_itself() {
    let parts = |cause| [workload(1, 0), volume(true), stuck(cause)];
    let first = say(Wanted::Running, &[workload(1, 0), volume(true)], None, fixtures::now());
    let bad = say(Wanted::Running, &parts(Cause::ImageNotPulled), Some(&first), after(5));
    assert_eq!(row(&bad), (Phase::Provisioning, "False", "False", Some("ImageNotPulled")));
    assert!(is(&bad, conditions::RECONCILING) && stalled(&bad) == Some("ImageNotPulled"));
    assert_eq!(say(Wanted::Running, &parts(Cause::ImageNotPulled), Some(&bad), after(60)), bad);
    // Put right long after the bound: its wait begins anew, and nothing is stuck.
    let better = say(Wanted::Running, &[workload(1, 0), volume(true)], Some(&bad), after(5000));
    assert_eq!((better.reason.as_deref(), stalled(&better)), (Some("Provisioning"), None));
    let still = say(Wanted::Running, &[workload(1, 0), volume(true)], Some(&better), after(5100));
    assert_eq!(stalled(&still), None);
    assert_eq!(next_look(&still, fixtures::settings()), Some(after(5900)));
    let well = say(Wanted::Running, &[workload(1, 1), volume(true), pod()], Some(&still), after(5200));
    assert_eq!(row(&well), (Phase::Running, "True", "True", None));
}

#[test]
fn what_may_pass_stalls_under_its_own_name_once_it_has_lasted() {
    let parts = [workload(1, 0), volume(true), stuck(Cause::CrashLooping)];
    let first = say(Wanted::Running, &parts, None, fixtures::now());
    assert_eq!(row(&first), (Phase::Provisioning, "False", "False", Some("CrashLooping")));
    assert_eq!(stalled(&first), None);
    let late = say(Wanted::Running, &parts, Some(&first), after(900));
    assert_eq!((late.reason.as_deref(), stalled(&late)), (Some("CrashLooping"), Some("CrashLooping")));
    assert_eq!(say(Wanted::Running, &parts, Some(&late), after(2000)), late);
    // Between two crashes it is no less stuck.
    let between = say(Wanted::Running, &[workload(1, 0), volume(true)], Some(&late), after(2001));
    assert_eq!(stalled(&between), Some("TooSlow"));
}

#[test]
fn what_has_only_just_started_is_not_failing_its_probe() {
    let parts = [workload(1, 0), volume(true), stuck(Cause::NotReady)];
    let first = say(Wanted::Running, &parts, None, fixtures::now());
    assert_eq!(first.reason.as_deref(), Some("Provisioning"));
    let late = say(Wanted::Running, &parts, Some(&first), after(900));
    assert_eq!((late.reason.as_deref(), stalled(&late)), (Some("ProbeFailing"), Some("ProbeFailing")));
    let served = say(Wanted::Running, &parts, Some(&running()), after(1));
    assert_eq!(row(&served), (Phase::Degraded, "False", "False", Some("ProbeFailing")));
}

#[test]
fn what_served_before_is_degraded_by_what_a_change_breaks() {
    let half = State::Workload {
        replicas: 1,
        current: 1,
        ready: 0,
        updated: 0,
        observed: true,
        pods: PodTemplate::default(),
        cause: None,
    };
    let rolling = child(Kind::StatefulSet, "db", half);
    let parts = [Arc::clone(&rolling), volume(true)];
    let updating = say(Wanted::Running, &parts, Some(&running()), after(1));
    assert_eq!(row(&updating), (Phase::Updating, "False", "False", Some("Updating")));
    let parts = [rolling, volume(true), stuck(Cause::ImageNotPulled)];
    let broken = say(Wanted::Running, &parts, Some(&updating), after(2));
    assert_eq!(row(&broken), (Phase::Degraded, "False", "False", Some("ImageNotPulled")));
    assert_eq!(say(Wanted::Running, &parts, Some(&broken), after(3)), broken);
}

#[test]
fn of_several_causes_the_one_that_counts_most_is_said() {
    let other = State::Pod { ready: false, finished: false, cause: Some(Cause::CrashLooping) };
    let ended = State::Pod { ready: false, finished: true, cause: Some(Cause::Evicted) };
    let parts = [
        workload(1, 0),
        volume(true),
        child(Kind::Pod, "db-1", other),
        child(Kind::Pod, "db-2", ended),
        stuck(Cause::ImageNameInvalid),
    ];
    let said = say(Wanted::Running, &parts, None, fixtures::now());
    assert_eq!(said.reason.as_deref(), Some("ImageNameInvalid"));
    let held = say(Wanted::Suspended, &parts, Some(&said), after(1));
    assert_eq!(held.reason.as_deref(), Some("HeldByBilling"));
}

#[test]
fn a_pod_that_has_ended_counts_until_another_takes_its_place() {
    let ended = State::Pod { ready: false, finished: true, cause: Some(Cause::Evicted) };
    let ended = child(Kind::Pod, "db-2", ended);
    let alone =
        say(Wanted::Running, &[workload(1, 0), volume(true), Arc::clone(&ended)], Some(&running()), after(1));
    assert_eq!(alone.reason.as_deref(), Some("Evicted"));
    let starting = State::Pod { ready: false, finished: false, cause: None };
    let parts = [workload(1, 0), volume(true), ended, child(Kind::Pod, "db-3", starting)];
    let replaced = say(Wanted::Running, &parts, Some(&alone), after(2));
    assert_eq!(replaced.reason.as_deref(), Some("NotServing"));
}

/// What is said of an instance that was built without a hitch.
fn built(fetched: &Fetched) -> Outcome {
    let order = Box::new(fixtures::order(fetched).unwrap());
    Outcome::Built {
        order,
        credentials: None,
        volumes: 1,
        blocked: false,
        refused: None,
        rollout: Rollout::UpToDate,
    }
}

#[test]
fn what_waits_for_its_database_says_so() {
    let fetched = fixtures::fetched("wordpress", Wanted::Running);
    let outcome = built(&fetched);
    let said =
        |children: &[Arc<Child>]| status(&fetched, children, &outcome, fixtures::settings(), fixtures::now());
    assert_eq!(said(&[workload(1, 0)]).reason.as_deref(), Some(reasons::DEPENDENCY_NOT_READY));
    assert_eq!(said(&[workload(1, 0), stuck(Cause::OutOfMemory)]).reason.as_deref(), Some("OutOfMemory"));
}

#[test]
fn what_events_tell_of_a_child_counts_like_what_it_says_itself() {
    let mut fetched = fixtures::fetched("postgresql", Wanted::Running);
    fetched.told.insert("uid-db".into(), Cause::PodSecurityDenied);
    let outcome = built(&fetched);
    let said =
        status(&fetched, &[workload(1, 0), volume(false)], &outcome, fixtures::settings(), fixtures::now());
    assert_eq!(
        (said.reason.as_deref(), stalled(&said)),
        (Some("PodSecurityDenied"), Some("PodSecurityDenied"))
    );
    let message = &conditions::find(&said.conditions, conditions::READY).unwrap().message;
    assert!(message.starts_with("Component db: Pod Security refuses"), "{message}");
}

#[test]
fn a_stop_that_a_lost_node_keeps_from_ending_says_so_once_it_has_lasted() {
    let parts = [workload(0, 0), volume(true), stuck(Cause::NodeLost)];
    let ending = say(Wanted::Stopped, &parts, Some(&running()), after(1));
    assert_eq!((ending.reason.as_deref(), stalled(&ending)), (Some("Stopping"), None));
    let late = say(Wanted::Stopped, &parts, Some(&ending), after(901));
    assert_eq!(row(&late), (Phase::Stopping, "False", "False", Some("NodeLost")));
    assert_eq!(stalled(&late), Some("NodeLost"));
    let held = say(Wanted::Suspended, &parts, Some(&ending), after(901));
    assert_eq!((held.reason.as_deref(), stalled(&held)), (Some("HeldByBilling"), Some("NodeLost")));
}

#[test]
fn a_lost_volume_and_one_that_can_not_grow_are_said_of_what_still_serves() {
    let serving = |volume: Volume| {
        let volume = child(Kind::PersistentVolumeClaim, "data", State::Volume(volume));
        say(Wanted::Running, &[workload(1, 1), pod(), volume], Some(&running()), after(1))
    };
    let lost = serving(Volume { lost: true, ..Volume::default() });
    assert_eq!(row(&lost), (Phase::Degraded, "False", "True", Some("VolumeLost")));
    let size = Quantity::from_units(1 << 30);
    let small = serving(Volume { bound: true, requested: size, growth: Growth::Failed, ..Volume::default() });
    assert_eq!(row(&small), (Phase::Running, "False", "True", Some("VolumeGrowthFailed")));
    let waits =
        serving(Volume { bound: true, requested: size, growth: Growth::Restart, ..Volume::default() });
    assert_eq!(row(&waits), (Phase::Running, "True", "True", None));
    let storage = conditions::find(&waits.conditions, conditions::STORAGE_READY).unwrap();
    assert_eq!((storage.status.as_str(), storage.reason.as_str()), ("False", "VolumeGrowsAtRestart"));
}
