//! Reading what stands behind the question mark, where it is no list's.

use super::{
    json::NUL,
    problem::{Code, Problem},
};
use axum::{extract::FromRequestParts, http::request::Parts};
use serde::de::DeserializeOwned;
use url::form_urlencoded;

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
