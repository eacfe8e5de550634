//! Refresh tokens: 32 random bytes, of which the database knows the digest only.

use crate::{
    random,
    secret_key::{Purpose, SecretKey},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

/// How every refresh token begins, so that scanners find leaked ones.
const PREFIX: &str = "nkr_";

/// A refresh token.
#[derive(Clone, PartialEq, Eq)]
pub struct Refresh([u8; 32]);

impl std::fmt::Debug for Refresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Refresh(…)")
    }
}

impl Refresh {
    /// A new one.
    pub fn random() -> Self {
        Self(random::bytes())
    }

    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// As it is given out.
    pub fn text(&self) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }

    /// What the database knows of it.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    /// The one that follows it: always the same, so that whoever asks twice gets one successor.
    #[must_use]
    pub fn successor(&self, secret: &SecretKey) -> Self {
        Self(secret.code(Purpose::RefreshTokens, &[&self.0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written_and_followed_by_always_the_same() {
        let secret = SecretKey::parse(&base64::engine::general_purpose::STANDARD.encode([7; 32])).unwrap();
        let token = Refresh::random();
        assert_eq!(Refresh::parse(&token.text()), Some(token.clone()));
        assert_eq!(token.successor(&secret), token.successor(&secret));
        assert_ne!(token.successor(&secret), token);
        assert!(Refresh::parse("nkr_short").is_none() && Refresh::parse(&token.text()[1..]).is_none());
    }
}
