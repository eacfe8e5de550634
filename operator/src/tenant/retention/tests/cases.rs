//! What is due and what is not, case by case.

use super::*;
use RetainedState::{Blocked, Expired, Kept, PurgeDue, PurgeOrdered, Purging};

/// The end of the data's time, and of the grace after it.
const END: i64 = 14 * DAY;
const DUE: i64 = END + DAY;

#[test]
fn data_goes_after_its_time_and_grace_by_both_clocks_volumes_first_and_the_secret_last() {
    let mut world = World::new().at(DUE - 1);
    assert_eq!(state(&world.reconcile(&bounds())), Kept);
    let mut world = world.at(DUE);
    // Listed as due first, so that a beginning is always found again.
    assert_eq!(state(&world.reconcile(&bounds())), PurgeDue);
    assert!(world.deleted.is_empty() && !world.secret().unwrap().release.purge_begun);
    let last = world.reconcile(&bounds());
    assert_eq!(world.deleted, [volume("app"), volume("db"), names::data_secret(ID)]);
    assert_eq!((last.retained.len(), last.said[0].reason), (0, "NothingRetained"));
}

#[test]
fn each_case_has_its_state_and_nothing_is_deleted_that_is_not_due() {
    let (app, secret) = (volume("app"), names::data_secret(ID));
    let due = || World::new().at(DUE);
    let later = json!(at(30 * DAY).to_string());
    let mut mounted = due();
    mounted.mounted.insert(volume("db"));
    let mut foreign = due();
    foreign.objects.get_mut(&secret).unwrap()["metadata"]["labels"] = json!({});
    let cases: Vec<(&str, World, RetainedState, &str)> = vec![
        ("not yet", World::new().at(HOUR), Kept, ""),
        ("extended", due().order(keep(30 * DAY)), Kept, ""),
        ("not shortened", World::new().at(END - 1).order(keep(DAY)), Kept, ""),
        ("one volume is kept longer", due().note(&app, labels::KEEP_UNTIL, &later), Kept, ""),
        ("the Secret is kept longer", due().note(&secret, labels::KEEP_UNTIL, &later), Kept, ""),
        ("the operator a day ahead", World::new().clocks(DUE, DUE - DAY), Blocked, "clocks"),
        ("the API server a day ahead", World::new().clocks(DUE, DUE + DAY), Blocked, "clocks"),
        ("the operator a day behind", World::new().clocks(DUE - DAY, DUE), Kept, ""),
        ("the API server a little behind", World::new().clocks(DUE, DUE - 30), Kept, ""),
        ("mounted", mounted, Blocked, "pod"),
        ("an instance names it", due().instance("u", Some(ID)), Blocked, "restoreFrom"),
        (
            "a time that is none",
            due().note(&app, labels::KEEP_UNTIL, &json!("soon")),
            Blocked,
            "can't be read",
        ),
        ("no end", due().note(&app, labels::KEEP_UNTIL, &Value::Null), Blocked, "can't be read"),
        (
            "an unreadable Secret",
            due().note(&secret, labels::RELEASED_AT, &json!("x")),
            Blocked,
            "can't be read",
        ),
        ("the Secret is taken up", taken_up(due(), &secret), Blocked, "not released"),
        ("a volume is taken up", taken_up(due(), &app), Blocked, "part of its volumes"),
        ("another's Secret", foreign, Blocked, "not made by Nakhoda"),
        ("break-glass", due().note(&app, labels::RECONCILE, &json!("disabled")), Blocked, "reconcile"),
        ("an order, noted", World::new().order(purge()), PurgeOrdered, ""),
    ];
    for (what, mut world, expected, says) in cases {
        for _ in 0..3 {
            let judgement = world.reconcile(&bounds());
            assert_eq!(state(&judgement), expected, "{what}: {judgement:?}");
            assert!(message(&judgement).contains(says), "{what}: {judgement:?}");
            assert!(says.is_empty() == message(&judgement).is_empty(), "{what}: {judgement:?}");
        }
        assert!(world.deleted.is_empty(), "{what}: {:?}", world.deleted);
        assert!(!world.secret().unwrap().release.purge_begun, "{what}");
    }
}

fn taken_up(world: World, name: &str) -> World {
    world.note(name, labels::RELEASED_AT, &Value::Null).note(name, labels::KEEP_UNTIL, &Value::Null)
}

#[test]
fn clocks_that_disagree_are_said_and_nothing_else_is() {
    let mut world = World::new().clocks(DUE, DUE - DAY);
    let said = world.reconcile(&bounds()).said.remove(0);
    assert_eq!((said.reason, said.status), (CLOCK_DISAGREES, Some(true)));
    assert!(said.message.contains("administrator"));
    // Nothing is asked as long as nothing is due.
    let early = World::new().clocks(HOUR, HOUR - DAY).judge(&bounds());
    assert_eq!((early.look, early.said[0].reason), (false, "Retained"));
}

#[test]
fn an_order_waits_from_when_it_was_noted_whoever_leads_and_however_often_it_is_looked_at() {
    let mut world = World::new().at(2 * HOUR).order(purge());
    world.reconcile(&bounds());
    for name in [volume("app"), volume("db")] {
        let noted = world.objects[&name]["metadata"]["annotations"][labels::PURGE_ORDERED_AT].clone();
        assert_eq!(noted, json!(at(2 * HOUR).to_string()));
    }
    let mut world = world.at(3 * HOUR - 1);
    let waits = world.reconcile(&bounds());
    assert_eq!((state(&waits), waits.look_again), (PurgeOrdered, Some(at(3 * HOUR))));
    assert_eq!(waits.retained[0].purge_at, Some(Time(at(3 * HOUR))));
    let mut world = world.at(3 * HOUR);
    world.reconcile(&bounds());
    world.reconcile(&bounds());
    assert_eq!(world.deleted.len(), 3);
}

#[test]
fn a_crash_between_the_notes_of_an_order_only_makes_it_wait_longer() {
    let mut world = World::new().at(2 * HOUR).order(purge());
    let steps = world.judge(&bounds()).steps;
    assert_eq!(steps.len(), 2);
    world.act(&steps[0]);
    let mut world = world.at(5 * HOUR);
    assert_eq!(world.reconcile(&bounds()).retained[0].purge_at, Some(Time(at(6 * HOUR))));
}

#[test]
fn an_order_taken_back_leaves_no_note_and_another_one_waits_anew() {
    let mut world = World::new().at(2 * HOUR).order(purge());
    world.reconcile(&bounds());
    let mut world = world.at(2 * HOUR + 60).order(RetentionOrder::default());
    assert_eq!(state(&world.reconcile(&bounds())), Kept);
    assert!(world.volumes().iter().all(|one| one.volume().unwrap().release.purge_ordered_at.is_none()));
    let mut world = world.at(10 * HOUR).order(purge());
    assert_eq!(world.reconcile(&bounds()).retained[0].purge_at, Some(Time(at(11 * HOUR))));
    assert!(world.deleted.is_empty());
}

#[test]
fn an_order_waits_for_its_own_keep_until_and_for_a_minimum_age() {
    let order = RetentionOrder { purge: true, ..keep(20 * DAY) };
    let mut world = World::new().at(2 * HOUR).order(order);
    world.reconcile(&bounds());
    assert_eq!(world.reconcile(&bounds()).retained[0].purge_at, Some(Time(at(20 * DAY))));
    let bounds = RetentionBounds { purge_wait_seconds: 300, minimum_age_seconds: 7200, ..bounds() };
    let mut world = World::new().order(purge());
    world.reconcile(&bounds);
    assert_eq!(world.reconcile(&bounds).retained[0].purge_at, Some(Time(at(2 * HOUR))));
}

#[test]
fn an_order_is_not_noted_by_a_clock_that_disagrees() {
    let mut world = World::new().clocks(HOUR, HOUR - DAY).order(purge());
    let judgement = world.reconcile(&bounds());
    assert_eq!((state(&judgement), judgement.said[0].reason), (Blocked, CLOCK_DISAGREES));
    assert!(world.volumes().iter().all(|one| one.volume().unwrap().release.purge_ordered_at.is_none()));
}

#[test]
fn an_order_from_before_the_release_is_void_until_it_is_given_anew() {
    let mut world = World::new().order(purge());
    for name in [volume("app"), volume("db")] {
        world.annotate(&name, labels::PURGE_ORDER_VOID, &json!("true"));
    }
    let mut world = world.at(10 * HOUR);
    let judgement = world.reconcile(&bounds());
    assert_eq!(state(&judgement), Kept);
    assert!(message(&judgement).contains("give it anew"));
    world = world.order(RetentionOrder::default());
    world.reconcile(&bounds());
    world = world.order(purge());
    assert_eq!(world.reconcile(&bounds()).retained[0].purge_at, Some(Time(at(11 * HOUR))));
}

#[test]
fn without_purging_by_time_only_an_order_destroys() {
    let bounds = RetentionBounds { purge: false, ..bounds() };
    let mut world = World::new().at(300 * DAY);
    let judgement = world.reconcile(&bounds);
    assert_eq!((state(&judgement), judgement.retained[0].purge_at.clone()), (Expired, None));
    world.reconcile(&bounds);
    assert!(world.deleted.is_empty());
    let mut world = world.order(purge());
    world.reconcile(&bounds);
    let mut world = world.at(300 * DAY + HOUR);
    world.reconcile(&bounds);
    world.reconcile(&bounds);
    assert_eq!(world.deleted.len(), 3);
}

#[test]
fn what_was_begun_is_finished_from_every_point_and_whatever_is_ordered_then() {
    let mut world = World::new().at(DUE);
    world.reconcile(&bounds());
    for crash_after in 0..4 {
        let mut world = world.clone();
        let mut done = 0;
        'process: loop {
            let steps = world.judge(&bounds()).steps;
            if steps.is_empty() {
                break;
            }
            for step in &steps {
                if done == crash_after {
                    break 'process;
                }
                world.act(step);
                done += 1;
            }
        }
        let mut world = if crash_after == 0 { world } else { world.order(keep(90 * DAY)) };
        world.reconcile(&bounds());
        assert_eq!(world.deleted, [volume("app"), volume("db"), names::data_secret(ID)], "{crash_after}");
    }
}

#[test]
fn what_is_half_gone_waits_for_clocks_that_agree_and_stays_listed() {
    let mut world = World::new().at(DUE);
    world.reconcile(&bounds());
    let begin = world.judge(&bounds()).steps;
    begin.iter().for_each(|step| world.act(step));
    let delete = world.judge(&bounds()).steps;
    world.act(&delete[0]);
    let mut world = world.clocks(DUE, DUE - DAY);
    let judgement = world.reconcile(&bounds());
    assert_eq!((state(&judgement), judgement.said[0].reason), (Purging, CLOCK_DISAGREES));
    assert_eq!(world.deleted.len(), 1);
    let mut world = world.at(DUE + HOUR);
    world.reconcile(&bounds());
    assert_eq!(world.deleted.len(), 3);
}

#[test]
fn a_claim_and_a_purge_never_both_win() {
    let mut world = World::new().at(DUE);
    world.reconcile(&bounds());
    // Judged, and claimed before the first write: the write meets another version.
    let steps = world.judge(&bounds()).steps;
    let mut claimed = taken_up(world.clone(), &names::data_secret(ID)).instance("new", Some(ID));
    let Act::Note { key, patch } = &steps[0].act else { panic!("{steps:?}") };
    let there = claimed.objects[&key.name]["metadata"]["resourceVersion"].clone();
    assert_ne!(patch["metadata"]["resourceVersion"], there);
    assert_eq!(state(&claimed.reconcile(&bounds())), Blocked);
    assert!(claimed.deleted.is_empty());
    // Begun first: the instance that asks for it is late, and it goes on.
    let mut late = world;
    late.act(&steps[0]);
    let mut late = late.instance("new", Some(ID));
    late.reconcile(&bounds());
    assert_eq!(late.deleted.len(), 3);
}

#[test]
fn volumes_without_their_secret_and_a_secret_without_its_volumes_go_as_well() {
    let mut world = World::new().at(DUE).without(&names::data_secret(ID));
    world.reconcile(&bounds());
    world.reconcile(&bounds());
    assert_eq!(world.deleted.len(), 2);
    let mut world = World::new().at(HOUR);
    world.reconcile(&bounds());
    let mut world = world.without(&volume("app")).without(&volume("db")).at(DUE);
    world.reconcile(&bounds());
    world.reconcile(&bounds());
    assert_eq!(world.deleted, [names::data_secret(ID)]);
    assert!(world.reconcile(&bounds()).retained.is_empty());
}

#[test]
fn data_of_nobody_is_listed_after_a_look_and_never_destroyed() {
    let mut world = World::new().at(300 * DAY);
    for name in [volume("app"), volume("db")] {
        world = taken_up(world, &name);
        world.objects.get_mut(&name).unwrap()["metadata"]["labels"][labels::INSTANCE] = json!("lost");
    }
    let judgement = world.reconcile(&bounds());
    assert_eq!((judgement.orphaned[0].data_id.as_str(), judgement.said[0].reason), (ID, DATA_ORPHANED));
    assert!(judgement.retained.is_empty());
    let listed = world.judge(&bounds());
    assert!(!listed.look && listed.orphaned.len() == 1);
    let ordered = world.clone().order(purge()).reconcile(&bounds());
    assert!(ordered.steps.is_empty() && ordered.orphaned.len() == 1);
    // An instance that lives has its data, and is nobody's business here.
    let mut lives = world.instance("lost", None);
    assert!(lives.reconcile(&bounds()).orphaned.is_empty() && lives.deleted.is_empty());
}

#[test]
fn of_more_than_can_be_listed_those_that_end_first_are_and_all_of_them_go() {
    let many: Vec<Arc<Child>> = (0..1100)
        .map(|number| {
            let mut one = released_volume();
            let id = format!("d{number:011}");
            (one.key.name, one.uid, one.data) = (format!("v{number}"), id.clone(), Some(id));
            if let State::Volume(volume) = &mut one.state {
                volume.release.keep_until = Some(at(DAY + HOUR * (1100 - number)));
            }
            Arc::new(one)
        })
        .collect();
    let world = World::new();
    let clocks = Clocks { operator: at(HOUR), server: None };
    let view = View { tenant: &world.tenant, volumes: &many, instances: &[], live: None, clocks };
    let retained = judge(&view, &bounds()).retained;
    assert_eq!((retained.len(), retained[0].data_id.as_str()), (1000, "d00000000100"));
    assert!(retained.is_sorted_by_key(|one| &one.data_id));
}
