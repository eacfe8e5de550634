//! Requests whose effect is one thing outside that may well be done twice, as long as it is the same thing: what exactly is decided and kept
//! under the key first. A repeat does just that; while the first is at it, it is told so. No connection is held meanwhile.

use super::{Key, Place, Stored, place, store};
use crate::{
    clock,
    http::problem::{Code, Problem},
    sessions::Principal,
    state::State,
};
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

/// For how long whoever does it is waited for. Whoever is slower and does it all the same does what the next does.
const AT_IT: SignedDuration = SignedDuration::from_secs(30);

/// The status of a decision, which no answer has; and that of an answer.
const DECIDED: i16 = 0;
const DONE: i16 = 200;

/// What a request meets.
#[derive(Debug)]
pub enum Decided<T> {
    /// It is to be done.
    Due(Due<T>),
    /// It was done before: the answer of then.
    Before(Response),
}

/// What is to be done.
#[derive(Debug)]
pub struct Due<T> {
    /// As it was decided, by this request or by the first.
    pub decision: T,
    /// Whether it may have been done already: the answer to the first is not known.
    pub is_repeat: bool,
    place: Option<Place>,
}

/// A decision as it is kept, in the place of an answer.
#[derive(Debug, Serialize, Deserialize)]
struct Kept<T> {
    decision: T,
    /// Until when somebody is at it.
    until: Timestamp,
}

/// Begins a request: decides, and keeps that under its key before anything is done.
///
/// # Errors
/// 409 while another does it; 422 where the key was used with another body.
pub async fn decide<T: Serialize + DeserializeOwned>(
    state: &State,
    principal: &Principal,
    route: &str,
    key: Key,
    body: &[u8],
    decide: impl FnOnce(Timestamp) -> T,
) -> Result<Decided<T>, Problem> {
    let (now, place) = (state.clock.now(), place(state, principal, route, key, body));
    let Some((scope, fingerprint)) = &place else {
        return Ok(Decided::Due(Due { decision: decide(now), is_repeat: false, place }));
    };
    let mut tx = state.db.begin().await?;
    if !store::lock(&mut tx, scope).await? {
        return Err(Problem::new(Code::KeyInFlight));
    }
    let before = store::find(&mut tx, scope, clock::before(now, super::KEPT)).await?;
    let is_repeat = before.is_some();
    let decision = match before {
        None => decide(now),
        Some(before) if before.status == DECIDED => {
            before.is_of(fingerprint)?;
            let kept: Kept<T> =
                serde_json::from_slice(&before.body).map_err(|error| Problem::internal(&error))?;
            if kept.until > now {
                return Err(Problem::new(Code::KeyInFlight));
            }
            kept.decision
        }
        Some(before) => {
            tx.rollback().await?;
            before.is_of(fingerprint)?;
            return Ok(Decided::Before(before.replay()?));
        }
    };
    let due = Due { decision, is_repeat, place };
    due.keep(&mut tx, clock::after(now, AT_IT), now).await?;
    tx.commit().await?;
    Ok(Decided::Due(due))
}

impl<T: Serialize> Due<T> {
    async fn keep(
        &self,
        db: &mut sqlx::PgConnection,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let Some((scope, fingerprint)) = &self.place else { return Ok(()) };
        let kept = Kept { decision: &self.decision, until };
        let body = serde_json::to_vec(&kept).map_err(|error| Problem::internal(&error))?;
        let (fingerprint, headers) = (fingerprint.to_vec(), json!({}));
        let stored = Stored { fingerprint, status: DECIDED, headers, body, resumes: None };
        store::take_away(db, scope).await?;
        Ok(store::insert(db, scope, &stored, now).await?)
    }

    /// Says what came of it. An answer is kept; what was refused is as if it had never been asked for; where nobody knows what became of it,
    /// a repeat does the same again.
    ///
    /// # Errors
    /// What it was refused by; as the database's.
    pub async fn end(
        self,
        state: &State,
        done: Result<impl Serialize, Problem>,
    ) -> Result<Response, Problem> {
        let now = state.clock.now();
        let fingerprint =
            self.place.as_ref().map(|(_, fingerprint)| fingerprint.to_vec()).unwrap_or_default();
        let answer = done.and_then(|body| {
            let body = serde_json::to_vec(&body).map_err(|error| Problem::internal(&error))?;
            Ok(Stored { fingerprint, status: DONE, headers: json!({}), body, resumes: None })
        });
        if let Some((scope, _)) = &self.place {
            let mut tx = state.db.begin().await?;
            store::wait_for_lock(&mut tx, scope).await?;
            match &answer {
                Ok(stored) => {
                    store::take_away(&mut tx, scope).await?;
                    store::insert(&mut tx, scope, stored, now).await?;
                }
                Err(problem) if problem.code().status().is_server_error() => {
                    self.keep(&mut tx, now, now).await?;
                }
                Err(_) => store::take_away(&mut tx, scope).await?,
            }
            tx.commit().await?;
        }
        answer?.answer()
    }
}
