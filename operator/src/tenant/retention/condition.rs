//! The one condition about a tenant's data without an instance: the worst that is to be said of it.

use crds::{
    conditions::{self, Said},
    quota::{Orphaned, Retained, RetainedState},
};

/// The reason where the operator's clock and the API server's are too far apart.
pub const CLOCK_DISAGREES: &str = crds::reasons::CLOCK_DISAGREES;
/// The reason where something keeps due data from being destroyed.
pub const PURGE_BLOCKED: &str = crds::reasons::PURGE_BLOCKED;
/// The reason where data is nobody's.
pub const DATA_ORPHANED: &str = crds::reasons::DATA_ORPHANED;

/// What is said of clocks that disagree.
pub const APART: &str = "The operator's clock and the API server's disagree, so no data is destroyed. An administrator must set \
                         the clocks of their nodes right; it goes on by itself then.";

pub(super) fn said(retained: &[Retained], orphaned: &[Orphaned], clocks_disagree: bool) -> Said {
    let any = |state| retained.iter().any(|one| one.state == state);
    let (reason, message) = if clocks_disagree {
        (CLOCK_DISAGREES, APART)
    } else if any(RetainedState::Blocked) {
        (
            PURGE_BLOCKED,
            "Something is in the way of data that is kept; status.retained says what, and who must act.",
        )
    } else if !orphaned.is_empty() {
        let message = "There is data of an instance that vanished without letting it go. It is never destroyed by itself: an \
                       administrator must decide about what status.orphaned lists.";
        (DATA_ORPHANED, message)
    } else if any(RetainedState::PurgeDue) || any(RetainedState::Purging) {
        (crds::reasons::PURGING, "Data whose time is over is being destroyed; status.retained says which.")
    } else if retained.is_empty() {
        return Said::no(conditions::DATA_RETAINED, crds::reasons::NOTHING_RETAINED, "");
    } else {
        let message = "Data outlives its instance. status.retained says until when; spec.restoreFrom of an instance takes it up.";
        (crds::reasons::RETAINED, message)
    };
    Said::yes(conditions::DATA_RETAINED, reason, message)
}
