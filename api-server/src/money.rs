//! Rupiah: whole ones, and nothing that can be mistaken for them.

use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// An amount of Indonesian rupiah, whole, of either sign, and never beyond [`Rupiah::MOST`]: sums are checked, and nothing else can be
/// added to it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(try_from = "i64", into = "i64")]
#[schema(value_type = i64, example = 50_000)]
pub struct Rupiah(i64);

/// An amount of more than a thousand billion rupiah, which nobody means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is beyond the largest amount that is kept, Rp {}", group(Rupiah::MOST.0))]
pub struct TooMuch;

impl Rupiah {
    /// None.
    pub const ZERO: Self = Self(0);
    /// The largest amount, which every JSON reader can hold: 10^15.
    pub const MOST: Self = Self(1_000_000_000_000_000);

    /// So many.
    ///
    /// # Errors
    /// Beyond [`Rupiah::MOST`] in either direction.
    pub const fn new(amount: i64) -> Result<Self, TooMuch> {
        if amount > Self::MOST.0 || amount < -Self::MOST.0 { Err(TooMuch) } else { Ok(Self(amount)) }
    }

    /// As a number, for what is stored and sent.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The sum.
    ///
    /// # Errors
    /// Beyond [`Rupiah::MOST`].
    pub fn plus(self, other: Self) -> Result<Self, TooMuch> {
        Self::new(self.0 + other.0)
    }

    /// The difference.
    ///
    /// # Errors
    /// Beyond [`Rupiah::MOST`].
    pub fn minus(self, other: Self) -> Result<Self, TooMuch> {
        Self::new(self.0 - other.0)
    }

    /// Whether it is more than nothing.
    pub fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// Whether it is less than nothing.
    pub fn is_negative(self) -> bool {
        self.0 < 0
    }
}

impl TryFrom<i64> for Rupiah {
    type Error = TooMuch;

    fn try_from(amount: i64) -> Result<Self, TooMuch> {
        Self::new(amount)
    }
}

impl From<Rupiah> for i64 {
    fn from(amount: Rupiah) -> Self {
        amount.0
    }
}

/// As people write it in Indonesia: `Rp 1.250.000`.
impl fmt::Display for Rupiah {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}Rp {}", group(self.0))
    }
}

/// The digits in groups of three, without a sign.
fn group(amount: i64) -> String {
    let digits = amount.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('.');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_people_write_it() {
        let text = |amount| Rupiah::new(amount).unwrap().to_string();
        assert_eq!((text(0), text(999), text(1000)), ("Rp 0".into(), "Rp 999".into(), "Rp 1.000".into()));
        assert_eq!((text(1_250_000), text(-50_000)), ("Rp 1.250.000".into(), "-Rp 50.000".into()));
    }

    #[test]
    fn nothing_overflows_in_silence() {
        let one = Rupiah::new(1).unwrap();
        assert_eq!(Rupiah::MOST.plus(one), Err(TooMuch));
        assert_eq!(Rupiah::new(-Rupiah::MOST.get()).unwrap().minus(one), Err(TooMuch));
        assert_eq!(Rupiah::new(i64::MIN), Err(TooMuch));
        assert!(serde_json::from_str::<Rupiah>("9223372036854775807").is_err());
    }

    #[test]
    fn only_whole_numbers_are_read() {
        for text in ["1.0", "1e3", "\"1\"", "null", "0.5", "true", "[1]"] {
            assert!(serde_json::from_str::<Rupiah>(text).is_err(), "{text}");
        }
        assert_eq!(serde_json::from_str::<Rupiah>("1000").unwrap(), Rupiah::new(1000).unwrap());
    }
}
