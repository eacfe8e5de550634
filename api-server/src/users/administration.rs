//! What administrators do to users. Each verb works within a transaction, writes its line of the audit log there, and refuses what would
//! leave nobody to administrate.

use super::{
    Language, Role, User,
    account::{self, Leave},
    email::Email,
    store,
};
use crate::{
    audit::{self, Actor, Entry},
    db,
    http::problem::{Code, Problem},
    mail::{self, Kind},
    random,
    sessions::{self, EndReason},
    state::State,
};
use jiff::Timestamp;
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

/// A user to be made.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// The address, which the administrator vouches for.
    pub email: Email,
    /// The name.
    pub name: String,
    /// The language of mails.
    pub language: Language,
    /// What they may.
    pub role: Role,
}

/// What is changed of a user; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The name.
    pub name: Option<String>,
    /// The language of mails.
    pub language: Option<Language>,
    /// The address. It counts as proven; the old one is told, and sessions end.
    pub email: Option<Email>,
}

/// What can be done to many users at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// They may log in again.
    Activate,
    /// They may not.
    Deactivate,
    /// They get a role.
    SetRole(Role),
    /// Everything personal goes.
    Delete,
}

impl Verb {
    fn action(self) -> &'static str {
        match self {
            Self::Activate => "user.activate",
            Self::Deactivate => "user.deactivate",
            Self::SetRole(_) => "user.set_role",
            Self::Delete => "user.delete",
        }
    }
}

/// The time and the hand of a change.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// Who.
    pub actor: &'a Actor,
    /// Why.
    pub reason: Option<&'a str>,
    /// When.
    pub now: Timestamp,
}

/// Makes a user, who is sent a link to set a password.
///
/// # Errors
/// [`Code::EmailTaken`].
pub async fn invite(db: &mut PgConnection, by: By<'_>, new: &Invitation) -> Result<User, Problem> {
    let wanted = store::New {
        id: random::id(by.now),
        email: &new.email,
        name: &new.name,
        language: new.language,
        role: new.role,
        password_hash: None,
        email_verified_at: Some(by.now),
    };
    let user = store::insert(db, &wanted, by.now).await?.ok_or_else(|| Problem::new(Code::EmailTaken))?;
    mail::queue(db, &mail::New::to(&user, Kind::Invitation), by.now).await?;
    record(db, by, "user.create", None, Some(&user)).await?;
    Ok(user)
}

/// Changes a user that was locked.
///
/// # Errors
/// [`Code::EmailTaken`], [`Code::UserDeleted`].
pub async fn change(db: &mut PgConnection, by: By<'_>, user: &User, change: Change) -> Result<User, Problem> {
    is_there(user)?;
    let Change { name, language, email } = change;
    let wanted = User {
        name: name.unwrap_or_else(|| user.name.clone()),
        language: language.unwrap_or(user.language),
        email: email.map_or_else(|| user.email.clone(), |email| email.as_str().to_owned()),
        ..user.clone()
    };
    if wanted == *user {
        return Ok(wanted);
    }
    let has_moved = wanted.email != user.email;
    let verified = if has_moved { Some(by.now) } else { user.email_verified_at };
    let saved =
        store::save(db, &User { email_verified_at: verified, ..wanted }, by.now).await.map_err(|error| {
            if db::is_taken(&error, store::EMAIL_INDEX) {
                Problem::new(Code::EmailTaken)
            } else {
                error.into()
            }
        })?;
    if has_moved {
        store::spend_all(db, user.id, None, by.now).await?;
        sessions::end_all(db, user.id, None, EndReason::EmailChanged, by.now).await?;
        let data = serde_json::json!({"name": user.name, "new_email": saved.email});
        mail::queue(db, &mail::New { data, ..mail::New::to(user, Kind::EmailChanged) }, by.now).await?;
    }
    record(db, by, "user.update", Some(user), Some(&saved)).await?;
    Ok(saved)
}

/// Does something to a user; nothing where it is so already.
///
/// # Errors
/// [`Code::NotFound`], [`Code::UserDeleted`], [`Code::LastAdministrator`], [`Code::UserHasMoney`].
pub async fn apply(
    state: &State,
    db: &mut PgConnection,
    by: By<'_>,
    id: Uuid,
    verb: Verb,
) -> Result<User, Problem> {
    let user = store::lock(db, id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    if verb == Verb::Delete && user.deleted_at.is_some() {
        return Ok(user);
    }
    is_there(&user)?;
    match verb {
        Verb::Activate if user.deactivated_at.is_some() => {
            store::save(db, &User { deactivated_at: None, ..user.clone() }, by.now).await?;
            mail::queue(db, &mail::New::to(&user, Kind::AccountActivated), by.now).await?;
        }
        Verb::Deactivate if user.deactivated_at.is_none() => {
            account::remove(state, db, &user, Leave::Deactivate).await?;
        }
        Verb::Delete => account::remove(state, db, &user, Leave::Delete).await?,
        Verb::SetRole(role) if user.role != role => {
            if role != Role::Administrator {
                account::keeps_an_administrator(db, &user).await?;
            } else if user.email_verified_at.is_none() {
                return Err(Problem::new(Code::UserUnverified));
            }
            store::save(db, &User { role, ..user.clone() }, by.now).await?;
        }
        Verb::Activate | Verb::Deactivate | Verb::SetRole(_) => return Ok(user),
    }
    let after = store::find(&mut *db, id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    record(db, by, verb.action(), Some(&user), Some(&after)).await?;
    Ok(after)
}

fn is_there(user: &User) -> Result<(), Problem> {
    if user.deleted_at.is_some() { Err(Problem::new(Code::UserDeleted)) } else { Ok(()) }
}

/// What the log keeps of a user: nothing personal, since a line outlives a deletion.
#[derive(Debug, Serialize)]
struct Seen {
    role: Role,
    language: Language,
    email_verified: bool,
    deactivated: bool,
    email_changed: bool,
}

impl Seen {
    fn of(user: &User, email_changed: bool) -> Self {
        Self {
            role: user.role,
            language: user.language,
            email_verified: user.email_verified_at.is_some(),
            deactivated: user.deactivated_at.is_some(),
            email_changed,
        }
    }
}

async fn record(
    db: &mut PgConnection,
    by: By<'_>,
    action: &'static str,
    before: Option<&User>,
    after: Option<&User>,
) -> Result<(), sqlx::Error> {
    // What was personal of a deleted user does not live on in the log.
    let is_erased = after.is_some_and(|user| user.deleted_at.is_some());
    let moved = before.zip(after).is_some_and(|(before, after)| before.email != after.email);
    let seen = |user: Option<&User>| {
        user.filter(|_| !is_erased).and_then(|user| audit::value(&Seen::of(user, moved)))
    };
    let id = before.or(after).map(|user| user.id.to_string()).unwrap_or_default();
    let entry = Entry {
        action,
        entity_type: "user",
        entity_id: &id,
        before: seen(before),
        after: seen(after),
        reason: by.reason,
    };
    audit::record(db, by.actor, entry, by.now).await
}

/// Makes the first administrator, or makes one of somebody who is there; a link to set a password is mailed.
///
/// # Errors
/// As the database's.
pub async fn make_administrator(state: &State, email: Email, name: String) -> Result<User, Problem> {
    let (actor, now) = (Actor::command_line(), state.clock.now());
    let by = By { actor: &actor, reason: None, now };
    let mut tx = state.db.begin().await?;
    let found = store::find_by_email(&mut *tx, &email).await?;
    let user = if let Some((user, _)) = found {
        if user.email_verified_at.is_none() {
            // Whoever registered with the address has not shown that it is theirs: their password goes.
            store::set_password(&mut tx, user.id, None, now).await?;
            store::spend_all(&mut tx, user.id, None, now).await?;
            store::save(&mut tx, &User { email_verified_at: Some(now), ..user.clone() }, now).await?;
            mail::queue(&mut tx, &mail::New::to(&user, Kind::Invitation), now).await?;
        }
        let user = apply(state, &mut tx, by, user.id, Verb::SetRole(Role::Administrator)).await?;
        apply(state, &mut tx, by, user.id, Verb::Activate).await?
    } else {
        let new = Invitation { email, name, language: Language::default(), role: Role::Administrator };
        invite(&mut tx, by, &new).await?
    };
    tx.commit().await?;
    Ok(user)
}
