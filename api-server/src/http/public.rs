//! Answers that are the same for everybody: kept by caches for a moment, and not sent again to whoever has them.

use super::problem::{Problem, Result};
use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::convert::Infallible;

/// How long a cache may keep it without asking.
const KEPT: &str = "public, max-age=15";

/// What whoever asks has already.
#[derive(Clone, Debug, Default)]
pub struct IfNoneMatch(Vec<String>);

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let values = parts.headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|one| one.to_str().ok());
        let tags = values.flat_map(|value| value.split(','));
        Ok(Self(tags.map(|tag| tag.trim().trim_start_matches("W/").to_owned()).collect()))
    }
}

/// An answer with an `ETag` made of what is in it.
///
/// # Errors
/// Where it can't be written as JSON, which is a mistake of ours.
pub fn answer(known: &IfNoneMatch, value: &impl Serialize) -> Result<Response> {
    let body = serde_json::to_vec(value).map_err(|error| Problem::internal(&error))?;
    let digest = Sha256::digest(&body);
    let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest[..12]));
    let is_known = known.0.iter().any(|one| *one == tag || one == "*");
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static(KEPT))];
    let tagged = [(header::ETAG, tag)];
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, headers, tagged).into_response());
    }
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((headers, tagged, json, body).into_response())
}
