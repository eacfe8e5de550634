//! Amounts and other values as Midtrans writes them: the text is kept, for that is what is signed, and no float ever comes near.

use crate::money::Rupiah;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::value::RawValue;

/// Reads an amount: `^\d+(\.00)?$`, as rupiah have no cents.
pub fn parse(text: &str) -> Option<Rupiah> {
    let whole = text.strip_suffix(".00").unwrap_or(text);
    let is_digits = !whole.is_empty() && whole.bytes().all(|it| it.is_ascii_digit());
    is_digits.then(|| whole.parse().ok()).flatten().and_then(|amount| Rupiah::new(amount).ok())
}

/// A string's content, or a number's digits exactly as they were written: Midtrans documents strings, and a number must not pass through a
/// float on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written(pub String);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'"') => serde_json::from_str(text).map(Self).map_err(D::Error::custom),
            Some(b'-' | b'0'..=b'9') => Ok(Self(text.to_owned())),
            _ => Err(D::Error::custom("expected a string or a number")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_rupiah_are_read() {
        let read = |text| parse(text).map(Rupiah::get);
        assert_eq!((read("10000.00"), read("10000"), read("0.00")), (Some(10_000), Some(10_000), Some(0)));
        assert_eq!(read("1000000000000000.00"), Some(1_000_000_000_000_000));
    }

    #[test]
    fn nothing_else_is_an_amount() {
        let others = [
            "",
            ".00",
            "10000.0",
            "10000.000",
            "10000.01",
            "10000.50",
            "10,000.00",
            "10.000",
            "1e4",
            "+1",
            "-1",
            " 1",
            "1 ",
            "0x10",
            "１０",
            "10000.00.00",
            "1000000000000001",
            "99999999999999999999",
            "NaN",
            "null",
        ];
        for text in others {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_kept_as_it_is() {
        let read = |json| serde_json::from_str::<Written>(json).ok().map(|it| it.0);
        assert_eq!(read(r#""10000.00""#), Some("10000.00".into()));
        assert_eq!(read("10000.00"), Some("10000.00".into()));
        assert_eq!(read("28000.0"), Some("28000.0".into()));
        assert_eq!(read("123456789012345678901234567890"), Some("123456789012345678901234567890".into()));
        assert_eq!(read(r#""\u0031\n""#), Some("1\n".into()));
        for json in ["null", "true", "[]", "{}"] {
            assert_eq!(read(json), None, "{json}");
        }
    }

    proptest! {
        #[test]
        fn every_amount_is_read_back(amount in 0..=Rupiah::MOST.get()) {
            prop_assert_eq!(parse(&format!("{amount}.00")).map(Rupiah::get), Some(amount));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = parse(&text);
        }
    }
}
