//! What is done every so often, by one replica alone. What was missed is made up for once.

use super::{New, enqueue, forget::What, probe::Probe, store};
use crate::{clock, state::State};
use jiff::{SignedDuration, Timestamp};

/// Each minute.
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// How far replicas' clocks may be apart.
const APART: SignedDuration = SignedDuration::from_mins(5);

/// Something that is done every so often.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// The same for ever: by it the database knows when next.
    name: String,
    every: SignedDuration,
    new: New,
}

impl Schedule {
    /// One of that name: one of its jobs waits at most.
    pub(super) fn new(name: impl Into<String>, every: SignedDuration, new: New) -> Self {
        let name = name.into();
        Self { new: new.with_key(&name), name, every }
    }
}

/// All that there are.
///
/// # Errors
/// Where a payload is no JSON.
pub(super) fn all() -> Result<Vec<Schedule>, serde_json::Error> {
    let forget = What::ALL.iter().map(|what| {
        let new = New::of(&super::forget::Forget { what: *what })?;
        Ok(Schedule::new(format!("forget:{}", what.as_str()), MINUTE, new))
    });
    let probe = New::of(&Probe { number: 0 }).map(|new| Schedule::new("probe", MINUTE, new));
    forget.chain([probe]).collect()
}

/// The first time after `now` of those that follow `due` at that distance.
fn following(due: Timestamp, every: SignedDuration, now: Timestamp) -> Timestamp {
    let every = every.max(SignedDuration::from_secs(1));
    let missed = now.duration_since(due).as_secs().max(0) / every.as_secs().max(1);
    let times = i32::try_from(missed.saturating_add(1)).unwrap_or(i32::MAX);
    clock::after(due, every.checked_mul(times).unwrap_or(SignedDuration::MAX))
}

/// Whether a schedule's next time is yet to come. One that lies further ahead than its rhythm was written by a clock that is wrong, and must
/// not keep it from being done for years.
fn is_to_come(due: Timestamp, every: SignedDuration, now: Timestamp) -> bool {
    due > now && due <= clock::after(clock::after(now, every), APART)
}

/// Writes the jobs whose time has come; when to look again at the latest.
///
/// # Errors
/// As the database's.
pub(super) async fn tick(state: &State, schedules: &[Schedule]) -> Result<Timestamp, sqlx::Error> {
    let now = state.clock.now();
    let known = store::schedules(&state.db).await?;
    let mut next = clock::after(now, MINUTE);
    for Schedule { name, every, new } in schedules {
        let due = known.get(name).copied();
        if let Some(due) = due.filter(|due| is_to_come(*due, *every, now)) {
            next = next.min(due);
            continue;
        }
        let then = following(due.unwrap_or(now).min(now), *every, now);
        let mut tx = state.db.begin().await?;
        // Whoever was here in between has written it.
        if store::move_on(&mut tx, name, due, then).await? {
            enqueue(&mut tx, new, now).await?;
            tx.commit().await?;
        } else {
            tx.rollback().await?;
        }
        next = next.min(then);
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn what_was_missed_is_made_up_for_once_and_the_rhythm_stays() {
        let next = |due, now| following(at(due), MINUTE, at(now)).as_second();
        assert_eq!(next(100, 100), 160);
        assert_eq!(next(100, 159), 160);
        assert_eq!(next(100, 160), 220);
        assert_eq!(next(100, 100_000), 100_000 + 60);
        assert_eq!(next(100, 100_001), 100_000 + 60);
        assert_eq!(next(100, 90), 160, "a clock that was set back");
    }

    #[test]
    fn what_a_clock_far_ahead_has_written_keeps_nothing_from_being_done() {
        let is_to_come = |due, now| is_to_come(at(due), MINUTE, at(now));
        assert!(is_to_come(160, 100) && is_to_come(400, 100), "clocks are a little apart");
        assert!(!is_to_come(100, 100) && !is_to_come(99, 100));
        assert!(!is_to_come(1 << 33, 100), "years ahead");
    }

    proptest! {
        #[test]
        fn the_next_time_is_ahead_and_in_the_rhythm(due in 0_i64..1 << 33, late in 0_i64..1 << 30, every in 1_i64..100_000) {
            let (now, next) = (due + late, following(at(due), SignedDuration::from_secs(every), at(due + late)).as_second());
            prop_assert!(next > now && next - now <= every && (next - due) % every == 0);
        }
    }

    #[test]
    fn no_two_have_the_same_name() {
        let all = all().unwrap();
        let names: BTreeSet<&String> = all.iter().map(|one| &one.name).collect();
        assert_eq!(names.len(), all.len());
    }
}
