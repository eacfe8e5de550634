//! How long data is kept once its instance is gone, and what its destruction waits for.

use crds::span;
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The least that a wait before a destruction may last, where short waits are not allowed: time to notice and to stop it.
const SHORTEST_WAIT: u32 = 300;
/// The least time that data is kept after its release, where short waits are not allowed.
const SHORTEST_AGE: u32 = 3600;
/// How far apart the clocks may be at the least and at the most: the API server tells whole seconds, and more than ten
/// minutes is no agreement.
const TOLERANCES: std::ops::RangeInclusive<u32> = 5..=600;
/// What is kept for longer by a wait than this was mistyped.
const LONGEST_WAIT: u32 = 366 * 24 * 3600;

/// How long data is kept, and how long its destruction waits. No clock alone destroys data: besides all these waits the
/// operator's clock must agree with the API server's.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetentionBounds {
    /// The longest that an instance may ask for, such as `90d`.
    #[serde(default = "ninety_days")]
    pub longest: String,
    /// How long after the deletion of a tenant with `offboard: DeleteData` its data is destroyed, in seconds.
    #[serde(default = "an_hour")]
    pub offboard_wait_seconds: u32,
    /// Whether retained data is destroyed by itself once its time is over. Without, only an order of `purge: true` does it.
    #[serde(default = "yes")]
    pub purge: bool,
    /// How long data is kept beyond its time, in seconds.
    #[serde(default = "a_day")]
    pub purge_grace_seconds: u32,
    /// How long an order of `purge: true` waits from when the operator noted it on the data, in seconds.
    #[serde(default = "an_hour")]
    pub purge_wait_seconds: u32,
    /// How long data is kept after its release at the least, whatever is noted on it or ordered, in seconds.
    #[serde(default = "an_hour")]
    pub minimum_age_seconds: u32,
    /// How far apart the operator's clock and the API server's may be, in seconds; nothing is destroyed beyond.
    #[serde(default = "a_minute")]
    pub clock_tolerance_seconds: u32,
    /// Whether the waits may be shorter than minutes: for tests only, since nobody could stop a mistake.
    #[serde(default)]
    pub allow_short_waits: bool,
}

impl Default for RetentionBounds {
    fn default() -> Self {
        Self {
            longest: ninety_days(),
            offboard_wait_seconds: an_hour(),
            purge: true,
            purge_grace_seconds: a_day(),
            purge_wait_seconds: an_hour(),
            minimum_age_seconds: an_hour(),
            clock_tolerance_seconds: a_minute(),
            allow_short_waits: false,
        }
    }
}

impl RetentionBounds {
    /// The span that an instance's data is kept for: what it asks for, at most the longest.
    pub fn keep_for(&self, asked: &str) -> SignedDuration {
        let longest = span::parse_span(&self.longest).unwrap_or(SignedDuration::from_hours(24 * 90));
        span::parse_span(asked).unwrap_or(SignedDuration::from_hours(24 * 14)).min(longest)
    }

    /// How far apart the clocks may be.
    pub fn clock_tolerance(&self) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.clock_tolerance_seconds))
    }

    /// What is wrong with them, and what to write instead.
    pub(super) fn problem(&self) -> Option<String> {
        if let Err(problem) = span::parse_span(&self.longest) {
            return Some(format!("retention.longest: {problem}"));
        }
        if !TOLERANCES.contains(&self.clock_tolerance_seconds) {
            let (least, most) = (TOLERANCES.start(), TOLERANCES.end());
            return Some(format!("retention.clockToleranceSeconds must be from {least} to {most}"));
        }
        let waits = [
            ("offboardWaitSeconds", self.offboard_wait_seconds, SHORTEST_WAIT),
            ("purgeGraceSeconds", self.purge_grace_seconds, SHORTEST_WAIT),
            ("purgeWaitSeconds", self.purge_wait_seconds, SHORTEST_WAIT),
            ("minimumAgeSeconds", self.minimum_age_seconds, SHORTEST_AGE),
        ];
        waits.into_iter().find_map(|(key, seconds, least)| {
            let least = if self.allow_short_waits { 0 } else { least };
            (!(least..=LONGEST_WAIT).contains(&seconds)).then(|| {
                format!(
                    "retention.{key} must be from {least} to {LONGEST_WAIT}: what waits before data is destroyed is the time \
                     to stop a mistake"
                )
            })
        })
    }
}

fn yes() -> bool {
    true
}

fn ninety_days() -> String {
    "90d".to_owned()
}

fn a_minute() -> u32 {
    60
}

fn an_hour() -> u32 {
    3600
}

fn a_day() -> u32 {
    24 * 3600
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> Option<String> {
        serde_yaml::from_str::<RetentionBounds>(text).unwrap().problem()
    }

    #[test]
    fn what_is_left_out_is_safe() {
        let from_nothing: RetentionBounds = serde_yaml::from_str("{}").unwrap();
        assert_eq!(from_nothing.problem(), None);
        assert_eq!(format!("{from_nothing:?}"), format!("{:?}", RetentionBounds::default()));
    }

    #[test]
    fn waits_in_which_nobody_could_stop_a_mistake_are_refused() {
        for key in ["offboardWaitSeconds", "purgeGraceSeconds", "purgeWaitSeconds", "minimumAgeSeconds"] {
            let text = format!("{{{key}: 10}}");
            assert!(problem(&text).is_some_and(|said| said.contains(key)), "{text}");
            assert_eq!(problem(&format!("{{{key}: 10, allowShortWaits: true}}")), None);
            assert!(problem(&format!("{{{key}: 4000000000}}")).is_some());
        }
    }

    #[test]
    fn clocks_that_may_be_an_hour_apart_agree_about_nothing() {
        for seconds in [0, 4, 601, 3600] {
            let said = problem(&format!("{{clockToleranceSeconds: {seconds}, allowShortWaits: true}}"));
            assert!(said.is_some_and(|said| said.contains("clockToleranceSeconds")));
        }
    }
}
