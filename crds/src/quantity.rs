//! Kubernetes quantities, exactly: `250m`, `1.5Gi`, `1e3`. Limits and money hang on them, so nothing here goes
//! through a float.
//!
//! Source of the grammar and of the canonical form: the documentation of `k8s.io/apimachinery` `resource.Quantity`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{borrow::Cow, fmt, str::FromStr};

const NANO: i128 = 1_000_000_000;
/// The largest amount that Kubernetes accepts, in whole units: 2^63 - 1.
const MAX: i128 = i64::MAX as i128 * NANO;

/// An amount of CPU, memory or storage: never negative, exact to a billionth.
///
/// Compares and adds by amount (`1Gi == 1024Mi`); prints in the form that the API server stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity {
    nanos: i128,
}

/// Why a text is no quantity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuantityError {
    text: String,
}

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a quantity: write a number with an optional unit, such as 500m, 2 or 1.5Gi",
            self.text
        )
    }
}

impl std::error::Error for QuantityError {}

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self { nanos: 0 };

    /// A number of bytes (memory, storage) or of anything counted whole.
    pub const fn from_units(units: u64) -> Self {
        Self { nanos: units as i128 * NANO }
    }

    /// Thousandths, as CPU is counted.
    pub const fn from_millis(millis: u64) -> Self {
        Self { nanos: millis as i128 * (NANO / 1000) }
    }

    /// Whole units (bytes), rounded up, as the API server rounds.
    pub fn units(self) -> i64 {
        i64::try_from((self.nanos + NANO - 1) / NANO).unwrap_or(i64::MAX)
    }

    /// Thousandths (millicores), rounded up.
    pub fn millis(self) -> i64 {
        i64::try_from((self.nanos + NANO / 1000 - 1) / (NANO / 1000)).unwrap_or(i64::MAX)
    }

    /// The sum, or the largest amount where it would be larger.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { nanos: (self.nanos + other.nanos).min(MAX) }
    }

    /// The difference, or nothing where `other` is more.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self { nanos: (self.nanos - other.nanos).max(0) }
    }

    /// So many per cent of it, rounded down to a billionth.
    #[must_use]
    pub fn percent(self, percent: u32) -> Self {
        Self { nanos: (self.nanos * i128::from(percent) / 100).min(MAX) }
    }

    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// As CPU: canonical decimal form (`500m`, `2`), rounded up to a thousandth.
    pub fn to_cpu(self) -> String {
        decimal(i128::from(self.millis()) * (NANO / 1000))
    }

    /// As bytes: canonical binary form (`512Mi`, `1536Mi`, `1Gi`), rounded up to a byte.
    pub fn to_bytes(self) -> String {
        let mut value = i128::from(self.units());
        let mut suffixes = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].iter();
        let mut suffix = suffixes.next().unwrap_or(&"");
        while value != 0 && value % 1024 == 0 {
            let Some(next) = suffixes.next() else { break };
            value /= 1024;
            suffix = next;
        }
        format!("{value}{suffix}")
    }
}

/// The largest decimal suffix that leaves a whole number.
fn decimal(nanos: i128) -> String {
    let mut value = nanos;
    let mut suffixes = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"].iter();
    let mut suffix = suffixes.next().unwrap_or(&"");
    if value == 0 {
        return "0".to_owned();
    }
    while value % 1000 == 0 {
        let Some(next) = suffixes.next() else { break };
        value /= 1000;
        suffix = next;
    }
    format!("{value}{suffix}")
}

/// A multiplier as numerator over denominator.
fn multiplier(suffix: &str) -> Option<(i128, i128)> {
    const KI: i128 = 1024;
    let binary = |power: u32| Some((KI.pow(power), 1));
    let decimal = |power: u32| Some((1000_i128.pow(power), 1));
    match suffix {
        "" => Some((1, 1)),
        "n" => Some((1, 1_000_000_000)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1000)),
        "k" => decimal(1),
        "M" => decimal(2),
        "G" => decimal(3),
        "T" => decimal(4),
        "P" => decimal(5),
        "E" => decimal(6),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => exponent(suffix),
    }
}

fn exponent(suffix: &str) -> Option<(i128, i128)> {
    let digits = suffix.strip_prefix(['e', 'E'])?;
    let power: i32 = digits.parse().ok()?;
    match power.unsigned_abs().min(28) {
        size if power >= 0 => Some((10_i128.pow(size), 1)),
        size => Some((1, 10_i128.pow(size))),
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| QuantityError { text: text.chars().take(40).collect() })
    }
}

fn parse(text: &str) -> Option<Quantity> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}");
    // What the schema accepts is read: as the API server does, too much counts as the largest amount, too little as a nano.
    if digits.is_empty() || fraction.contains('.') {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    let (numerator, denominator) = multiplier(suffix)?;
    let fraction = u32::try_from(fraction.len()).ok()?;
    if significant.is_empty() {
        return Some(Quantity::ZERO);
    }
    // A fraction beyond a nano of a nano can't matter; more than 2^63 is the largest anyway.
    let (mantissa, scale) = match (significant.parse::<i128>(), 10_i128.checked_pow(fraction)) {
        (Ok(mantissa), Some(scale)) if significant.len() <= 28 => (mantissa, scale),
        (_, Some(_)) if fraction < 19 => return Some(Quantity { nanos: MAX }),
        _ => return None,
    };
    let nanos = mantissa
        .checked_mul(numerator)
        .and_then(|units| units.checked_mul(NANO))
        .zip(scale.checked_mul(denominator))
        .and_then(|(product, scale)| Some(product.checked_add(scale - 1)? / scale));
    Some(Quantity { nanos: nanos.map_or(MAX, |nanos| nanos.min(MAX)) })
}

impl fmt::Display for Quantity {
    /// The canonical form: binary where the amount is a whole number of KiB or more, else decimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole_kibibytes = self.nanos != 0 && self.nanos % (1024 * NANO) == 0;
        f.write_str(&if whole_kibibytes { self.to_bytes() } else { decimal(self.nanos) })
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum IntOrString {
            Int(u64),
            String(String),
        }
        match IntOrString::deserialize(deserializer)? {
            IntOrString::Int(units) => units.to_string().parse(),
            IntOrString::String(text) => text.parse(),
        }
        .map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "maxLength": 32,
            "x-kubernetes-validations": [{
                "rule": "string(self).matches('^[0-9.]') && isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('-1n'))",
                "message": "must be an amount that is not negative, such as 500m, 2, 512Mi or 1.5Gi",
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quantity(text: &str) -> Quantity {
        text.parse().unwrap()
    }

    #[test]
    fn the_same_amount_is_equal_however_it_is_written() {
        for (a, b) in [
            ("1Gi", "1024Mi"),
            ("1", "1000m"),
            ("1.5Gi", "1536Mi"),
            ("1e3", "1k"),
            ("2E", "2e18"),
            (".5", "500m"),
            ("1.", "1"),
        ] {
            assert_eq!(quantity(a), quantity(b), "{a} {b}");
        }
    }

    #[test]
    fn printing_is_canonical_as_the_api_server_stores_it() {
        for (text, cpu, bytes) in [
            ("1000m", "1", "1"),
            ("250m", "250m", "1"),
            ("1024Mi", "1073741824", "1Gi"),
            ("0", "0", "0"),
            ("1000Mi", "1048576k", "1000Mi"),
        ] {
            assert_eq!(
                (quantity(text).to_cpu().as_str(), quantity(text).to_bytes().as_str()),
                (cpu, bytes),
                "{text}"
            );
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", ".", "m", "1.2.3", "-1", "+1", "1 Gi", "1gi", "1KB", "0x10", "+1", "١", "1e"] {
            assert!(text.parse::<Quantity>().is_err(), "{text}");
        }
    }

    #[test]
    fn too_much_is_the_largest_and_too_little_a_nano() {
        for text in ["1e99", "9Ei", "99999999999999999999", "99999999999999999999999999999999"] {
            assert_eq!(quantity(text).units(), i64::MAX, "{text}");
        }
        assert_eq!(quantity("1e-99").to_string(), "1n");
    }

    #[test]
    fn the_largest_amount_is_read() {
        assert_eq!(quantity("9223372036854775807").units(), i64::MAX);
        assert_eq!(quantity("7Ei").to_bytes(), "7Ei");
    }

    proptest! {
        #[test]
        fn printing_and_reading_again_loses_nothing(nanos in 0..MAX) {
            let original = Quantity { nanos };
            prop_assert_eq!(original.to_string().parse::<Quantity>().unwrap(), original);
        }

        #[test]
        fn reading_never_panics(text in ".{0,40}") {
            let _ = text.parse::<Quantity>();
        }
    }
}
