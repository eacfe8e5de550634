//! What a node of the cluster is to those who run the platform: one word. Decided by the operator's `nodes`, shown by whoever
//! lists nodes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The state of a node, the gravest first that applies: [`NodeState::Pending`], [`NodeState::Inactive`],
/// [`NodeState::NotReady`], [`NodeState::Maintenance`], [`NodeState::Active`].
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NodeState {
    /// Ready, and takes new pods.
    Active,
    /// Ready, and cordoned: what runs there goes on, nothing new comes.
    Maintenance,
    /// It answers, and says itself that it is not ready.
    NotReady,
    /// Offline: nothing was heard of it for longer than its lease lasts.
    Inactive,
    /// It has joined and was never ready yet.
    Pending,
}

impl NodeState {
    /// Every state, for metrics that must name them all.
    pub const ALL: [Self; 5] =
        [Self::Active, Self::Maintenance, Self::NotReady, Self::Inactive, Self::Pending];

    /// Its name, as it is written everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Maintenance => "MAINTENANCE",
            Self::NotReady => "NOT_READY",
            Self::Inactive => "INACTIVE",
            Self::Pending => "PENDING",
        }
    }
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::NodeState;

    #[test]
    fn a_state_is_written_by_its_name() {
        for state in NodeState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
    }
}
