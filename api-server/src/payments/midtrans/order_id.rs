//! The name that Midtrans knows a payment by, and that we give.

use std::fmt;
use uuid::Uuid;

/// What tells our orders from those of others who share the account.
const PREFIX: &str = "tu-";

/// The order of one attempt to pay: `tu-` and 32 hexadecimal digits. Midtrans takes letters, digits and `-_~.`, and at most 50 of them in
/// Snap (36 in payment links); so nothing in it needs escaping in a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(Uuid);

/// A text that is none of our orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not an order of this installation's form, {PREFIX} and 32 hexadecimal digits")]
pub struct NotOurs;

impl OrderId {
    /// That of an attempt, by the attempt's id, a UUID of version 7. No two attempts share one, for Midtrans takes each but once.
    pub const fn of(attempt: Uuid) -> Self {
        Self(attempt)
    }

    /// Reads one exactly as it is written: lower case, nothing around it.
    ///
    /// # Errors
    /// [`NotOurs`].
    pub fn parse(text: &str) -> Result<Self, NotOurs> {
        let digits = text.strip_prefix(PREFIX).ok_or(NotOurs)?;
        let is_plain = digits.len() == 32 && digits.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        let attempt = is_plain.then(|| Uuid::try_parse(digits).ok()).flatten().ok_or(NotOurs)?;
        Ok(Self(attempt))
    }

    /// The attempt's id.
    pub const fn attempt(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0.simple())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "tu-0198c6f00000700080000000000000ab";

    #[test]
    fn an_order_is_read_as_it_is_written() {
        let order = OrderId::parse(TEXT).unwrap();
        assert_eq!((order.to_string(), order), (TEXT.to_owned(), OrderId::of(order.attempt())));
        assert!(TEXT.len() <= 36, "payment links take no more");
    }

    #[test]
    fn what_is_not_ours_is_told() {
        let upper = TEXT.to_uppercase();
        let hyphens = "tu-0198c6f0-0000-7000-8000-0000000000ab";
        let braces = "tu-{198c6f00000700080000000000000a}";
        let (longer, blank) = (format!("{TEXT}0"), format!("{TEXT} "));
        for text in
            ["", "tu-", &TEXT[..34], &upper, &longer, &blank, hyphens, braces, "payment_notif_test_M1_x"]
        {
            assert_eq!(OrderId::parse(text), Err(NotOurs), "{text}");
        }
    }
}
