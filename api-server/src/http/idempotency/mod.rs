//! Requests that are sent twice and done once. The result is stored in the transaction of the effect, under a lock that a second request
//! finds taken while the first is still under way.

mod store;

use super::{
    inherited::HEADER_TEXT,
    problem::{Code, Problem},
};
use crate::{clock, sessions::Principal, state::State};
use axum::{
    body::Body,
    extract::FromRequestParts,
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::Response,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use sqlx::{PgConnection, Postgres, Transaction};
use std::collections::BTreeMap;
use store::{Scope, Stored};
use utoipa::openapi::{Object, ObjectBuilder, Type};

/// The header with the key.
pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Tells that an answer is one given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The most characters of a key.
const LONGEST: usize = 128;
/// How long a key is remembered.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// The key of a request, where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(pub Option<String>);

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(KEY) else { return Ok(Self(None)) };
        let text = value.to_str().ok().filter(|text| (1..=LONGEST).contains(&text.len()));
        let text = text.ok_or_else(|| {
            let wanted = format!("must be 1 to {LONGEST} characters of ASCII");
            Problem::field(Code::Malformed, "Idempotency-Key", wanted)
        })?;
        Ok(Self(Some(text.to_owned())))
    }
}

impl Key {
    /// What the document says of it.
    pub fn schema() -> Object {
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.min_length(Some(1)).max_length(Some(LONGEST)).pattern(Some(HEADER_TEXT)).build()
    }

    /// The key, where there must be one.
    ///
    /// # Errors
    /// 400 where there is none.
    pub fn require(self) -> Result<Self, Problem> {
        if self.0.is_none() {
            return Err(Problem::field(
                Code::Malformed,
                "Idempotency-Key",
                "is missing: send a new random one with each new order, and the same one when you repeat it",
            ));
        }
        Ok(self)
    }
}

/// A request that is done for the first time, with the transaction to do it in.
#[derive(Debug)]
pub struct Once {
    tx: Transaction<'static, Postgres>,
    place: Option<(Scope, [u8; 32])>,
    now: Timestamp,
}

/// What a request with a key meets.
#[derive(Debug)]
pub enum Begun {
    /// It is the first.
    First(Box<Once>),
    /// It was done before: the answer of then.
    Before(Response),
}

/// Begins a request of somebody on a route. Without a key it is always the first.
///
/// # Errors
/// 409 while the first is under way; 422 where the key was used with another body.
pub async fn begin(
    state: &State,
    principal: &Principal,
    route: &str,
    key: Key,
    body: &[u8],
) -> Result<Begun, Problem> {
    let (mut tx, now) = (state.db.begin().await?, state.clock.now());
    let Key(Some(key)) = key else { return Ok(Begun::First(Box::new(Once { tx, place: None, now }))) };
    let fingerprint: [u8; 32] = Sha256::digest(body).into();
    let scope = Scope { user: principal.user_id, route: route.to_owned(), key };
    if !store::lock(&mut tx, &scope).await? {
        return Err(Problem::new(Code::KeyInFlight));
    }
    if let Some(before) = store::find(&mut tx, &scope, clock::before(now, KEPT)).await? {
        // The lock goes now, not when the connection is used again.
        tx.rollback().await?;
        if before.fingerprint != fingerprint.as_slice() {
            return Err(Problem::with(
                Code::KeyReused,
                "This idempotency key was used with another body. Send a new key with a new request.",
            ));
        }
        return Ok(Begun::Before(before.replay()?));
    }
    Ok(Begun::First(Box::new(Once { tx, place: Some((scope, fingerprint)), now })))
}

impl Once {
    /// Where the effect is written.
    pub fn db(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// Stores the answer beside the effect, and commits both.
    ///
    /// # Errors
    /// As the database's; then nothing has happened.
    pub async fn finish(
        mut self: Box<Self>,
        status: StatusCode,
        headers: &[(HeaderName, String)],
        body: &impl Serialize,
    ) -> Result<Response, Problem> {
        let body = serde_json::to_vec(body).map_err(|error| Problem::internal(&error))?;
        let headers: BTreeMap<&str, &str> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let status = i16::try_from(status.as_u16()).unwrap_or(500);
        let mut stored = Stored { fingerprint: Vec::new(), status, headers: json!(headers), body };
        if let Some((scope, fingerprint)) = self.place {
            stored.fingerprint = fingerprint.to_vec();
            store::insert(&mut self.tx, &scope, &stored, self.now).await?;
        }
        self.tx.commit().await?;
        stored.answer()
    }
}

impl Stored {
    fn answer(self) -> Result<Response, Problem> {
        let status = u16::try_from(self.status).unwrap_or(500);
        let mut answer = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
        for (name, value) in self.headers.as_object().into_iter().flatten() {
            answer = answer.header(name, value.as_str().unwrap_or_default());
        }
        answer.body(Body::from(self.body)).map_err(|error| Problem::internal(&error))
    }

    fn replay(self) -> Result<Response, Problem> {
        let mut answer = self.answer()?;
        answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        Ok(answer)
    }
}

/// Forgets keys whose time is over.
///
/// # Errors
/// As the database's.
pub async fn forget_old(db: &sqlx::PgPool, now: Timestamp) -> Result<u64, sqlx::Error> {
    store::forget(db, clock::before(now, KEPT)).await
}
