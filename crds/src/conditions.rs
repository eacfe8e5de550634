//! Condition types, and the pure function that moves them on.

use jiff::Timestamp;
pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The spec is fulfilled (stopped by its owner is fulfilled, too).
pub const READY: &str = "Ready";
/// The app serves.
pub const AVAILABLE: &str = "Available";
/// The operator is on its way to the spec (kstatus).
pub const RECONCILING: &str = "Reconciling";
/// It can't go on without somebody's help (kstatus).
pub const STALLED: &str = "Stalled";
/// It may not run, and no pod is left.
pub const SUSPENDED: &str = "Suspended";
/// It has a place in the tenant's quota.
pub const ADMITTED: &str = "Admitted";
/// Its volumes are bound and as large as the plan says.
pub const STORAGE_READY: &str = "StorageReady";
/// Every custom host is verified and routed.
pub const DOMAINS_READY: &str = "DomainsReady";
/// The port to the outside is open, where one was asked for.
pub const ACCESS_READY: &str = "AccessReady";
/// There is data of a tenant that outlives its instance; the reason says whether anything keeps it from going its way.
pub const DATA_RETAINED: &str = "DataRetained";
/// A change that is not the owner's own waits for its window.
pub const UPDATE_PENDING: &str = "UpdatePending";

/// What a condition should say; the time of its last change is worked out by [`update`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// One of this module's constants.
    pub type_: &'static str,
    /// `Some(true)` is True, `Some(false)` is False, none is Unknown.
    pub status: Option<bool>,
    /// A constant CamelCase word.
    pub reason: &'static str,
    /// What is wrong, what happens next, who must act. No counters, pod names or times.
    pub message: String,
}

impl Said {
    /// It is so.
    pub fn yes(type_: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { type_, status: Some(true), reason, message: message.into() }
    }

    /// It is not so.
    pub fn no(type_: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { type_, status: Some(false), reason, message: message.into() }
    }

    /// Nobody knows.
    pub fn unknown(type_: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { type_, status: None, reason, message: message.into() }
    }
}

/// The conditions after `said` was heard at `now`: the time of the last change is kept where the status stays,
/// those of which nothing is said are dropped, and the order is that of `said`.
pub fn update(
    before: &[Condition],
    said: Vec<Said>,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    said.into_iter()
        .map(|Said { type_, status, reason, message }| {
            let status = status.map_or("Unknown", |yes| if yes { "True" } else { "False" });
            let same = before.iter().find(|old| old.type_ == type_ && old.status == status);
            let last_transition_time =
                same.map_or_else(|| Time(whole_second(now)), |old| old.last_transition_time.clone());
            Condition {
                type_: type_.to_owned(),
                status: status.to_owned(),
                reason: reason.to_owned(),
                message,
                observed_generation: generation,
                last_transition_time,
            }
        })
        .collect()
}

/// Kubernetes stores times to the second; anything finer would differ from what was written.
fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// The named condition.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether the named condition is `True` and speaks of `generation`.
pub fn is_true(conditions: &[Condition], type_: &str, generation: Option<i64>) -> bool {
    find(conditions, type_).is_some_and(|c| c.status == "True" && c.observed_generation == generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_time_of_the_last_change_moves_only_with_the_status() {
        let first = update(&[], vec![Said::no(READY, "Creating", "a")], Some(1), at(10));
        let second = update(&first, vec![Said::no(READY, "Waiting", "b")], Some(2), at(20));
        let third = update(&second, vec![Said::yes(READY, "Running", "c")], Some(2), at(30));
        let times: Vec<i64> =
            [&first, &second, &third].iter().map(|c| c[0].last_transition_time.0.as_second()).collect();
        assert_eq!(times, [10, 10, 30]);
        assert_eq!((second[0].reason.as_str(), second[0].observed_generation), ("Waiting", Some(2)));
    }

    #[test]
    fn a_true_condition_of_an_older_generation_does_not_count() {
        let conditions = update(&[], vec![Said::yes(READY, "Running", "")], Some(1), at(1));
        assert!(is_true(&conditions, READY, Some(1)) && !is_true(&conditions, READY, Some(2)));
    }
}
