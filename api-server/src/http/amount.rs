//! Amounts of money in bodies: digits alone. Elsewhere `5.0` is the whole number 5; whoever writes money so reckons with fractions.

use super::problem::{Code, Fields, Problem};
use crate::money::Rupiah;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use std::fmt;

/// A number as it came. What is no whole number is kept as none, so that it is told with its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount(Option<i64>);

impl Amount {
    /// The amount; where it is no whole number within the bounds, that is noted.
    pub fn within(self, fields: &mut Fields, field: &str, least: i64, most: i64) -> Option<Rupiah> {
        let found = self.0.filter(|amount| (least..=most).contains(amount));
        let amount = found.and_then(|amount| Rupiah::new(amount).ok());
        let wanted = || format!("must be a whole number from {least} to {most}, in digits alone");
        fields.take(amount.ok_or_else(|| Problem::field(Code::Invalid, field, wanted()))).ok().flatten()
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Read)
    }
}

struct Read;

impl Visitor<'_> for Read {
    type Value = Amount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number of rupiah")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Amount, E> {
        Ok(Amount(Some(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Amount, E> {
        Ok(Amount(i64::try_from(value).ok()))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Amount, E> {
        Ok(Amount(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::json::Strict;

    fn read(text: &str) -> Result<i64, String> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let (amount, mut fields) = (Amount::deserialize(Strict(&mut reader)), Fields::new());
        let amount = amount.map_err(|_| "another type".to_owned())?.within(&mut fields, "amount", 1, 1000);
        amount.map(Rupiah::get).ok_or_else(|| fields.problem().body("").detail)
    }

    #[test]
    fn only_digits_are_an_amount() {
        assert_eq!((read("1"), read("1000")), (Ok(1), Ok(1000)));
        for text in
            ["0", "-1", "1001", "1.0", "0.5", "1e2", "1E2", "9223372036854775807", "18446744073709551616"]
        {
            let wanted = "amount must be a whole number from 1 to 1000, in digits alone";
            assert_eq!(read(text).unwrap_err(), wanted, "{text}");
        }
        for text in ["\"1\"", "null", "true", "[1]", "{}", ""] {
            assert_eq!(read(text).unwrap_err(), "another type", "{text}");
        }
    }
}
