//! The installation's one secret, and the keys for single purposes that are derived from it.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf, hmac,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::fmt;

/// How many bytes it must have at least.
const LEAST: usize = 32;

/// What a key is for. No two purposes share one.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// Tokens in mailed links.
    OneTimeTokens,
    /// The refresh token that follows another.
    RefreshTokens,
    /// Sealing the private halves of signing keys.
    SigningKeys,
    /// What a request's body is known by when it comes again.
    Fingerprints,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::OneTimeTokens => b"nakhoda one-time tokens v1",
            Self::RefreshTokens => b"nakhoda refresh tokens v1",
            Self::SigningKeys => b"nakhoda signing keys v1",
            Self::Fingerprints => b"nakhoda fingerprints v1",
        }
    }
}

/// Why a secret can't be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SecretKeyError {
    /// Not base64.
    #[error("the secret key is not base64; make one with: openssl rand -base64 32")]
    NotBase64,
    /// Too short.
    #[error("the secret key has fewer than {LEAST} bytes; make one with: openssl rand -base64 32")]
    TooShort,
}

/// What was sealed can't be opened: damaged, or sealed with another secret.
#[derive(Debug, thiserror::Error)]
#[error("what was sealed can't be opened: was the secret key replaced?")]
pub struct Unsealable;

/// The installation's secret.
#[derive(Clone)]
pub struct SecretKey(hkdf::Prk);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl SecretKey {
    /// Reads it from base64.
    ///
    /// # Errors
    /// [`SecretKeyError`].
    pub fn parse(text: &str) -> Result<Self, SecretKeyError> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| SecretKeyError::NotBase64)?;
        if bytes.len() < LEAST {
            return Err(SecretKeyError::TooShort);
        }
        Ok(Self(hkdf::Salt::new(hkdf::HKDF_SHA256, b"nakhoda").extract(&bytes)))
    }

    fn derive(&self, purpose: Purpose) -> [u8; 32] {
        let mut key = [0; 32];
        let filled = self.0.expand(&[purpose.label()], Length(32)).and_then(|okm| okm.fill(&mut key));
        // HKDF gives up to 8,160 bytes; 32 are always there.
        debug_assert!(filled.is_ok(), "32 bytes can be derived");
        key
    }

    /// A code over `parts`, each with its length, that only the holder of the secret can make.
    pub fn code(&self, purpose: Purpose, parts: &[&[u8]]) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.derive(purpose));
        let mut context = hmac::Context::with_key(&key);
        for part in parts {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        }
        let mut code = [0; 32];
        code.copy_from_slice(context.sign().as_ref());
        code
    }

    /// Seals bytes; what they belong to must be said again to open them.
    pub fn seal(&self, purpose: Purpose, belongs_to: &[u8], bytes: &[u8]) -> Vec<u8> {
        let mut sealed = bytes.to_vec();
        let nonce = RandomizedNonceKey::new(&AES_256_GCM, &self.derive(purpose))
            .and_then(|key| key.seal_in_place_append_tag(Aad::from(belongs_to), &mut sealed));
        // Fails for lengths of gigabytes alone; the empty rest then opens nothing.
        nonce.map_or_else(|_| Vec::new(), |nonce| [nonce.as_ref().as_slice(), &sealed].concat())
    }

    /// Opens what was sealed.
    ///
    /// # Errors
    /// [`Unsealable`].
    pub fn open(&self, purpose: Purpose, belongs_to: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unsealable> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or(Unsealable)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unsealable)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &self.derive(purpose)).map_err(|_| Unsealable)?;
        let mut rest = rest.to_vec();
        let opened = key.open_in_place(nonce, Aad::from(belongs_to), &mut rest).map_err(|_| Unsealable)?;
        Ok(opened.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SecretKey {
        SecretKey::parse(&STANDARD.encode([byte; 32])).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_only_with_the_same_secret_for_what_it_belongs_to() {
        let sealed = key(1).seal(Purpose::SigningKeys, b"k1", b"private");
        assert_eq!(key(1).open(Purpose::SigningKeys, b"k1", &sealed).unwrap(), b"private");
        assert!(key(2).open(Purpose::SigningKeys, b"k1", &sealed).is_err());
        assert!(key(1).open(Purpose::SigningKeys, b"k2", &sealed).is_err());
        assert!(key(1).open(Purpose::OneTimeTokens, b"k1", &sealed).is_err());
        assert!(key(1).open(Purpose::SigningKeys, b"k1", b"short").is_err());
    }

    #[test]
    fn codes_differ_by_purpose_and_by_where_parts_end() {
        let code = |purpose, parts: &[&[u8]]| key(1).code(purpose, parts);
        assert_ne!(
            code(Purpose::OneTimeTokens, &[b"ab", b"c"]),
            code(Purpose::OneTimeTokens, &[b"a", b"bc"])
        );
        assert_ne!(code(Purpose::OneTimeTokens, &[b"a"]), code(Purpose::RefreshTokens, &[b"a"]));
    }

    #[test]
    fn a_secret_that_is_none_is_refused_with_the_way_to_make_one() {
        assert_eq!(SecretKey::parse("?").unwrap_err(), SecretKeyError::NotBase64);
        assert_eq!(SecretKey::parse("c2hvcnQ=").unwrap_err(), SecretKeyError::TooShort);
    }
}
