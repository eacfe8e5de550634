//! Clocks that jump as they like.

use super::*;
use proptest::prelude::*;

/// What happens between two reconciles.
#[derive(Clone, Debug)]
enum Event {
    /// Time passes on both clocks.
    Passes(i64),
    /// The operator's clock is moved.
    OperatorJumps(i64),
    /// The API server's is.
    ServerJumps(i64),
    Order,
    TakeBack,
    Extend(i64),
    /// The process is killed after so many steps of its next reconcile.
    Crash(usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let jump = || prop_oneof![-40 * DAY..40 * DAY, -120i64..120];
    let one = prop_oneof![
        6 => (1i64..3 * DAY).prop_map(Event::Passes),
        2 => jump().prop_map(Event::OperatorJumps),
        1 => jump().prop_map(Event::ServerJumps),
        2 => Just(Event::Order),
        1 => Just(Event::TakeBack),
        1 => (0i64..60 * DAY).prop_map(Event::Extend),
        2 => (0usize..5).prop_map(Event::Crash),
    ];
    prop::collection::vec(one, 1..60)
}

/// The earliest time by the API server's clock at which a beginning is allowed: by what stands on the volumes and in the spec.
fn earliest(world: &World, bounds: &RetentionBounds) -> Timestamp {
    let order = world.tenant.spec.retained.get(ID).cloned().unwrap_or_default();
    let extended = order.keep_until.map_or(at(14 * DAY), |time| time.0.max(at(14 * DAY)));
    let by_time =
        extended.checked_add(SignedDuration::from_secs(i64::from(bounds.purge_grace_seconds))).unwrap();
    let noted: Option<Vec<Timestamp>> = world
        .volumes()
        .iter()
        .map(|one| one.volume().unwrap().release.purge_ordered_at.filter(|_| order.purge))
        .collect();
    let wait = SignedDuration::from_secs(i64::from(bounds.purge_wait_seconds));
    let by_order = noted.and_then(|all| all.into_iter().max()).map(|noted| noted.checked_add(wait).unwrap());
    let floor = at(i64::from(bounds.minimum_age_seconds));
    by_order.map_or(by_time, |by_order| by_order.min(by_time)).max(floor)
}

/// One reconcile, killed after so many steps; at every step it is checked whether it is allowed.
fn reconcile(
    world: &mut World,
    bounds: &RetentionBounds,
    mut steps_left: usize,
) -> Result<(), TestCaseError> {
    for _ in 0..4 {
        let judgement = world.judge(bounds);
        if judgement.steps.is_empty() {
            world.list(judgement);
            return Ok(());
        }
        for step in &judgement.steps {
            if steps_left == 0 {
                return Ok(());
            }
            steps_left -= 1;
            let begins = matches!(&step.act, Act::Note { patch, .. } if patch.to_string().contains(labels::PURGE_BEGUN_AT));
            if begins {
                prop_assert!(
                    at(world.server) >= earliest(world, bounds),
                    "too early by the API server's clock"
                );
            }
            if begins || matches!(step.act, Act::Delete { .. }) {
                prop_assert!((world.operator - world.server).abs() <= 60, "by clocks that disagree");
            }
            if matches!(&step.act, Act::Delete { key, .. } if key.kind == Kind::PersistentVolumeClaim) {
                prop_assert!(world.secret().unwrap().release.purge_begun, "the Secret says so first");
            }
            world.act(step);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_sequence_of_clock_jumps_orders_and_crashes_destroys_before_the_api_servers_time_allows_it(events in events()) {
        let (mut world, bounds) = (World::new(), bounds());
        for event in events {
            let mut steps = usize::MAX;
            match event {
                Event::Passes(seconds) => {
                    world.operator += seconds;
                    world.server += seconds;
                }
                Event::OperatorJumps(seconds) => world.operator += seconds,
                Event::ServerJumps(seconds) => world.server += seconds,
                Event::Order => world = world.order(purge()),
                Event::TakeBack => world = world.order(RetentionOrder::default()),
                Event::Extend(seconds) => world = world.order(keep(seconds)),
                Event::Crash(after) => steps = after,
            }
            reconcile(&mut world, &bounds, steps)?;
            let secret_is_there = world.secret().is_some();
            prop_assert!(secret_is_there || world.volumes().is_empty(), "volumes without their Secret");
        }
        // Once the clocks agree and long after everything, it is all gone.
        let end = world.operator.max(world.server) + 200 * DAY;
        let mut world = world.at(end);
        for _ in 0..3 {
            reconcile(&mut world, &bounds, usize::MAX)?;
        }
        prop_assert!(world.objects.is_empty());
    }
}
