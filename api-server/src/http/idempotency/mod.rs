//! Requests that are sent twice and done once. The result is stored in the transaction of the effect, under a lock that a second request
//! finds taken while the first is still under way.

mod decided;
mod store;

pub use decided::{Decided, Due, decide};

use super::{
    inherited::HEADER_TEXT,
    problem::{Code, Problem},
};
use crate::{clock, random, secret_key::Purpose, sessions::Principal, state::State};
use axum::{
    body::Body,
    extract::FromRequestParts,
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::Response,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::json;
use sqlx::{PgConnection, Postgres, Transaction};
use std::collections::BTreeMap;
use store::{Scope, Stored};
use utoipa::openapi::{Object, ObjectBuilder, Type};
use uuid::Uuid;

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

/// What the document says of the header, where the handler says nothing of its own.
pub const SAYS: &str = "The same key and body answer with the first result again, for a day; the same key with another body is refused.";

/// Where a request has its answer kept, and what its body is known by.
type Place = (Scope, [u8; 32]);

/// A request that is done for the first time, with the transaction to do it in.
#[derive(Debug)]
pub struct Once {
    tx: Transaction<'static, Postgres>,
    place: Option<Place>,
    now: Timestamp,
}

/// What a request with a key meets.
#[derive(Debug)]
pub enum Begun<T = Box<Once>> {
    /// It is the first.
    First(T),
    /// It was done before: the answer of then.
    Before(Response),
}

/// What a request meets whose effect has a part outside, such as a payment: what it makes is committed first.
#[derive(Debug)]
pub enum Resumed {
    /// It is the first.
    First(Box<Once>),
    /// It was begun before: what was made then.
    Before(Uuid),
}

/// A request whose whole effect is outside, such as a resource of the cluster. That it is meant is kept before anybody is asked for
/// anything, and no transaction is open meanwhile. Where the first ended in the middle, a repeat goes on with it: whoever does the work
/// must know by [`Self::is_repeat`] that it may be done already.
#[derive(Debug)]
pub struct Intent {
    place: Option<Place>,
    id: Uuid,
    is_repeat: bool,
}

/// Begins a request whose whole effect is outside.
///
/// # Errors
/// As [`begin`].
pub async fn begin_outside(
    state: &State,
    principal: &Principal,
    route: &str,
    key: Key,
    body: &[u8],
) -> Result<Begun<Intent>, Problem> {
    let id = random::id(state.clock.now());
    let Some(place) = place(state, principal, route, key, body) else {
        return Ok(Begun::First(Intent { place: None, id, is_repeat: false }));
    };
    match look(state, Some(place.clone())).await? {
        Met::First(once) => {
            once.commit_resumable(id).await?;
            Ok(Begun::First(Intent { place: Some(place), id, is_repeat: false }))
        }
        Met::Before(before) => match before.resumes {
            Some(id) => Ok(Begun::First(Intent { place: Some(place), id, is_repeat: true })),
            None => before.replay().map(Begun::Before),
        },
    }
}

impl Intent {
    /// Whether the first has begun it, and nobody knows how far that came.
    pub fn is_repeat(&self) -> bool {
        self.is_repeat
    }

    /// Ends it by what came of it, which a repeat is answered with from now on. What was refused is kept of nobody, as with any other
    /// request: the key is free again. What nobody knows of is gone on with by a repeat.
    ///
    /// # Errors
    /// What was refused, or nobody knows of; otherwise as the database's.
    pub async fn end(
        self,
        state: &State,
        status: StatusCode,
        headers: &[(HeaderName, String)],
        made: Result<impl Serialize, Problem>,
    ) -> Result<Response, Problem> {
        let made = match made {
            Ok(made) => made,
            Err(problem) if problem.code().status().is_server_error() => return Err(problem),
            Err(problem) => {
                if let Some((scope, _)) = &self.place {
                    store::remove_intent(&mut *state.db.acquire().await?, scope, self.id).await?;
                }
                return Err(problem);
            }
        };
        let mut stored = Stored::new(
            status,
            headers,
            serde_json::to_vec(&made).map_err(|error| Problem::internal(&error))?,
        );
        if let Some((scope, fingerprint)) = &self.place {
            stored.fingerprint = fingerprint.to_vec();
            let mut tx = state.db.begin().await?;
            // Whoever else went on with it may have been first.
            if store::remove_intent(&mut tx, scope, self.id).await? {
                store::insert(&mut tx, scope, &stored, state.clock.now()).await?;
            }
            tx.commit().await?;
        }
        if self.is_repeat { stored.replay() } else { stored.answer() }
    }
}

/// Begins a request that makes something here and then calls outside. A repeat is told what was made, and goes on with it.
///
/// # Errors
/// As [`begin`].
pub async fn begin_resumable(
    state: &State,
    principal: &Principal,
    route: &str,
    key: Key,
    body: &[u8],
) -> Result<Resumed, Problem> {
    match look(state, place(state, principal, route, key, body)).await? {
        Met::First(once) => Ok(Resumed::First(once)),
        Met::Before(before) => {
            before.resumes.map(Resumed::Before).ok_or_else(|| Problem::new(Code::KeyReused))
        }
    }
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
    begin_at(state, place(state, principal, route, key, body)).await
}

/// The same for a request whose effect has something before it that takes long, such as comparing a password: no transaction is open
/// meanwhile, and it is not done again for a repeat, which would fail where the effect has changed what it looks at.
///
/// # Errors
/// As [`begin`], and those of the work.
pub async fn begin_after<T>(
    state: &State,
    principal: &Principal,
    route: &str,
    key: Key,
    body: &[u8],
    work: impl Future<Output = Result<T, Problem>>,
) -> Result<Begun<(Box<Once>, T)>, Problem> {
    let place = place(state, principal, route, key, body);
    if let Some(answer) = answer_of_then(state, place.as_ref()).await? {
        return Ok(Begun::Before(answer));
    }
    let done = match work.await {
        Ok(done) => done,
        // The first may have ended in the middle of it.
        Err(problem) => {
            let before = answer_of_then(state, place.as_ref()).await?;
            return before.map(Begun::Before).ok_or(problem);
        }
    };
    Ok(match begin_at(state, place).await? {
        Begun::First(once) => Begun::First((once, done)),
        Begun::Before(answer) => Begun::Before(answer),
    })
}

/// A body may hold a password, so what is kept of it tells nothing to whoever has the database alone.
fn place(state: &State, principal: &Principal, route: &str, key: Key, body: &[u8]) -> Option<Place> {
    let scope = Scope { user: principal.user_id, route: route.to_owned(), key: key.0? };
    Some((scope, state.secret.code(Purpose::Fingerprints, &[body])))
}

async fn answer_of_then(state: &State, place: Option<&Place>) -> Result<Option<Response>, Problem> {
    let Some((scope, fingerprint)) = place else { return Ok(None) };
    let mut db = state.db.acquire().await?;
    let before = store::find(&mut db, scope, clock::before(state.clock.now(), KEPT)).await?;
    let Some(before) = before else { return Ok(None) };
    before.is_of(fingerprint)?;
    before.replay().map(Some)
}

async fn begin_at(state: &State, place: Option<Place>) -> Result<Begun, Problem> {
    Ok(match look(state, place).await? {
        Met::First(once) => Begun::First(once),
        Met::Before(before) => Begun::Before(before.replay()?),
    })
}

/// What is kept under a key.
enum Met {
    /// Nothing yet.
    First(Box<Once>),
    /// What the same request has come to.
    Before(Stored),
}

async fn look(state: &State, place: Option<Place>) -> Result<Met, Problem> {
    let (mut tx, now) = (state.db.begin().await?, state.clock.now());
    if let Some((scope, fingerprint)) = &place {
        if !store::lock(&mut tx, scope).await? {
            return Err(Problem::new(Code::KeyInFlight));
        }
        if let Some(before) = store::find(&mut tx, scope, clock::before(now, KEPT)).await? {
            // The lock goes now, not when the connection is used again.
            tx.rollback().await?;
            before.is_of(fingerprint)?;
            return Ok(Met::Before(before));
        }
    }
    Ok(Met::First(Box::new(Once { tx, place, now })))
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
        self: Box<Self>,
        status: StatusCode,
        headers: &[(HeaderName, String)],
        body: &impl Serialize,
    ) -> Result<Response, Problem> {
        let body = serde_json::to_vec(body).map_err(|error| Problem::internal(&error))?;
        self.finish_with(status, headers, body).await
    }

    /// The same with an answer that has no body.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub async fn finish_empty(self: Box<Self>, status: StatusCode) -> Result<Response, Problem> {
        self.finish_with(status, &[], Vec::new()).await
    }

    /// Commits what was made, for which a call outside comes next: a repeat goes on with it.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub async fn commit_resumable(mut self: Box<Self>, made: Uuid) -> Result<(), Problem> {
        if let Some((scope, fingerprint)) = self.place {
            let stored = Stored {
                fingerprint: fingerprint.to_vec(),
                status: 0,
                headers: json!({}),
                body: Vec::new(),
                resumes: Some(made),
            };
            store::insert(&mut self.tx, &scope, &stored, self.now).await?;
        }
        Ok(self.tx.commit().await?)
    }

    async fn finish_with(
        mut self: Box<Self>,
        status: StatusCode,
        headers: &[(HeaderName, String)],
        body: Vec<u8>,
    ) -> Result<Response, Problem> {
        let mut stored = Stored::new(status, headers, body);
        if let Some((scope, fingerprint)) = self.place {
            stored.fingerprint = fingerprint.to_vec();
            store::insert(&mut self.tx, &scope, &stored, self.now).await?;
        }
        self.tx.commit().await?;
        stored.answer()
    }
}

impl Stored {
    fn new(status: StatusCode, headers: &[(HeaderName, String)], body: Vec<u8>) -> Self {
        let headers: BTreeMap<&str, &str> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let status = i16::try_from(status.as_u16()).unwrap_or(500);
        Self { fingerprint: Vec::new(), status, headers: json!(headers), body, resumes: None }
    }

    fn answer(self) -> Result<Response, Problem> {
        let status = u16::try_from(self.status).unwrap_or(500);
        let mut answer = Response::builder().status(status);
        if !self.body.is_empty() {
            answer = answer.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in self.headers.as_object().into_iter().flatten() {
            answer = answer.header(name, value.as_str().unwrap_or_default());
        }
        answer.body(Body::from(self.body)).map_err(|error| Problem::internal(&error))
    }

    fn is_of(&self, fingerprint: &[u8; 32]) -> Result<(), Problem> {
        if self.fingerprint == fingerprint {
            return Ok(());
        }
        Err(Problem::with(
            Code::KeyReused,
            "This idempotency key was used with another body. Send a new key with a new request.",
        ))
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
