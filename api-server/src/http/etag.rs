//! Versions of what two people can edit: `ETag` in answers, `If-Match` in requests.

use super::{
    inherited::HEADER_TEXT,
    problem::{Code, Problem},
};
use axum::{
    extract::FromRequestParts,
    http::{HeaderName, header, request::Parts},
};
use utoipa::openapi::{Object, ObjectBuilder, Type};

/// The header of a version.
pub fn of(version: i64) -> [(HeaderName, String); 1] {
    [(header::ETAG, format!("\"{version}\""))]
}

/// What a request says it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// Nothing is said.
    Unsaid,
    /// Whatever is there.
    Any,
    /// One of these versions.
    OneOf(Vec<String>),
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else { return Ok(Self::Unsaid) };
        let text =
            value.to_str().map_err(|_| Problem::with(Code::Malformed, "If-Match can't be read."))?.trim();
        if text == "*" {
            return Ok(Self::Any);
        }
        Ok(Self::OneOf(text.split(',').map(|tag| tag.trim().to_owned()).collect()))
    }
}

impl IfMatch {
    /// What the document says of it.
    pub fn schema() -> Object {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(HEADER_TEXT))
            .examples(["\"3\"", "*"])
            .build()
    }

    /// Whether what is there may be changed; without a word it may.
    ///
    /// # Errors
    /// 412 where it is another version.
    pub fn check(&self, version: i64) -> Result<(), Problem> {
        let there = format!("\"{version}\"");
        match self {
            Self::OneOf(tags) if !tags.contains(&there) => Err(Problem::with(
                Code::PreconditionFailed,
                "It was changed in the meantime. Read it again, and change what is there now.",
            )),
            Self::Unsaid | Self::Any | Self::OneOf(_) => Ok(()),
        }
    }

    /// Whether what is there may be changed, where it must be said what.
    ///
    /// # Errors
    /// 428 where nothing is said; 412 where it is another version.
    pub fn require(&self, version: i64) -> Result<(), Problem> {
        if *self == Self::Unsaid {
            return Err(Problem::with(
                Code::PreconditionRequired,
                "Send the ETag of what you read as If-Match.",
            ));
        }
        self.check(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_version_that_was_read_is_changed() {
        let read = IfMatch::OneOf(vec!["\"3\"".to_owned()]);
        assert!(read.check(3).is_ok() && read.check(4).is_err());
        assert!(IfMatch::Any.require(9).is_ok());
        assert!(IfMatch::Unsaid.check(9).is_ok() && IfMatch::Unsaid.require(9).is_err());
    }
}
