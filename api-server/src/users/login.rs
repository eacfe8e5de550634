//! Logging in.

use super::{
    User, backoff,
    email::Email,
    password::{Matches, Password, Place},
    store,
};
use crate::{
    http::{
        problem::{Code, Problem},
        request::ClientAddress,
    },
    sessions::{self, Issued},
    state::State,
};

/// Where somebody logs in from.
#[derive(Clone, Copy, Debug)]
pub struct From<'a> {
    /// The address.
    pub address: ClientAddress,
    /// The browser or program, as it calls itself.
    pub user_agent: Option<&'a str>,
}

/// Logs somebody in who has a place in the queue of passwords. Address and password are looked at before anything is said of the account.
///
/// # Errors
/// [`Code::BadCredentials`], [`Code::Unverified`], [`Code::Deactivated`]; 429 after too many tries.
pub async fn log_in(
    state: &State,
    place: Place,
    email: &Email,
    password: &Password,
    from: From<'_>,
) -> Result<(User, Issued), Problem> {
    let From { address, user_agent } = from;
    let (now, network) = (state.clock.now(), address.network());
    let found = store::find_by_email(&state.db, email).await?;
    let id = found.as_ref().map(|(user, _)| user.id);
    let is_known = backoff::is_known(&state.db, id, &network, now).await?;
    backoff::admit(&state.db, email.as_str(), &network, is_known, now).await?;
    let hash = found.as_ref().and_then(|(_, hash)| hash.as_deref());
    let matches = state.hasher.verify_at(place, password, hash).await?;
    let (Some((user, hash)), true) = (found, matches != Matches::No) else {
        state.metrics.logged_in("refused");
        return Err(Problem::new(Code::BadCredentials));
    };
    if user.deactivated_at.is_some() {
        return Err(Problem::new(Code::Deactivated));
    }
    if user.email_verified_at.is_none() {
        return Err(Problem::new(Code::Unverified));
    }
    let hash = hash.unwrap_or_default();
    let stronger = match matches {
        Matches::YesButOld => Some(state.hasher.hash(password).await?),
        _ => None,
    };
    let mut tx = state.db.begin().await?;
    // Since it was compared, the password may have been reset because of whoever is logging in here.
    if !store::logged_in(&mut tx, user.id, &hash, now).await? {
        return Err(Problem::new(Code::BadCredentials));
    }
    if let Some(new) = stronger {
        store::rehash(&mut tx, user.id, &hash, &new).await?;
    }
    backoff::forgive(&mut tx, email.as_str(), &network, is_known).await?;
    backoff::know(&mut tx, user.id, &network, now).await?;
    let issued = sessions::begin(state, &mut tx, (user.id, user.role), address, user_agent).await?;
    tx.commit().await?;
    state.metrics.logged_in("accepted");
    Ok((User { last_login_at: Some(now), ..user }, issued))
}
