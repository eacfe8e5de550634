//! E-mail addresses in one canonical form, so that an address is one user however it is typed.

use std::fmt;
use unicode_normalization::UnicodeNormalization as _;

/// The longest address that mail can carry.
const LONGEST: usize = 254;
/// The longest part before the `@`.
const LONGEST_LOCAL: usize = 64;

/// An address: lower case, of compatibility form, its domain in ASCII.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Email(String);

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// Not of the form `name@domain`.
    #[error("is not an e-mail address")]
    Malformed,
    /// Too long for mail.
    #[error("is longer than {LONGEST} characters")]
    TooLong,
    /// A character before the `@` that many mail servers refuse.
    #[error(
        "has characters before the @ that mail can't be sent to reliably; use letters, digits and .!#$%&'*+/=?^_`{{|}}~-"
    )]
    Local,
    /// The domain is none.
    #[error("has no valid domain after the @")]
    Domain,
}

impl Email {
    /// Reads an address as people type it.
    ///
    /// # Errors
    /// [`EmailError`].
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        // As it came: the document knows of no trimming.
        if text.chars().count() > LONGEST {
            return Err(EmailError::TooLong);
        }
        let text: String = text.trim().nfkc().flat_map(char::to_lowercase).nfkc().collect();
        let (local, domain) = text.rsplit_once('@').ok_or(EmailError::Malformed)?;
        if local.is_empty() || local.len() > LONGEST_LOCAL {
            return Err(if local.is_empty() { EmailError::Malformed } else { EmailError::TooLong });
        }
        let is_atom = |c: char| c.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c);
        if !local.chars().all(is_atom)
            || local.starts_with('.')
            || local.ends_with('.')
            || local.contains("..")
        {
            return Err(EmailError::Local);
        }
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| EmailError::Domain)?;
        let is_last_label_a_number =
            domain.rsplit('.').next().is_none_or(|last| last.bytes().all(|b| b.is_ascii_digit()));
        if !domain.contains('.') || domain.ends_with('.') || is_last_label_a_number {
            return Err(EmailError::Domain);
        }
        let address = format!("{local}@{domain}");
        if address.len() > LONGEST { Err(EmailError::TooLong) } else { Ok(Self(address)) }
    }

    /// The canonical form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<String, EmailError> {
        Email::parse(text).map(|email| email.as_str().to_owned())
    }

    #[test]
    fn an_address_is_the_same_however_it_is_typed() {
        for typed in ["Ayu@Example.com", " ayu@example.COM ", "ａｙｕ@example.com", "ayu@ＥＸＡＭＰＬＥ.com"]
        {
            assert_eq!(read(typed).as_deref(), Ok("ayu@example.com"), "{typed}");
        }
        assert_eq!(read("ayu@bücher.example").as_deref(), Ok("ayu@xn--bcher-kva.example"));
        assert_eq!(read("ayu@bu\u{308}cher.example"), read("ayu@bücher.example"));
        assert_eq!(
            read("a+b@example.com").as_deref(),
            Ok("a+b@example.com"),
            "a tag is another mailbox for all we know"
        );
    }

    #[test]
    fn what_mail_cannot_reach_is_refused_with_the_reason() {
        assert_eq!(read("ayu"), Err(EmailError::Malformed));
        assert_eq!(read("@example.com"), Err(EmailError::Malformed));
        for local in [
            "a b@example.com",
            "\"a\"@example.com",
            "a\r\nBcc: x@example.com",
            ".a@example.com",
            "ä@example.com",
            "a@b@example.com",
        ] {
            assert_eq!(read(local), Err(EmailError::Local), "{local}");
        }
        for domain in [
            "a@example",
            "a@",
            "a@-x.com",
            "a@exa mple.com",
            "a@192.0.2.1",
            "a@example.com.",
            "a@x..com",
            "a@example.com\r\nX: y",
        ] {
            assert_eq!(read(domain), Err(EmailError::Domain), "{domain:?}");
        }
        assert_eq!(read(&format!("{}@example.com", "a".repeat(65))), Err(EmailError::TooLong));
        assert_eq!(read(&"a".repeat(100_000)), Err(EmailError::TooLong));
        assert_eq!(read(&format!("a@example.com{}", " ".repeat(250))), Err(EmailError::TooLong));
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_its_own(text in "\\PC{0,20}@[a-zA-Z]{1,8}\\.[a-z]{2,5}") {
            if let Ok(email) = Email::parse(&text) {
                prop_assert_eq!(Email::parse(email.as_str()), Ok(email.clone()));
                prop_assert!(email.as_str().is_ascii());
            }
        }
    }
}
