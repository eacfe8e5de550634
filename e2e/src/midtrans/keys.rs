//! The server keys: the merchant may have two while one takes the other's place.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// The keys that are taken; the first one signs.
pub struct Keys(Mutex<Vec<String>>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl Keys {
    /// The first signs.
    pub fn new(first: String, second: Option<String>) -> Self {
        Self(Mutex::new(std::iter::once(first).chain(second).collect()))
    }

    /// From now on these.
    pub fn set(&self, first: String, second: Option<String>) {
        let keys = std::iter::once(first).chain(second).collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// The one that signs.
    pub fn signing(&self) -> String {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.first().cloned().unwrap_or_default()
    }

    /// Whether a request has one of them, as the name of Basic authentication with an empty password.
    pub fn admit(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given =
            given.and_then(|text| text.strip_prefix("Basic ")).and_then(|text| STANDARD.decode(text).ok());
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        given.is_some_and(|given| keys.iter().any(|key| given == format!("{key}:").as_bytes()))
    }
}
