//! A job that does nothing. It goes the way of all others, so that one sees whether that is open, and how long it is.

use super::{JobError, Kind, Payload, Run};
use crate::state::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Nothing to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// To tell one from another.
    pub number: i64,
}

impl Payload for Probe {
    const KIND: Kind = Kind::Probe;
}

/// Does it.
///
/// # Errors
/// Never.
pub async fn run(_: Arc<State>, _: Probe, _: Run) -> Result<(), JobError> {
    Ok(())
}
