//! What is read of the apps' use of CPU and memory.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the use of CPU and memory is read.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Usage {
    /// Whether it is read at all.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// How often, in seconds: 10 to 3600. The metrics-server itself looks every 15 seconds.
    #[serde(default = "a_minute")]
    pub interval_seconds: u32,
    /// How long one answer may take, in seconds: 1 to 60, and no longer than the interval.
    #[serde(default = "ten")]
    pub timeout_seconds: u32,
    /// Whether there is a metric for each container of each instance. Mind Prometheus: six series for each.
    #[serde(default)]
    pub per_instance_metrics: bool,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            enabled: yes(),
            interval_seconds: a_minute(),
            timeout_seconds: ten(),
            per_instance_metrics: false,
        }
    }
}

impl Usage {
    /// What is wrong, and what to write instead.
    pub fn problem(&self) -> Option<String> {
        if !(10..=3600).contains(&self.interval_seconds) {
            return Some("usage.intervalSeconds must be from 10 to 3600".to_owned());
        }
        if !(1..=60).contains(&self.timeout_seconds) || self.timeout_seconds > self.interval_seconds {
            return Some(
                "usage.timeoutSeconds must be from 1 to 60 and no more than the interval".to_owned(),
            );
        }
        None
    }
}

fn yes() -> bool {
    true
}

fn a_minute() -> u32 {
    60
}

fn ten() -> u32 {
    10
}

#[cfg(test)]
mod tests {
    use super::Usage;

    #[test]
    fn an_answer_may_not_take_longer_than_the_interval() {
        let usage = Usage { interval_seconds: 10, timeout_seconds: 20, ..Usage::default() };
        assert!(usage.problem().is_some_and(|said| said.contains("timeoutSeconds")));
        assert_eq!(Usage::default().problem(), None);
    }
}
