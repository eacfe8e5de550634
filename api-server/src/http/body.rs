//! Reading bodies: JSON, of a bounded size, without a field that is not known, and with a word about where it is wrong.

use super::{
    json::{NUL, Strict},
    problem::{Code, Problem},
};
use axum::{
    body::Bytes,
    extract::{FromRequest, OptionalFromRequest, Request, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
};
use serde::de::DeserializeOwned;

/// A body of JSON.
#[derive(Clone, Debug)]
pub struct Body<T> {
    /// The value.
    pub value: T,
    /// As it came, for its fingerprint.
    pub bytes: Bytes,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(Code::MediaType));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|error| unread(&error))?;
        Ok(Self { value: parse(&bytes)?, bytes })
    }
}

/// A body that may be left out: none is sent where there is nothing in it, whatever kind it is said to be of.
impl<S: Send + Sync, T: DeserializeOwned> OptionalFromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Problem> {
        let is_json = is_json(request.headers());
        let bytes = Bytes::from_request(request, state).await.map_err(|error| unread(&error))?;
        match (bytes.is_empty(), is_json) {
            (true, _) => Ok(None),
            (false, true) => Ok(Some(Self { value: parse(&bytes)?, bytes })),
            (false, false) => Err(Problem::new(Code::MediaType)),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn unread(error: &BytesRejection) -> Problem {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::new(Code::TooLarge)
    } else {
        Problem::with(Code::Malformed, "The body broke off.")
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut reader, &mut track);
    let value = T::deserialize(Strict(tracked)).map_err(|cause| {
        let path = track.path().to_string();
        if path != "." && cause.to_string().starts_with(NUL) {
            return Problem::field(Code::Invalid, &path, NUL);
        }
        if cause.is_data() && path != "." {
            Problem::field(Code::Malformed, &path, without_place(&cause.to_string()))
        } else {
            Problem::with(
                Code::Malformed,
                format!("The body is not the JSON that is expected here: {cause}."),
            )
        }
    })?;
    reader.end().map_err(|_| Problem::with(Code::Malformed, "There is more after the body's JSON."))?;
    Ok(value)
}

/// The message alone: which line and column it is says the path better.
fn without_place(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(message, _)| message).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        #[expect(dead_code, reason = "only the reading matters")]
        name: String,
    }

    fn said(text: &str) -> String {
        parse::<Wanted>(text.as_bytes()).unwrap_err().body("r").detail
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        assert_eq!(said(r#"{"name": 7}"#), "name invalid type: integer `7`, expected a string");
        assert!(said(r#"{"name": "a", "role": "ADMINISTRATOR"}"#).contains("unknown field `role`"));
        assert!(said("{").contains("not the JSON"));
        assert_eq!(said(r#"{"name": "a\u0000"}"#), "name has a NUL character, which can't be kept");
        assert!(said(r#"["a"]"#).contains("expected an object"));
        assert!(said(r#"{"name": "a"} {}"#).contains("more after"));
        assert!(said("").contains("not the JSON"));
    }
}
