//! Times as the gateway writes them: West Indonesia Time, without saying so.

use jiff::civil::DateTime;
use jiff::tz::{self, TimeZone};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

const OFFSET: tz::Offset = tz::offset(7);

/// `2026-11-21 22:30:00`, without an offset.
pub fn text(at: Timestamp) -> String {
    TimeZone::fixed(OFFSET).to_datetime(at).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Reads a time without an offset.
pub fn parse(text: &str) -> Option<Timestamp> {
    let at = DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?;
    OFFSET.to_timestamp(at).ok()
}

/// Reads a `start_time`: `2026-11-21 22:30:00 +0700`.
pub fn parse_start(text: &str) -> Option<Timestamp> {
    Timestamp::strptime("%Y-%m-%d %H:%M:%S %z", text).ok()
}

/// The unit of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "they are units of time")]
pub enum Unit {
    #[serde(alias = "minutes")]
    Minute,
    #[serde(alias = "hours")]
    Hour,
    #[serde(alias = "days")]
    Day,
}

impl Unit {
    /// So many of it; none where that is more than a thousand years.
    pub fn times(self, count: i64) -> Option<SignedDuration> {
        let minutes = match self {
            Self::Minute => count,
            Self::Hour => count.checked_mul(60)?,
            Self::Day => count.checked_mul(24 * 60)?,
        };
        (0..=525_960_000).contains(&minutes).then(|| SignedDuration::from_mins(minutes))
    }
}

#[cfg(test)]
mod tests {
    use super::{Unit, parse, parse_start, text};

    #[test]
    fn a_time_is_written_seven_hours_ahead_and_without_an_offset() {
        let at = "2026-11-21T17:30:00Z".parse().unwrap();
        assert_eq!(text(at), "2026-11-22 00:30:00");
        assert_eq!(parse("2026-11-22 00:30:00"), Some(at));
        assert_eq!(parse_start("2026-11-22 00:30:00 +0700"), Some(at));
        assert_eq!(parse_start("2026-11-22 00:30:00"), None);
    }

    #[test]
    fn a_span_beyond_all_measure_is_none() {
        assert!(Unit::Day.times(i64::MAX).is_none() && Unit::Hour.times(-1).is_none());
    }
}
