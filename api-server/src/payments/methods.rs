//! How people can pay, and how much: configuration, for what a merchant's account offers is the merchant's affair.

use crate::{config, money::Rupiah};
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// What holds where no file is named.
const COMPILED_IN: &str = include_str!("../../../config/payment-methods.yaml");
/// How it is called in errors.
const COMPILED_IN_NAME: &str = "config/payment-methods.yaml";
/// The longest code and the longest name.
const LONGEST: usize = 60;

/// A name in the languages that people read here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// English.
    pub en: String,
    /// Indonesian.
    pub id: String,
}

/// A way to pay.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Method {
    /// What the API calls it: `BANK_TRANSFER`.
    pub code: String,
    /// How people read it.
    pub names: Names,
    /// What Midtrans' page offers under it: codes of `enabled_payments`.
    pub midtrans: Vec<String>,
    /// The least of one payment.
    pub minimum: Rupiah,
    /// The most of one payment.
    pub maximum: Rupiah,
    /// Whether it is offered.
    pub enabled: bool,
    /// Its place in lists, the lowest first.
    pub order: i32,
}

/// All ways to pay, in their order; each one's bounds lie within those of top-ups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Methods {
    minimum: Rupiah,
    maximum: Rupiah,
    all: Vec<Method>,
}

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    top_up_minimum: Rupiah,
    top_up_maximum: Rupiah,
    methods: Vec<Method>,
}

/// Why the methods of payment can't be used.
#[derive(Debug, thiserror::Error)]
pub enum MethodsError {
    /// The file can't be read.
    #[error("the methods of payment in {path} can't be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("{file}: {at}: {why}")]
    Wrong {
        /// The file.
        file: String,
        /// Where in it.
        at: String,
        /// What.
        why: String,
    },
}

/// Why an amount can't be paid so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MethodError {
    /// There is no such way to pay, or it isn't offered.
    #[error("is no method of payment that is offered")]
    Unknown,
    /// Too little.
    #[error("must be {least} at least")]
    TooLittle {
        /// The least.
        least: Rupiah,
    },
    /// Too much.
    #[error("must be {most} at most")]
    TooMuch {
        /// The most.
        most: Rupiah,
    },
}

impl Methods {
    /// Those of the file that the settings name, or what is compiled in.
    ///
    /// # Errors
    /// [`MethodsError`].
    pub fn load(settings: &config::PaymentMethods) -> Result<Self, MethodsError> {
        let Some(path) = &settings.payment_methods_file else { return Self::compiled_in() };
        let text = std::fs::read_to_string(path)
            .map_err(|source| MethodsError::Unreadable { path: path.clone(), source })?;
        Self::parse(path, &text)
    }

    /// What is compiled in.
    ///
    /// # Errors
    /// [`MethodsError`], which a test rules out.
    pub fn compiled_in() -> Result<Self, MethodsError> {
        Self::parse(Path::new(COMPILED_IN_NAME), COMPILED_IN)
    }

    fn parse(file: &Path, text: &str) -> Result<Self, MethodsError> {
        let wrong =
            |at: String, why: String| MethodsError::Wrong { file: file.display().to_string(), at, why };
        let reader = serde_yaml::Deserializer::from_str(text);
        let document: Document = serde_path_to_error::deserialize(reader).map_err(|error| {
            let (at, why) = (error.path().to_string(), error.inner().to_string());
            // The reader names the place too, mostly.
            let named = why.split_once(": ").filter(|(place, _)| at.starts_with(place));
            let why = named.map_or(why.as_str(), |(_, rest)| rest).to_owned();
            wrong(at, why)
        })?;
        document.check().map_err(|(at, why)| wrong(at, why.to_owned()))?;
        let Document { top_up_minimum: minimum, top_up_maximum: maximum, methods: mut all } = document;
        for method in &mut all {
            method.minimum = method.minimum.max(minimum);
            method.maximum = method.maximum.min(maximum);
        }
        all.sort_by(|one, other| (one.order, &one.code).cmp(&(other.order, &other.code)));
        Ok(Self { minimum, maximum, all })
    }

    /// The least of any top-up.
    pub const fn minimum(&self) -> Rupiah {
        self.minimum
    }

    /// The most of any top-up.
    pub const fn maximum(&self) -> Rupiah {
        self.maximum
    }

    /// What is offered, in its order.
    pub fn offered(&self) -> impl Iterator<Item = &Method> {
        self.all.iter().filter(|method| method.enabled)
    }

    /// What Midtrans' page is to offer for an amount: that of one method, or of all that allow the amount.
    ///
    /// # Errors
    /// [`MethodError`], with the bound that is broken.
    pub fn check(&self, method: Option<&str>, amount: Rupiah) -> Result<Vec<String>, MethodError> {
        if let Some(code) = method {
            let method = self.offered().find(|it| it.code == code).ok_or(MethodError::Unknown)?;
            within(amount, method.minimum, method.maximum)?;
            return Ok(method.midtrans.clone());
        }
        within(amount, self.minimum, self.maximum)?;
        let allows = |it: &&Method| (it.minimum..=it.maximum).contains(&amount);
        let codes: Vec<_> = self.offered().filter(allows).flat_map(|it| it.midtrans.clone()).collect();
        if codes.is_empty() { Err(self.next_to(amount)) } else { Ok(codes) }
    }

    /// The bound nearest to an amount that no method allows: the least that is more, else the most that is less.
    fn next_to(&self, amount: Rupiah) -> MethodError {
        let more = self.offered().map(|it| it.minimum).filter(|least| *least > amount).min();
        let less = self.offered().map(|it| it.maximum).filter(|most| *most < amount).max();
        match (more, less) {
            (Some(least), _) => MethodError::TooLittle { least },
            (None, Some(most)) => MethodError::TooMuch { most },
            (None, None) => MethodError::Unknown,
        }
    }
}

fn within(amount: Rupiah, least: Rupiah, most: Rupiah) -> Result<(), MethodError> {
    if amount < least {
        return Err(MethodError::TooLittle { least });
    }
    if amount > most { Err(MethodError::TooMuch { most }) } else { Ok(()) }
}

/// Where something is wrong, and what.
type Wrong = (String, &'static str);

impl Document {
    fn check(&self) -> Result<(), Wrong> {
        let Self { top_up_minimum: least, top_up_maximum: most, methods } = self;
        if !least.is_positive() || most < least {
            return Err((
                "topUpMinimum".to_owned(),
                "must be more than nothing, and no more than topUpMaximum",
            ));
        }
        if !methods.iter().any(|it| it.enabled) {
            return Err(("methods".to_owned(), "no method is enabled"));
        }
        let (mut codes, mut offers) = (BTreeSet::new(), BTreeSet::new());
        for (place, method) in methods.iter().enumerate() {
            let at = |field: &str| format!("methods[{place}].{field}");
            method.check(*least, *most).map_err(|(field, why)| (at(field), why))?;
            if !codes.insert(&method.code) {
                return Err((at("code"), "is another method's too"));
            }
            if !method.midtrans.iter().all(|it| offers.insert(it)) {
                return Err((at("midtrans"), "names something twice"));
            }
        }
        Ok(())
    }
}

impl Method {
    /// The field that is wrong, and what is wrong with it.
    fn check(&self, least: Rupiah, most: Rupiah) -> Result<(), (&'static str, &'static str)> {
        let Self { code, names, midtrans, minimum, maximum, enabled: _, order: _ } = self;
        let is_name = |text: &str| (1..=LONGEST).contains(&text.trim().chars().count());
        let is_of = |text: &str, letter: fn(u8) -> bool| {
            (1..=LONGEST).contains(&text.len())
                && text.bytes().all(|it| letter(it) || it.is_ascii_digit() || it == b'_')
        };
        if !is_of(code, |it| it.is_ascii_uppercase()) {
            return Err(("code", "must be of capitals, digits and _"));
        }
        if !is_name(&names.en) || !is_name(&names.id) {
            return Err(("names", "must have between 1 and 60 characters each"));
        }
        if midtrans.is_empty() || !midtrans.iter().all(|it| is_of(it, |it| it.is_ascii_lowercase())) {
            return Err(("midtrans", "must be codes of Midtrans' enabled_payments, such as bca_va"));
        }
        if !minimum.is_positive() || maximum < minimum {
            return Err(("minimum", "must be more than nothing, and no more than maximum"));
        }
        if minimum > &most || maximum < &least {
            return Err((
                "minimum",
                "allows no top-up: its bounds and those of top-ups have nothing in common",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rupiah(amount: i64) -> Rupiah {
        Rupiah::new(amount).unwrap()
    }

    fn read(text: &str) -> Result<Methods, String> {
        Methods::parse(Path::new("some.yaml"), text).map_err(|error| error.to_string())
    }

    /// What is compiled in, with one text in place of another.
    fn with(from: &str, to: &str) -> Result<Methods, String> {
        assert!(COMPILED_IN.contains(from), "{from}");
        read(&COMPILED_IN.replacen(from, to, 1))
    }

    #[test]
    fn what_is_compiled_in_holds() {
        let methods = Methods::compiled_in().unwrap();
        let codes: Vec<_> = methods.offered().map(|it| it.code.as_str()).collect();
        assert_eq!(codes, ["QRIS", "BANK_TRANSFER", "GOPAY", "SHOPEEPAY", "CARD", "CONVENIENCE_STORE"]);
        assert_eq!((methods.minimum(), methods.maximum()), (rupiah(10_000), rupiah(10_000_000)));
    }

    #[test]
    fn a_method_has_bounds() {
        let methods = Methods::compiled_in().unwrap();
        let check = |amount| methods.check(Some("CONVENIENCE_STORE"), rupiah(amount));
        assert_eq!(check(2_500_000), Ok(vec!["indomaret".to_owned(), "alfamart".to_owned()]));
        assert_eq!(check(9_999), Err(MethodError::TooLittle { least: rupiah(10_000) }));
        assert_eq!(check(2_500_001), Err(MethodError::TooMuch { most: rupiah(2_500_000) }));
        assert_eq!(check(-1), Err(MethodError::TooLittle { least: rupiah(10_000) }));
    }

    #[test]
    fn a_method_that_is_not_offered_is_unknown() {
        let methods = Methods::compiled_in().unwrap();
        for code in ["PAY_LATER", "qris", "", "CASH"] {
            assert_eq!(methods.check(Some(code), rupiah(20_000)), Err(MethodError::Unknown), "{code}");
        }
    }

    #[test]
    fn without_a_method_all_are_offered_that_allow_the_amount() {
        let methods = Methods::compiled_in().unwrap();
        let all = methods.check(None, rupiah(10_000)).unwrap();
        assert!(all.contains(&"alfamart".to_owned()) && !all.contains(&"akulaku".to_owned()), "{all:?}");
        let large = methods.check(None, rupiah(10_000_000)).unwrap();
        assert!(large.contains(&"bca_va".to_owned()) && !large.contains(&"alfamart".to_owned()), "{large:?}");
        let too_much = Err(MethodError::TooMuch { most: rupiah(10_000_000) });
        assert_eq!(methods.check(None, rupiah(10_000_001)), too_much);
    }

    #[test]
    fn an_amount_between_all_methods_is_told_the_next_bound() {
        let method = |code: &str, minimum: i64, maximum: i64| {
            let rest = "enabled: true, order: 1";
            let names = "names: {en: A, id: A}";
            let offer = code.to_lowercase();
            format!(
                "  - {{code: {code}, {names}, midtrans: [{offer}], minimum: {minimum}, maximum: {maximum}, {rest}}}\n"
            )
        };
        let (low, high) = (method("A", 1, 100), method("B", 200, 300));
        let methods = read(&format!("topUpMinimum: 10\ntopUpMaximum: 1000\nmethods:\n{low}{high}")).unwrap();
        let check = |amount| methods.check(None, rupiah(amount));
        assert_eq!(check(150), Err(MethodError::TooLittle { least: rupiah(200) }));
        assert_eq!(check(301), Err(MethodError::TooMuch { most: rupiah(300) }));
        let narrowed = Err(MethodError::TooLittle { least: rupiah(10) });
        assert_eq!(
            methods.check(Some("A"), rupiah(9)),
            narrowed,
            "the bounds of top-ups hold for each method"
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let wrongs = [
            ("code: QRIS", "code: qris", "some.yaml: methods[0].code: must be of capitals"),
            ("code: GOPAY", "code: QRIS", "some.yaml: methods[2].code: is another method's too"),
            ("[gopay]", "[]", "some.yaml: methods[2].midtrans: must be codes"),
            ("[gopay]", "[GoPay]", "some.yaml: methods[2].midtrans: must be codes"),
            ("[gopay]", "[bca_va]", "some.yaml: methods[2].midtrans: names something twice"),
            ("en: GoPay", "en: ' '", "some.yaml: methods[2].names: must have"),
            ("en: GoPay, ", "", "some.yaml: methods[2].names: missing field `en`"),
            ("minimum: 10000", "minimum: 10000.5", "some.yaml: methods[0].minimum: invalid type"),
            (
                "minimum: 10000",
                "minimum: 20000000",
                "some.yaml: methods[0].minimum: must be more than nothing",
            ),
            ("maximum: 2500000", "maximum: 9000", "some.yaml: methods[5].minimum: must be more than nothing"),
            ("topUpMinimum: 10000\n", "topUpMinimum: 0\n", "some.yaml: topUpMinimum: must be more"),
            (
                "topUpMinimum: 10000\n",
                "topUpMinimum: 3000000\n",
                "some.yaml: methods[5].minimum: allows no top-up",
            ),
            ("enabled: true", "enabled: sometimes", "some.yaml: methods[0].enabled: invalid type"),
            (
                "    order: 1\n",
                "    order: 1\n    colour: red\n",
                "some.yaml: methods[0].colour: unknown field",
            ),
        ];
        for (from, to, expected) in wrongs {
            let said = with(from, to).unwrap_err();
            assert!(said.starts_with(expected), "{from} -> {to}: {said}");
        }
        assert!(read("").unwrap_err().starts_with("some.yaml: "));
        assert!(
            read(&COMPILED_IN.replace("enabled: true", "enabled: false")).unwrap_err().contains("no method")
        );
    }

    #[test]
    fn a_file_takes_the_place_of_what_is_compiled_in() {
        let lost = config::PaymentMethods { payment_methods_file: Some("/nowhere/methods.yaml".into()) };
        assert!(Methods::load(&lost).unwrap_err().to_string().contains("/nowhere/methods.yaml"));
        assert_eq!(
            Methods::load(&config::PaymentMethods::default()).unwrap(),
            Methods::compiled_in().unwrap()
        );
    }
}
