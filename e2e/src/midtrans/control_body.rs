//! The bodies of the control doors.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::courier::Release;
use super::delivery::Delivery;
use super::faults::Rule;
use super::forge::Forgery;

/// How the clock is to go.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct ClockBody {
    /// So many seconds ahead.
    #[serde(default)]
    pub advance_seconds: Option<i64>,
    /// To this time, before.
    #[serde(default)]
    pub set: Option<Timestamp>,
}

/// What is to be forged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ForgeBody {
    /// The order.
    pub order_id: String,
    /// What is untrue.
    pub kind: Forgery,
}

/// What leaves in which order.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ReleaseBody {
    /// The order.
    pub order: Release,
}

/// Rules to add.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RulesBody {
    /// The rules.
    pub rules: Vec<Rule>,
}

/// The keys from now on.
#[derive(Clone, Serialize, Deserialize)]
pub struct KeysBody {
    /// Taken, and signs.
    pub server_key: String,
    /// Taken, too.
    #[serde(default)]
    pub second_key: Option<String>,
}

/// Where notifications go from now on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NotifyBody {
    /// The address; none: nowhere.
    pub url: Option<String>,
}

/// What was delivered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeliveriesBody {
    /// How many are under way or will be tried again.
    pub outstanding: usize,
    /// How many are held.
    pub held: usize,
    /// The tries.
    pub deliveries: Vec<Delivery>,
}
