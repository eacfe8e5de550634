//! What people change about their own account. What an intruder would change first asks for the password, tells the owner by mail, and
//! ends the other sessions.

use super::{
    User, backoff,
    email::Email,
    one_time::{self, Purpose},
    password::{Matches, Password},
    store,
};
use crate::{
    http::problem::{Code, Problem},
    http::rate::{self, Limit},
    http::request::ClientAddress,
    ledger,
    mail::{self, Kind},
    payments::top_up,
    sessions::{self, EndReason, Principal},
    state::State,
    subscriptions,
};
use jiff::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

/// What is said to whom something still runs for.
const LIVES: &str = "There are subscriptions that have not ended. Cancel them first, and wait until nothing of them runs any more.";
/// Tries of the current password, so that an open session is no place to guess it.
const TRIES: Limit = Limit::per_hour("own-password", 10);

/// The user of a session.
///
/// # Errors
/// 401 where there is none any more.
pub async fn of(state: &State, principal: &Principal) -> Result<User, Problem> {
    store::find(&state.db, principal.user_id).await?.ok_or_else(|| Problem::new(Code::BadToken))
}

/// Somebody who has said the right password a moment ago.
#[derive(Clone, Debug)]
pub struct Confirmed {
    user: Uuid,
    session: Uuid,
    /// The hash that it was compared with.
    compared: Option<String>,
}

/// Compares somebody's password.
///
/// # Errors
/// [`Code::WrongPassword`]; 429 after too many tries.
pub async fn confirm(
    state: &State,
    principal: &Principal,
    password: &Password,
) -> Result<Confirmed, Problem> {
    let Principal { user_id: user, session_id: session, .. } = *principal;
    rate::take(state, TRIES, &user.to_string()).await?;
    let compared = store::password_hash(&state.db, user).await?;
    match state.hasher.verify(password, compared.as_deref()).await? {
        Matches::No => Err(Problem::new(Code::WrongPassword)),
        Matches::Yes | Matches::YesButOld => Ok(Confirmed { user, session, compared }),
    }
}

/// Locks a user whose password was compared a moment ago. It may have been reset since, because of whoever is asking here.
async fn lock_confirmed(db: &mut PgConnection, confirmed: &Confirmed) -> Result<User, Problem> {
    let locked = store::lock(db, confirmed.user).await?.filter(|user| user.deactivated_at.is_none());
    let locked = locked.ok_or_else(|| Problem::new(Code::BadToken))?;
    if store::password_hash(db, confirmed.user).await? != confirmed.compared {
        return Err(Problem::new(Code::WrongPassword));
    }
    Ok(locked)
}

/// Changes the password within a transaction. Other sessions end.
///
/// # Errors
/// [`Code::WrongPassword`].
pub async fn change_password(
    state: &State,
    db: &mut PgConnection,
    confirmed: &Confirmed,
    hash: &str,
) -> Result<(), Problem> {
    let owner = lock_confirmed(db, confirmed).await?;
    set_password(state, db, &owner, Some(confirmed.session), hash).await
}

/// Sets a new password by a mailed token. All sessions end, and the address counts as verified: the mail was read there.
///
/// # Errors
/// [`Code::BadOneTimeToken`].
pub async fn reset_password(
    state: &State,
    token: &str,
    new: &str,
    address: ClientAddress,
) -> Result<(), Problem> {
    let now = state.clock.now();
    let bad = || Problem::new(Code::BadOneTimeToken);
    let id = one_time::parse(&state.secret, Purpose::ResetPassword, token).ok_or_else(bad)?;
    let new = state.hasher.accept("password", new, &[]).await?;
    let hash = state.hasher.hash(&new).await?;
    let mut tx = state.db.begin().await?;
    let owner = store::one_time_user(&mut tx, id).await?.ok_or_else(bad)?;
    let user = store::lock(&mut tx, owner).await?.filter(|user| user.deleted_at.is_none()).ok_or_else(bad)?;
    let proven = store::spend_one_time(&mut tx, id, Purpose::ResetPassword, now).await?.ok_or_else(bad)?;
    if user.email != proven.email {
        return Err(bad());
    }
    set_password(state, &mut tx, &user, None, &hash).await?;
    // Whoever reads the owner's mail is not kept waiting for what others have tried.
    let network = address.network();
    backoff::forgive(&mut tx, &user.email, &network, true).await?;
    backoff::know(&mut tx, user.id, &network, now).await?;
    if user.email_verified_at.is_none() {
        store::save(&mut tx, &User { email_verified_at: Some(now), ..user }, now).await?;
    }
    tx.commit().await?;
    settled(state);
    Ok(())
}

async fn set_password(
    state: &State,
    db: &mut PgConnection,
    owner: &User,
    but: Option<Uuid>,
    hash: &str,
) -> Result<(), Problem> {
    let now = state.clock.now();
    store::set_password(db, owner.id, Some(hash), now).await?;
    store::spend_all(db, owner.id, None, now).await?;
    sessions::end_all(db, owner.id, but, EndReason::PasswordChanged, now).await?;
    mail::queue(db, &mail::New::to(owner, Kind::PasswordChanged), now).await?;
    Ok(())
}

/// Begins a change of the address within a transaction: a link goes to the new one. It is answered alike where somebody else has it.
///
/// # Errors
/// [`Code::WrongPassword`].
pub async fn change_email(
    db: &mut PgConnection,
    confirmed: &Confirmed,
    email: &Email,
    now: Timestamp,
) -> Result<(), Problem> {
    let user = lock_confirmed(db, confirmed).await?;
    store::spend_all(db, user.id, Some(Purpose::ChangeEmail), now).await?;
    let asks = mail::New { recipient: email.as_str().to_owned(), ..mail::New::to(&user, Kind::ChangeEmail) };
    mail::queue(db, &asks, now).await?;
    Ok(())
}

/// What becomes of an account that its owner gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// It is off; an administrator can switch it on again.
    Deactivate,
    /// What is personal is gone for good.
    Delete,
}

/// Deactivates or deletes one's own account.
///
/// # Errors
/// [`Code::WrongPassword`]; [`Code::LastAdministrator`]; [`Code::UserHasMoney`], [`Code::UserHasSubscriptions`].
pub async fn leave(
    state: &State,
    principal: &Principal,
    password: &Password,
    leave: Leave,
) -> Result<(), Problem> {
    let confirmed = confirm(state, principal, password).await?;
    let mut tx = state.db.begin().await?;
    let user = lock_confirmed(&mut tx, &confirmed).await?;
    remove(state, &mut tx, &user, leave).await?;
    tx.commit().await?;
    settled(state);
    Ok(())
}

/// Deactivates or deletes a user that was locked, within a transaction, ends the sessions and tells the owner.
///
/// # Errors
/// [`Code::LastAdministrator`]; to delete also [`Code::UserHasMoney`], [`Code::UserHasSubscriptions`].
pub async fn remove(state: &State, db: &mut PgConnection, user: &User, leave: Leave) -> Result<(), Problem> {
    let now = state.clock.now();
    keeps_an_administrator(db, user).await?;
    if leave == Leave::Delete {
        leaves_no_money(db, user.id, now).await?;
        if subscriptions::live(db, user.id).await? > 0 {
            return Err(Problem::with(Code::UserHasSubscriptions, LIVES));
        }
    }
    let (kind, reason) = match leave {
        Leave::Deactivate => (Kind::AccountDeactivated, EndReason::Deactivated),
        Leave::Delete => (Kind::AccountDeleted, EndReason::Deleted),
    };
    sessions::end_all(db, user.id, None, reason, now).await?;
    store::spend_all(db, user.id, None, now).await?;
    match leave {
        Leave::Deactivate => {
            let deactivated = User { deactivated_at: user.deactivated_at.or(Some(now)), ..user.clone() };
            store::save(db, &deactivated, now).await?;
        }
        Leave::Delete => {
            mail::forget(db, user.id, &user.email).await?;
            store::erase(db, user.id, now).await?;
        }
    }
    mail::queue(db, &mail::New::to(user, kind), now).await?;
    Ok(())
}

/// Refuses to delete somebody whose money would be nobody's then. What was given and not paid in is forfeited. Until the transaction's end
/// nothing comes into the wallet, and no top-up is begun; what is paid later all the same is found.
async fn leaves_no_money(db: &mut PgConnection, user_id: Uuid, now: Timestamp) -> Result<(), Problem> {
    let pending = top_up::pending(db, user_id).await?;
    let wallet = ledger::lock(db, user_id, now).await?;
    let mut why = Vec::new();
    if wallet.owes().is_positive() {
        why.push(format!(
            "The wallet owes {}: pay it in, or have an administrator adjust it.",
            wallet.owes()
        ));
    } else if wallet.cash.balance.is_positive() {
        let there = wallet.cash.balance;
        why.push(format!(
            "There is {there} in the wallet: spend it, or ask for it back; an administrator pays it out by an adjustment."
        ));
    }
    if pending > 0 {
        why.push(format!("Top-ups are pending ({pending}): cancel them, or wait until their time is over."));
    }
    if why.is_empty() { Ok(()) } else { Err(Problem::with(Code::UserHasMoney, why.join(" "))) }
}

/// Refuses what would leave nobody to administrate.
///
/// # Errors
/// [`Code::LastAdministrator`].
pub async fn keeps_an_administrator(db: &mut PgConnection, user: &User) -> Result<(), Problem> {
    let is_one = user.role == super::Role::Administrator && user.deactivated_at.is_none();
    if is_one && store::other_administrators(db, user.id).await? == 0 {
        return Err(Problem::new(Code::LastAdministrator));
    }
    Ok(())
}

/// What follows a commit that ended sessions or queued mail.
pub fn settled(state: &State) {
    state.sessions.forget_all();
    state.mail_is_due.notify_one();
}
