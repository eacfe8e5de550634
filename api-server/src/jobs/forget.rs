//! Takes away what is over, one thing a job, so many rows at a time.

use super::{JobError, Kind, Payload, Run, store};
use crate::{clock, http, mail, payments::inbox, sessions, state::State, users};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How long a session that is over is kept, for whoever looks into what happened.
const SESSIONS: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How long a job that is done or was discarded is kept, and one that was given up.
const JOBS: SignedDuration = SignedDuration::from_hours(7 * 24);
const DEAD_JOBS: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How often rows are taken away in one run; what is left then waits for the next.
const TIMES: u32 = 100;

/// What is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum What {
    /// Sessions.
    Sessions,
    /// Tokens in mailed links.
    MailedTokens,
    /// How often passwords were wrong.
    WrongPasswords,
    /// Idempotency keys.
    IdempotencyKeys,
    /// Mails.
    Mails,
    /// Notifications of payments.
    Notifications,
    /// Rates of requests.
    Rates,
    /// Jobs.
    Jobs,
}

impl What {
    /// All of it.
    pub const ALL: &[Self] = &[
        Self::Sessions,
        Self::MailedTokens,
        Self::WrongPasswords,
        Self::IdempotencyKeys,
        Self::Mails,
        Self::Notifications,
        Self::Rates,
        Self::Jobs,
    ];

    /// As schedules name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::MailedTokens => "mailed-tokens",
            Self::WrongPasswords => "wrong-passwords",
            Self::IdempotencyKeys => "idempotency-keys",
            Self::Mails => "mails",
            Self::Notifications => "notifications",
            Self::Rates => "rates",
            Self::Jobs => "jobs",
        }
    }

    /// Takes some away; how many rows.
    async fn forget(self, state: &State, now: Timestamp) -> Result<u64, sqlx::Error> {
        let (db, mails) = (&state.db, mail::deliveries::kept_from(now));
        match self {
            Self::Sessions => sessions::forget_old(db, clock::before(now, SESSIONS)).await,
            // Longer than the mails, so that no link that was used becomes a new one when its mail is sent once more.
            Self::MailedTokens => users::store::forget_old_tokens(db, clock::before(mails, SESSIONS)).await,
            Self::WrongPasswords => users::backoff::forget_old(db, now).await,
            Self::IdempotencyKeys => http::idempotency::forget_old(db, now).await,
            Self::Mails => mail::store::forget_old(db, mails).await,
            Self::Notifications => inbox::forget_old(db, now).await,
            Self::Rates => http::rate::forget_old(db, now).await,
            Self::Jobs => store::forget(db, clock::before(now, JOBS), clock::before(now, DEAD_JOBS)).await,
        }
    }
}

/// One thing to be taken away.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forget {
    /// What.
    pub what: What,
}

impl Payload for Forget {
    const KIND: Kind = Kind::Forget;
}

/// Takes it away.
///
/// # Errors
/// As the database's.
pub async fn run(state: Arc<State>, job: Forget, run: Run) -> Result<(), JobError> {
    for _ in 0..TIMES {
        if job.what.forget(&state, run.now).await? == 0 {
            break;
        }
    }
    Ok(())
}
