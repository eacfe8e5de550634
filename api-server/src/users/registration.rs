//! Registering, and proving an address. Nothing that is answered tells whether an address is known: what differs goes by mail.

use super::{
    Language, Role, User,
    email::Email,
    one_time::{self, Purpose},
    password::{Matches, Password},
    store,
};
use crate::{
    db,
    http::problem::{Code, Problem},
    mail::{self, Kind},
    random,
    sessions::{self, EndReason},
    state::State,
};
use jiff::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

/// What somebody registers with.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The address.
    pub email: Email,
    /// The password.
    pub password: Password,
    /// The name.
    pub name: String,
    /// The language of mails.
    pub language: Language,
}

/// Registers somebody, or tells the owner of the address by mail that it is registered.
///
/// # Errors
/// As the database's, and 429 when too many passwords are being hashed.
pub async fn register(state: &State, new: &Registration) -> Result<(), Problem> {
    let now = state.clock.now();
    // Hashed and compared in any case, before anything is locked: how long it takes tells nothing.
    let found = store::find_by_email(&state.db, &new.email).await?;
    let old = found.and_then(|(_, hash)| hash);
    let matches = state.hasher.verify(&new.password, old.as_deref()).await?;
    let hash = state.hasher.hash(&new.password).await?;
    let mut tx = state.db.begin().await?;
    let wanted = store::New {
        id: random::id(now),
        email: &new.email,
        name: &new.name,
        language: new.language,
        role: Role::User,
        password_hash: Some(&hash),
        email_verified_at: None,
    };
    let trusted = match store::insert(&mut tx, &wanted, now).await? {
        Some(_) => Some(hash.as_str()),
        None => old.as_deref().filter(|_| matches != Matches::No),
    };
    answer_by_mail(&mut tx, &new.email, trusted, now).await?;
    tx.commit().await?;
    state.mail_is_due.notify_one();
    Ok(())
}

/// Writes the mail that tells how it went. The same is written whether the address was new or not, so that it takes as long. `trusted` is
/// the hash of the password that was registered with, where the account has that one.
async fn answer_by_mail(
    db: &mut PgConnection,
    email: &Email,
    trusted: Option<&str>,
    now: Timestamp,
) -> Result<(), Problem> {
    let Some((found, _)) = store::find_by_email(&mut *db, email).await? else { return Ok(()) };
    let Some(user) = store::lock(db, found.id).await?.filter(|user| user.deleted_at.is_none()) else {
        return Ok(());
    };
    // Two may have registered with an address that neither has proven. Whoever proves it must not find the other's password on the
    // account, so it has none until then.
    store::distrust_password(db, user.id, trusted, now).await?;
    store::spend_all(db, user.id, Some(Purpose::VerifyEmail), now).await?;
    if user.email_verified_at.is_none() {
        mail::queue(db, &mail::New::to(&user, Kind::VerifyEmail), now).await?;
        return Ok(());
    }
    let id = mail::queue(db, &mail::New::to(&user, Kind::AlreadyRegistered), now).await?;
    // This mail has no link: the token is told nobody, and is there for the time that it takes.
    let link = Kind::VerifyEmail.link().ok_or_else(|| Problem::new(Code::Internal))?;
    store::insert_one_time(db, id, user.id, &link, &user.email, now).await?;
    Ok(())
}

/// What came of proving an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The address.
    pub email: String,
    /// A token to set a password with, where the account has none.
    pub password_token: Option<String>,
}

/// Takes the token of a mail that proves an address: the first one, or the one it is changed to.
///
/// # Errors
/// [`Code::BadOneTimeToken`]; [`Code::EmailTaken`] where somebody else has proven the new address meanwhile.
pub async fn verify(state: &State, token: &str) -> Result<Verified, Problem> {
    let now = state.clock.now();
    let bad = || Problem::new(Code::BadOneTimeToken);
    let of = |purpose| one_time::parse(&state.secret, purpose, token).map(|id| (purpose, id));
    let (purpose, id) = of(Purpose::VerifyEmail).or_else(|| of(Purpose::ChangeEmail)).ok_or_else(bad)?;
    let mut tx = state.db.begin().await?;
    // The user first, as everywhere: two who lock in another order would wait for each other.
    let owner = store::one_time_user(&mut tx, id).await?.ok_or_else(bad)?;
    let user = store::lock(&mut tx, owner).await?.ok_or_else(bad)?;
    let proven = store::spend_one_time(&mut tx, id, purpose, now).await?.ok_or_else(bad)?;
    if user.deleted_at.is_some() {
        return Err(bad());
    }
    let verified = if purpose == Purpose::ChangeEmail {
        change(&mut tx, user, proven.email, now).await?
    } else if user.email == proven.email {
        prove(state, &mut tx, user, now).await?
    } else {
        return Err(bad());
    };
    tx.commit().await?;
    state.sessions.forget_all();
    state.mail_is_due.notify_one();
    Ok(verified)
}

async fn prove(
    state: &State,
    db: &mut PgConnection,
    user: User,
    now: Timestamp,
) -> Result<Verified, Problem> {
    let user = store::save(db, &User { email_verified_at: Some(now), ..user }, now).await?;
    store::spend_all(db, user.id, Some(Purpose::VerifyEmail), now).await?;
    mail::queue(db, &mail::New::to(&user, Kind::Welcome), now).await?;
    let has_password = store::password_hash(&mut *db, user.id).await?.is_some();
    let password_token =
        if has_password { None } else { Some(password_token(state, db, user.id, &user.email, now).await?) };
    Ok(Verified { email: user.email, password_token })
}

async fn password_token(
    state: &State,
    db: &mut PgConnection,
    user: Uuid,
    email: &str,
    now: Timestamp,
) -> Result<String, Problem> {
    let id = random::id(now);
    let link = Kind::ResetPassword.link().ok_or_else(|| Problem::new(Code::Internal))?;
    store::insert_one_time(db, id, user, &link, email, now).await?;
    Ok(one_time::token(&state.secret, Purpose::ResetPassword, id))
}

async fn change(
    db: &mut PgConnection,
    user: User,
    email: String,
    now: Timestamp,
) -> Result<Verified, Problem> {
    let before = user.clone();
    let changed = User { email, email_verified_at: Some(now), ..user };
    let saved = store::save(db, &changed, now).await.map_err(|error| {
        if db::is_taken(&error, store::EMAIL_INDEX) { Problem::new(Code::EmailTaken) } else { error.into() }
    })?;
    store::spend_all(db, saved.id, None, now).await?;
    sessions::end_all(db, saved.id, None, EndReason::EmailChanged, now).await?;
    let told = mail::New {
        data: serde_json::json!({"name": before.name, "new_email": saved.email}),
        ..mail::New::to(&before, Kind::EmailChanged)
    };
    mail::queue(db, &told, now).await?;
    Ok(Verified { email: saved.email, password_token: None })
}

/// Sends the mail that verifies once more, if there is somebody there who needs it.
///
/// # Errors
/// As the database's.
pub async fn resend(state: &State, email: &Email, language: Language) -> Result<(), Problem> {
    queue_for_whoever_it_is(state, email, language, Kind::VerifyEmail).await
}

/// Sends a mail to set a new password, if there is somebody there.
///
/// # Errors
/// As the database's.
pub async fn forgot(state: &State, email: &Email, language: Language) -> Result<(), Problem> {
    queue_for_whoever_it_is(state, email, language, Kind::ResetPassword).await
}

/// The same is written for every address. Whether somebody is there is looked at when the mail is about to go out.
async fn queue_for_whoever_it_is(
    state: &State,
    email: &Email,
    language: Language,
    kind: Kind,
) -> Result<(), Problem> {
    let mut db = state.db.acquire().await?;
    mail::queue(&mut db, &mail::New::to_address(email, language, kind), state.clock.now()).await?;
    state.mail_is_due.notify_one();
    Ok(())
}
