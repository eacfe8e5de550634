//! Sessions: what proves who somebody is. An access token is good for minutes and checked by its signature; whether its session still
//! stands is asked of the database, at most half a second late. A refresh token is good once.

pub mod cache;
pub mod keys;
mod store;
pub mod tokens;

use crate::{
    clock,
    http::{
        problem::{Code, Problem},
        request::ClientAddress,
    },
    random,
    state::State,
    users::Role,
};
use jiff::{SignedDuration, Timestamp};
use sqlx::PgConnection;
use store::Used;
pub use store::{EndReason, Session, end, end_all, end_of_user, forget_old, list};
use uuid::Uuid;

/// How long a session lasts at most.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How long a session lasts unused.
pub const IDLE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long a used refresh token is answered with the same successor again, for an answer that was lost.
const GRACE: SignedDuration = SignedDuration::from_secs(10);

/// Somebody who is logged in, as the database says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Who.
    pub user_id: Uuid,
    /// By which session.
    pub session_id: Uuid,
    /// What they may.
    pub role: Role,
}

/// What somebody gets who logs in.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The access token.
    pub access_token: String,
    /// How long it is good.
    pub expires_in: SignedDuration,
    /// The refresh token.
    pub refresh_token: String,
    /// When the session ends at the latest if it is not used.
    pub refresh_expires_at: Timestamp,
}

/// Who holds an access token.
///
/// # Errors
/// 401 when the token is not good or its session has ended.
pub async fn authenticate(state: &State, token: &str) -> Result<Principal, Problem> {
    let now = state.clock.now();
    let bad = || Problem::new(Code::BadToken);
    let mut verified = state.keys.verify(token, now);
    let is_ready = state.keys.is_ready(now);
    if !is_ready || (verified == Err(keys::Bad::UnknownKey) && state.keys.may_look_again()) {
        state.keys.load(&state.db, &state.secret, now).await?;
        verified = state.keys.verify(token, now);
    }
    let claims = verified.map_err(|_| bad())?;
    if let Some(principal) = state.sessions.get(claims.sid) {
        return if principal.user_id == claims.sub { Ok(principal) } else { Err(bad()) };
    }
    let principal =
        store::principal(&state.db, claims.sid, now).await?.filter(|one| one.user_id == claims.sub);
    let principal = principal.ok_or_else(bad)?;
    state.sessions.put(principal.clone());
    Ok(principal)
}

/// Begins a session.
///
/// # Errors
/// As the database's.
pub async fn begin(
    state: &State,
    db: &mut PgConnection,
    user: (Uuid, Role),
    address: ClientAddress,
    user_agent: Option<&str>,
) -> Result<Issued, Problem> {
    let now = state.clock.now();
    let session_id = random::id(now);
    let agent =
        user_agent.map(|agent| agent.chars().filter(|c| !c.is_control()).take(300).collect::<String>());
    let expires_at = clock::after(now, LONGEST);
    store::insert(db, session_id, user.0, now, expires_at, &address.0.to_string(), agent.as_deref()).await?;
    let refresh = tokens::Refresh::random();
    store::insert_token(db, &refresh.digest(), session_id, now).await?;
    issue(state, &Principal { user_id: user.0, session_id, role: user.1 }, &refresh, expires_at, now)
}

fn issue(
    state: &State,
    principal: &Principal,
    refresh: &tokens::Refresh,
    session_expires_at: Timestamp,
    now: Timestamp,
) -> Result<Issued, Problem> {
    let access_token = state.keys.sign(principal, now)?;
    Ok(Issued {
        access_token,
        expires_in: keys::LIFETIME,
        refresh_token: refresh.text(),
        refresh_expires_at: clock::after(now, IDLE).min(session_expires_at),
    })
}

/// Exchanges a refresh token. Used again within ten seconds it gives the same successor again, since an answer may be lost; used
/// later, somebody else has it, and the session ends.
///
/// # Errors
/// 401 where it is not good.
pub async fn refresh(state: &State, token: &str, address: ClientAddress) -> Result<Issued, Problem> {
    let now = state.clock.now();
    let bad = || Problem::new(Code::BadRefreshToken);
    let token = tokens::Refresh::parse(token).ok_or_else(bad)?;
    let successor = token.successor(&state.secret);
    let mut tx = state.db.begin().await?;
    let used = store::use_token(&mut tx, &token.digest(), now).await?.ok_or_else(bad)?;
    let (standing, is_first) = match used {
        Used::First(standing) => (standing, true),
        Used::Again { standing, used_at } => {
            let is_lost_answer =
                now.duration_since(used_at) <= GRACE && !store::is_used(&mut tx, &successor.digest()).await?;
            if !is_lost_answer {
                store::end(&mut tx, standing.principal.session_id, EndReason::ReusedToken, now).await?;
                tx.commit().await?;
                state.sessions.forget(standing.principal.session_id);
                tracing::warn!(user.id = %standing.principal.user_id, session.id = %standing.principal.session_id,
                    "a refresh token was used again: the session has been ended");
                return Err(bad());
            }
            (standing, false)
        }
    };
    let is_over =
        standing.ended || standing.expires_at <= now || now.duration_since(standing.last_used_at) > IDLE;
    if is_over {
        return Err(bad());
    }
    if is_first {
        store::insert_token(&mut tx, &successor.digest(), standing.principal.session_id, now).await?;
        store::touch(&mut tx, standing.principal.session_id, &address.0.to_string(), now).await?;
    }
    tx.commit().await?;
    issue(state, &standing.principal, &successor, standing.expires_at, now)
}

/// Ends the session of a refresh token, good or used.
///
/// # Errors
/// As the database's.
pub async fn end_by_token(state: &State, token: &str) -> Result<(), Problem> {
    let Some(token) = tokens::Refresh::parse(token) else { return Ok(()) };
    let mut db = state.db.acquire().await?;
    if let Some(session) = store::session_of(&mut db, &token.digest()).await? {
        store::end(&mut db, session, EndReason::Logout, state.clock.now()).await?;
        state.sessions.forget(session);
    }
    Ok(())
}
