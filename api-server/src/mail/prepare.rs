//! What is looked at just before a mail goes out: whether there is still somebody who should get it, and the link it carries. A mail
//! that was asked for without a word whether the address is known is decided here.

use super::{Kind, store::Due};
use crate::{
    clock,
    state::State,
    users::{self, Language, User, email::Email, one_time},
};
use serde_json::{Value, json};

/// A mail that can be composed.
#[derive(Clone, Debug)]
pub struct Ready {
    /// About what.
    pub kind: Kind,
    /// In which language.
    pub language: Language,
    /// What the text needs.
    pub data: Value,
}

/// What is to be done with a mail that is due.
#[derive(Clone, Debug)]
pub enum Prepared {
    /// Send it.
    Ready(Ready),
    /// Nobody should get it; why.
    Discard(&'static str),
}

/// Looks at it.
///
/// # Errors
/// As the database's.
pub async fn prepare(state: &State, due: &Due) -> Result<Prepared, sqlx::Error> {
    let Some(kind) = Kind::of(&due.kind) else { return Ok(Prepared::Discard("its kind is not known")) };
    let Some(link) = kind.link() else {
        let language = Language::of(&due.language);
        return Ok(Prepared::Ready(Ready { kind, language, data: with(&due.data, state, None) }));
    };
    let user = match due.user_id {
        Some(id) => users::store::find(&state.db, id).await?,
        None => match Email::parse(&due.recipient) {
            Ok(email) => users::store::find_by_email(&state.db, &email).await?.map(|(user, _)| user),
            Err(_) => None,
        },
    };
    let Some(user) = user.filter(|user| wants(user, kind)) else {
        return Ok(Prepared::Discard("there is nobody who needs it"));
    };
    if kind == Kind::ChangeEmail && is_taken(state, &due.recipient).await? {
        return Ok(Prepared::Discard("the address belongs to another user"));
    }
    let now = state.clock.now();
    let mut db = state.db.acquire().await?;
    if due.user_id.is_none() {
        users::store::insert_one_time(&mut db, due.id, user.id, &link, &due.recipient, now).await?;
    }
    // Good from now on, however long the mail has waited; but not where it was spent meanwhile.
    if !users::store::renew_one_time(&mut db, due.id, clock::after(now, link.lifetime)).await? {
        return Ok(Prepared::Discard("its link is worth nothing any more"));
    }
    let token = one_time::token(&state.secret, link.purpose, due.id);
    let address = format!("{}/{}?token={token}", state.http.public_url.trim_end_matches('/'), link.page);
    let mut data = with(&due.data, state, Some(&address));
    // Until the address is proven the name is anybody's words, sent to whomever they like.
    let is_unproven = [Kind::VerifyEmail, Kind::ChangeEmail].contains(&kind);
    data["name"] = if is_unproven { Value::Null } else { json!(user.name) };
    data["hours"] = json!(link.lifetime.as_hours());
    Ok(Prepared::Ready(Ready { kind, language: user.language, data }))
}

/// Whether a mail with a link is of use to a user.
pub(super) fn wants(user: &User, kind: Kind) -> bool {
    let is_there = user.deleted_at.is_none() && user.deactivated_at.is_none();
    is_there && (kind != Kind::VerifyEmail || user.email_verified_at.is_none())
}

async fn is_taken(state: &State, address: &str) -> Result<bool, sqlx::Error> {
    match Email::parse(address) {
        Ok(email) => Ok(users::store::find_by_email(&state.db, &email).await?.is_some()),
        Err(_) => Ok(true),
    }
}

fn with(data: &Value, state: &State, link: Option<&str>) -> Value {
    let mut data = data.clone();
    data["home"] = json!(state.http.public_url);
    if let Some(link) = link {
        data["link"] = json!(link);
    }
    data
}
