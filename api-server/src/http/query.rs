//! Reading what stands behind the question mark, where it is no list's.

use super::{
    json::NUL,
    problem::{Code, Problem},
};
use axum::{extract::FromRequestParts, http::request::Parts};
use serde::{Deserialize, de::DeserializeOwned};
use url::form_urlencoded;

/// The most characters of words that are looked for.
const LONGEST: usize = 200;

/// Words that are looked for, in lower case. A filter of this type says `max_length = 200` in the document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Words(Vec<String>);

impl TryFrom<String> for Words {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.chars().count() > LONGEST {
            return Err(format!("words that are looked for have {LONGEST} characters at most"));
        }
        Ok(Self(text.split_whitespace().map(str::to_lowercase).collect()))
    }
}

impl Words {
    /// Whether each of them is so.
    pub fn all(&self, is_so: impl Fn(&str) -> bool) -> bool {
        self.0.iter().all(|word| is_so(word))
    }
}

/// What stands behind the question mark. What is not known, or there twice, is refused.
#[derive(Clone, Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let with_nul =
            form_urlencoded::parse(query.as_bytes()).into_owned().find(|(_, value)| value.contains('\0'));
        if let Some((name, _)) = with_nul {
            return Err(Problem::field(Code::Malformed, &name, NUL));
        }
        serde_urlencoded::from_str(query).map(Self).map_err(|error| {
            Problem::with(Code::Malformed, format!("What is asked for can't be read: {error}."))
        })
    }
}
