//! Calendar months as customers live them: in Asia/Jakarta.

use crate::http::problem::{Code, Fields, Problem, Result};
use jiff::{Timestamp, civil::Date, tz};
use serde::{Serialize, Serializer};
use std::{fmt, ops::RangeInclusive};

/// The most months that are looked at together.
const MOST: i32 = 60;
/// How many where nothing is said.
const USUAL: i32 = 12;
/// Years that can be asked for.
const YEARS: RangeInclusive<i32> = 2000..=2999;
/// Western Indonesia Time: seven hours ahead, without any summer time. The queries name the zone, `Asia/Jakarta`.
const WIB: tz::Offset = tz::offset(7);

/// A month: those since the year 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(i32);

/// Months, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Months {
    /// The first.
    pub from: Month,
    /// The last.
    pub to: Month,
}

/// It is no month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no month; one is written 2026-01")]
pub struct NoMonth;

impl Month {
    /// Reads one: `2026-01`.
    ///
    /// # Errors
    /// [`NoMonth`].
    pub fn parse(text: &str) -> std::result::Result<Self, NoMonth> {
        let (year, month) = text.split_once('-').ok_or(NoMonth)?;
        let number = |text: &str, length: usize| {
            let is_number = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<i32>().ok().filter(|_| is_number).ok_or(NoMonth)
        };
        let (year, month) = (number(year, 4)?, number(month, 2)?);
        if !YEARS.contains(&year) || !(1..=12).contains(&month) {
            return Err(NoMonth);
        }
        Ok(Self(year * 12 + month - 1))
    }

    /// The one that a time lies in.
    pub fn of(time: Timestamp) -> Self {
        let date = WIB.to_datetime(time).date();
        Self(i32::from(date.year()) * 12 + i32::from(date.month()) - 1)
    }

    /// When it begins.
    pub fn begins(self) -> Timestamp {
        let (year, month) = (i16::try_from(self.0.div_euclid(12)), i8::try_from(self.0.rem_euclid(12) + 1));
        let first = Date::new(year.unwrap_or(i16::MAX), month.unwrap_or(1), 1).ok();
        first
            .and_then(|first| WIB.to_timestamp(first.to_datetime(jiff::civil::Time::midnight())).ok())
            .unwrap_or(Timestamp::MAX)
    }

    /// So many months later.
    #[must_use]
    pub fn plus(self, months: i32) -> Self {
        Self(self.0 + months)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }
}

impl Serialize for Month {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Months {
    /// What is asked for; where nothing is said, the last twelve.
    ///
    /// # Errors
    /// 422 where these are none, or too many.
    pub fn read(from: Option<&str>, to: Option<&str>, now: Timestamp) -> Result<Self> {
        let mut fields = Fields::new();
        let from_said = from.and_then(|text| fields.parse("from", Month::parse(text)));
        let to_said = to.and_then(|text| fields.parse("to", Month::parse(text)));
        fields.check()?;
        let to = to_said.unwrap_or_else(|| Month::of(now));
        let from = from_said.unwrap_or_else(|| to.plus(1 - USUAL));
        let count = to.0 - from.0 + 1;
        if count < 1 {
            let problem = format!("is after {to}, the last month");
            return Err(Problem::field(Code::Invalid, "from", problem));
        }
        Self { from, to }.at_most(MOST)
    }

    /// The same, where they are no more than so many.
    ///
    /// # Errors
    /// 422 where they are.
    pub fn at_most(self, most: i32) -> Result<Self> {
        let count = self.to.0 - self.from.0 + 1;
        if count > most {
            let problem = format!("is {count} months before the end; {most} are the most");
            return Err(Problem::field(Code::Invalid, "from", problem));
        }
        Ok(self)
    }

    /// Each of them.
    pub fn each(self) -> impl Iterator<Item = Month> {
        (self.from.0..=self.to.0).map(Month)
    }

    /// When the first begins, and when the last is over.
    pub fn bounds(self) -> (Timestamp, Timestamp) {
        (self.from.begins(), self.to.plus(1).begins())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_month_begins_at_midnight_in_jakarta() {
        let february = Month::parse("2026-02").unwrap();
        assert_eq!(february.begins(), time("2026-01-31T17:00:00Z"));
        assert_eq!(Month::of(time("2026-01-31T17:30:00Z")), february);
        assert_eq!(Month::of(time("2026-01-31T16:59:59Z")).to_string(), "2026-01");
        assert_eq!(february.plus(-2).to_string(), "2025-12");
    }

    #[test]
    fn what_is_no_month_is_refused() {
        for text in
            ["2026", "2026-13", "2026-00", "2026-1", "0026-01", "3000-01", "+026-01", "2026-01-01", ""]
        {
            assert_eq!(Month::parse(text), Err(NoMonth), "{text}");
        }
    }

    #[test]
    fn the_last_twelve_are_meant_where_nothing_is_said_and_sixty_are_the_most() {
        let now = time("2026-03-31T18:00:00Z");
        let read =
            |from, to| Months::read(from, to, now).map(|all| (all.from.to_string(), all.to.to_string()));
        assert_eq!(read(None, None).unwrap(), ("2025-05".to_owned(), "2026-04".to_owned()));
        assert_eq!(read(Some("2021-05"), None).unwrap().0, "2021-05");
        assert!(read(Some("2021-04"), None).is_err() && read(Some("2026-05"), None).is_err());
        assert_eq!(Months::read(Some("2026-01"), Some("2026-03"), now).unwrap().each().count(), 3);
    }
}
