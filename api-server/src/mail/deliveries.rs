//! What became of mails, for administrators, and sending one once more.

use super::{
    Kind, prepare,
    store::{self, Delivery, NOBODY, Status},
};
use crate::{
    audit::{self, Entry},
    http::problem::{Code, Problem},
    users::{self, administration::By, email::Email},
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

/// How long what became of a mail is kept.
pub const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);

/// What the log keeps of a mail: nothing personal.
#[derive(Debug, Serialize)]
struct Seen<'a> {
    kind: &'a str,
    status: Status,
    attempts: i32,
}

impl Seen<'_> {
    fn of(mail: &Delivery) -> Option<serde_json::Value> {
        audit::value(&Seen { kind: &mail.kind, status: mail.status, attempts: mail.attempts })
    }
}

/// Lets a mail go out now, whatever became of it so far. It keeps its Message-ID; a link in it is good anew.
///
/// # Errors
/// [`Code::NotFound`]; [`Code::MailForgotten`] where it is not known any more to whom it went; [`Code::MailNotNeeded`] where its link was
/// used, or nobody is there any more who could.
pub async fn resend(db: &mut PgConnection, by: By<'_>, id: Uuid) -> Result<Delivery, Problem> {
    let mail = store::lock(db, id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    if mail.recipient == NOBODY {
        return Err(Problem::new(Code::MailForgotten));
    }
    if !is_needed(db, &mail).await? {
        return Err(Problem::new(Code::MailNotNeeded));
    }
    store::again(db, id, by.now).await?;
    let after = store::lock(db, id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    let entry = Entry {
        action: "email.resend",
        entity_type: "email",
        entity_id: &id.to_string(),
        before: Seen::of(&mail),
        after: Seen::of(&after),
        reason: by.reason,
    };
    audit::record(db, by.actor, entry, by.now).await?;
    Ok(after)
}

/// Whether somebody can do something with the link of a mail; what was used or became void is not sent once more.
async fn is_needed(db: &mut PgConnection, mail: &Delivery) -> Result<bool, Problem> {
    let Some((kind, _)) = Kind::of(&mail.kind).and_then(|kind| Some((kind, kind.link()?))) else {
        return Ok(true);
    };
    let user = match (mail.user_id, Email::parse(&mail.recipient)) {
        (Some(id), _) => users::store::find(&mut *db, id).await?,
        (None, Ok(email)) => users::store::find_by_email(&mut *db, &email).await?.map(|(user, _)| user),
        (None, Err(_)) => None,
    };
    if !user.is_some_and(|user| prepare::wants(&user, kind)) {
        return Ok(false);
    }
    // One to an address gets its token only when it is prepared.
    let was_spent = users::store::one_time_was_spent(db, mail.id).await?;
    Ok(!was_spent.unwrap_or(mail.user_id.is_some()))
}

/// From when on mails are kept.
pub fn kept_from(now: Timestamp) -> Timestamp {
    crate::clock::before(now, KEPT)
}
