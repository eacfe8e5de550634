//! Periods: calendar months and years as customers live them, in Asia/Jakarta, which begin at the same day of each month.

use crds::plan::Period;
use jiff::{Timestamp, civil::Date, tz};

/// Western Indonesia Time: seven hours ahead, without any summer time.
const WIB: tz::Offset = tz::offset(7);

/// The day that a time lies in, as `2026-12-22`.
pub fn day(time: Timestamp) -> String {
    WIB.to_datetime(time).date().to_string()
}

/// The day of the month that periods begin at which begin now.
pub fn anchor(start: Timestamp) -> i8 {
    WIB.to_datetime(start).day()
}

/// When a period ends that begins at `start`: a month or a year later at the same time of day, at the anchor's day or at the last of a
/// month that is shorter. 31 January is followed by 28 February, and that by 31 March.
pub fn end(start: Timestamp, anchor: i8, period: Period) -> Timestamp {
    let begin = WIB.to_datetime(start);
    let months = match period {
        Period::Monthly => 1,
        Period::Yearly => 12,
    };
    let month = i32::from(begin.month()) - 1 + months;
    let year = i32::from(begin.year()) + month.div_euclid(12);
    let parts = (i16::try_from(year), i8::try_from(month.rem_euclid(12) + 1));
    let first = parts.0.ok().zip(parts.1.ok()).and_then(|(year, month)| Date::new(year, month, 1).ok());
    let day = first.and_then(|first| {
        Date::new(first.year(), first.month(), anchor.clamp(1, first.days_in_month())).ok()
    });
    day.and_then(|day| WIB.to_timestamp(day.to_datetime(begin.time())).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_short_month_does_not_move_the_day() {
        let mut time = at("2026-01-31T20:00:00+07:00");
        let day = anchor(time);
        for end_of in ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"] {
            time = end(time, day, Period::Monthly);
            assert_eq!(time, at(&format!("{end_of}T20:00:00+07:00")));
        }
    }

    #[test]
    fn the_day_is_that_of_jakarta() {
        // There it is the first of March already.
        let time = at("2026-02-28T18:30:00Z");
        assert_eq!(anchor(time), 1);
        assert_eq!(end(time, 1, Period::Monthly), at("2026-03-31T18:30:00Z"));
    }

    #[test]
    fn a_year_from_a_leap_day_ends_on_the_last_of_february() {
        let time = at("2028-02-29T10:00:00+07:00");
        let next = end(time, anchor(time), Period::Yearly);
        assert_eq!(next, at("2029-02-28T10:00:00+07:00"));
        assert_eq!(end(at("2031-02-28T10:00:00+07:00"), 29, Period::Yearly), at("2032-02-29T10:00:00+07:00"));
    }

    proptest! {
        #[test]
        fn periods_go_on_and_have_the_length_of_a_month(second in 1_500_000_000_i64..4_000_000_000, count in 1usize..40) {
            let mut time = Timestamp::from_second(second).unwrap();
            let day = anchor(time);
            for _ in 0..count {
                let next = end(time, day, Period::Monthly);
                let days = (next.as_second() - time.as_second()) / 86_400;
                prop_assert!((28..=31).contains(&days), "{time} {next}");
                time = next;
            }
        }
    }
}
