//! What faults cost: writes and time beyond the undisturbed run.

use std::collections::BTreeMap;
use std::time::Duration;

use super::prints;

/// The costs by fault.
pub(super) type Table = BTreeMap<&'static str, Cost>;

/// What a fault has cost.
#[derive(Clone, Default)]
pub(super) struct Cost {
    pub(super) cases: usize,
    pub(super) missed: Vec<String>,
    /// The most writes of a step beyond those of the undisturbed run, the failed call and its repetition left out.
    pub(super) extra: usize,
    /// Where that was.
    pub(super) extra_at: String,
    /// The longest that a disturbed step took.
    pub(super) longest: Duration,
    /// Where that was.
    pub(super) longest_at: String,
    /// Steps with too many writes.
    pub(super) wasteful: Vec<String>,
    /// Lives that came to another state.
    pub(super) failed: Vec<String>,
}

impl Cost {
    pub(super) fn failed(why: String) -> Self {
        Self { failed: vec![why], ..Self::default() }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.missed.extend(other.missed);
        self.wasteful.extend(other.wasteful);
        self.failed.extend(other.failed);
        if other.extra > self.extra {
            (self.extra, self.extra_at) = (other.extra, other.extra_at);
        }
        if other.longest > self.longest {
            (self.longest, self.longest_at) = (other.longest, other.longest_at);
        }
    }
}

/// Prints the table.
pub(super) fn report(table: &Table, took: Duration) {
    prints("once at a write, then the same state:");
    let mut cases = 0;
    for (fault, cost) in table {
        cases += cost.cases;
        prints(&format!(
            "{fault:16} {:3} cases, {} did not come; slowest {:4.1} s ({}); at most {} writes more ({})",
            cost.cases,
            cost.missed.len(),
            cost.longest.as_secs_f64(),
            cost.longest_at,
            cost.extra,
            cost.extra_at
        ));
    }
    prints(&format!("in all {cases} cases in {} s", took.as_secs()));
}
