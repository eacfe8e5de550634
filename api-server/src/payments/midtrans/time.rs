//! Times as Midtrans writes them: those of Jakarta (WIB, seven hours ahead of UTC, never changed), mostly without saying so.

use jiff::{
    SignedDuration, Timestamp,
    civil::DateTime,
    tz::{self, Offset, TimeZone},
};

/// Western Indonesian time.
const WIB: Offset = tz::offset(7);
/// How they write it.
const FORM: &str = "%Y-%m-%d %H:%M:%S";
/// How we write it, and how they may come to write it.
const FORM_WITH_OFFSET: &str = "%Y-%m-%d %H:%M:%S %z";

/// Reads a time: one that does not say where it is meant is Jakarta's.
pub fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(time) = DateTime::strptime(FORM, text) {
        return time.to_zoned(TimeZone::fixed(WIB)).ok().map(|it| it.timestamp());
    }
    Timestamp::strptime(FORM_WITH_OFFSET, text).ok()
}

/// Writes a time, with the offset.
pub fn write(time: Timestamp) -> String {
    time.to_zoned(TimeZone::fixed(WIB)).strftime(FORM_WITH_OFFSET).to_string()
}

/// The fewest minutes that Midtrans takes for a page.
const FEWEST_MINUTES: i64 = 5;
/// The most: seven days.
const MOST_MINUTES: i64 = 7 * 24 * 60;

/// Whole minutes, begun ones included, as many as Midtrans takes.
pub(super) fn minutes(lasts: SignedDuration) -> i64 {
    let begun = i64::from(lasts.as_secs() % 60 > 0 || lasts.subsec_nanos() > 0);
    lasts.as_mins().saturating_add(begun).clamp(FEWEST_MINUTES, MOST_MINUTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_an_offset_is_jakartas() {
        let time: Timestamp = "2026-11-21T03:04:05Z".parse().unwrap();
        assert_eq!(parse("2026-11-21 10:04:05"), Some(time));
        assert_eq!(parse("2026-11-21 10:04:05 +0700"), Some(time));
        assert_eq!(parse("2026-11-21 03:04:05 +0000"), Some(time));
        assert_eq!(write(time), "2026-11-21 10:04:05 +0700");
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in
            ["", "2026-11-21", "2026-13-01 00:00:00", "2026-02-30 00:00:00", "now", "99999-01-01 00:00:00"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_page_lasts_as_many_minutes_as_midtrans_takes() {
        let of = |seconds| minutes(SignedDuration::from_secs(seconds));
        assert_eq!((of(24 * 3600), of(901), of(900)), (1440, 16, 15));
        assert_eq!((of(-5), of(1), of(i64::MAX)), (5, 5, MOST_MINUTES));
    }
}
