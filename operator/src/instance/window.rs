//! Maintenance windows: when a change that is not the owner's own may restart an app.

use crds::instance::{MaintenanceWindow, Weekday};
use jiff::{
    SignedDuration, Timestamp, ToSpan as _,
    civil::{self, Date},
    tz::TimeZone,
};

/// A weekly time, understood.
#[derive(Clone, Debug)]
pub struct Window {
    days: Vec<Weekday>,
    start: civil::Time,
    length: SignedDuration,
    zone: TimeZone,
}

/// When a window is or will be open: from when, until when.
pub type Opening = (Timestamp, Timestamp);

impl Window {
    /// Understands what was written.
    ///
    /// # Errors
    /// A sentence about what is wrong, such as a time zone that nobody knows.
    pub fn parse(written: &MaintenanceWindow) -> Result<Self, String> {
        let MaintenanceWindow { days, start, duration_minutes, time_zone } = written;
        let zone = TimeZone::get(time_zone)
            .map_err(|_| format!("{time_zone} is no time zone; write one such as Asia/Jakarta"))?;
        let time = civil::Time::strptime("%H:%M", start)
            .map_err(|_| format!("{start} is no time of day; write one such as 02:00"))?;
        if !(30..=1440).contains(duration_minutes) {
            return Err("a window lasts from 30 to 1440 minutes".to_owned());
        }
        let length = SignedDuration::from_mins(i64::from(*duration_minutes));
        Ok(Self { days: days.clone(), start: time, length, zone })
    }

    /// The opening that lasts at `now`, or else the next one, for one instance: each begins at its own moment of the first half,
    /// which follows from its uid, so that not all restart at once. None where no time can be found for it.
    pub fn opening(&self, uid: &str, now: Timestamp) -> Option<Opening> {
        let today = now.to_zoned(self.zone.clone()).date();
        let delay = self.length.checked_mul(i32::from(share(uid)))? / (2 * 256);
        (-2..=8)
            .filter_map(|days: i64| today.checked_add(days.days()).ok())
            .filter(|day| self.is_on(*day))
            .filter_map(|day| {
                let begin = day.to_datetime(self.start).to_zoned(self.zone.clone()).ok()?.timestamp();
                Some((begin.checked_add(delay).ok()?, begin.checked_add(self.length).ok()?))
            })
            .find(|(_, end)| *end > now)
    }

    fn is_on(&self, day: Date) -> bool {
        let of = |one: &Weekday| match one {
            Weekday::Monday => civil::Weekday::Monday,
            Weekday::Tuesday => civil::Weekday::Tuesday,
            Weekday::Wednesday => civil::Weekday::Wednesday,
            Weekday::Thursday => civil::Weekday::Thursday,
            Weekday::Friday => civil::Weekday::Friday,
            Weekday::Saturday => civil::Weekday::Saturday,
            Weekday::Sunday => civil::Weekday::Sunday,
        };
        self.days.is_empty() || self.days.iter().any(|one| of(one) == day.weekday())
    }
}

/// A number from 0 to 255 that follows from a uid.
fn share(uid: &str) -> u8 {
    let digits: String = uid.chars().filter(char::is_ascii_hexdigit).collect();
    let last = digits.len().saturating_sub(2);
    u8::from_str_radix(digits.get(last..).unwrap_or_default(), 16).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: &[Weekday], start: &str, minutes: i32, zone: &str) -> Window {
        let written = MaintenanceWindow {
            days: days.to_vec(),
            start: start.into(),
            duration_minutes: minutes,
            time_zone: zone.into(),
        };
        Window::parse(&written).unwrap()
    }

    fn opening(window: &Window, now: &str) -> (String, String) {
        let (from, to) = window.opening("00", now.parse().unwrap()).unwrap();
        (from.to_string(), to.to_string())
    }

    #[test]
    fn it_opens_by_the_clocks_of_its_zone() {
        // Sunday, 2 o'clock in Jakarta is Saturday, 19 o'clock UTC.
        let window = window(&[Weekday::Sunday], "02:00", 120, "Asia/Jakarta");
        let next = ("2026-11-21T19:00:00Z".to_owned(), "2026-11-21T21:00:00Z".to_owned());
        for now in ["2026-11-15T00:00:00Z", "2026-11-21T18:59:59Z", "2026-11-21T20:59:59Z"] {
            assert_eq!(opening(&window, now), next, "{now}");
        }
        assert_eq!(opening(&window, "2026-11-21T21:00:00Z").0, "2026-11-28T19:00:00Z");
    }

    #[test]
    fn one_that_reaches_over_midnight_is_still_open_after_it() {
        let window = window(&[Weekday::Saturday], "23:00", 180, "UTC");
        assert_eq!(opening(&window, "2026-11-22T01:30:00Z").0, "2026-11-21T23:00:00Z");
    }

    #[test]
    fn an_hour_that_a_day_does_not_have_is_moved_and_not_left_out() {
        // Clocks go from 2 to 3 in Berlin on 29 March 2026.
        let window = window(&[], "02:30", 60, "Europe/Berlin");
        assert_eq!(opening(&window, "2026-03-29T00:00:00Z").0, "2026-03-29T01:30:00Z");
    }

    #[test]
    fn each_instance_has_its_own_moment_in_the_first_half() {
        let window = window(&[], "02:00", 120, "UTC");
        let now = "2026-11-21T00:00:00Z".parse().unwrap();
        let at = |uid: &str| window.opening(uid, now).unwrap().0.to_string();
        assert_eq!(at("00"), "2026-11-21T02:00:00Z");
        assert_eq!(at("80"), "2026-11-21T02:30:00Z");
        assert!(at("ff").as_str() < "2026-11-21T03:00:00Z" && at("6b9c2a54-0a11") > at("00"));
    }

    #[test]
    fn what_can_not_be_understood_is_named() {
        let mut written = MaintenanceWindow {
            days: vec![],
            start: "25:00".into(),
            duration_minutes: 60,
            time_zone: "UTC".into(),
        };
        assert!(Window::parse(&written).unwrap_err().contains("25:00"));
        written.start = "02:00".into();
        written.time_zone = "Mars/Olympus".into();
        assert!(Window::parse(&written).unwrap_err().contains("Mars/Olympus"));
    }
}
