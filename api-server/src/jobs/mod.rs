//! Background work in PostgreSQL. Whoever causes some writes a row into the outbox, in the transaction of the cause; a relay makes a job of
//! it, in a transaction of its own; a worker takes jobs by queue and runs them, again with growing pauses where they fail, until they are
//! given up in the open. A job may be run more than once, and is never run by two at the same time: what it does must bear to be repeated.

pub mod administration;
mod backoff;
pub mod forget;
mod hand;
pub mod metrics;
pub mod probe;
pub mod registry;
mod schedule;
pub mod store;
pub mod worker;

use crate::random;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sqlx::PgConnection;
use std::time::Duration;
use utoipa::ToSchema;
use uuid::Uuid;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What a job does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        #[schema(as = JobKind)]
        pub enum Kind { $($(#[$doc])* $name,)* }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// As the database has it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Reads what the database has.
            pub fn of(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    /// Nothing: each minute one shows that jobs are run, and how soon.
    Probe = "PROBE";
    /// Takes away what is over.
    Forget = "FORGET";
}

/// How jobs of a kind are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conduct {
    /// In which queue they wait.
    pub queue: Queue,
    /// How often one is tried until it is given up.
    pub attempts: u16,
    /// The longest that one attempt may take.
    pub longest: Duration,
}

impl Kind {
    /// How they are run.
    pub fn conduct(self) -> Conduct {
        match self {
            Self::Probe => Conduct { queue: Queue::Quick, attempts: 5, longest: Duration::from_secs(30) },
            Self::Forget => Conduct { queue: Queue::Upkeep, attempts: 10, longest: Duration::from_mins(5) },
        }
    }
}

/// Where jobs wait, so that those that take long keep nothing from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = JobQueue)]
pub enum Queue {
    /// What is done in a moment.
    Quick,
    /// What can wait a minute and may take several.
    Upkeep,
}

impl Queue {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Quick, Self::Upkeep];

    /// As the database has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quick => "QUICK",
            Self::Upkeep => "UPKEEP",
        }
    }

    /// Reads what the database has.
    pub fn of(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|queue| queue.as_str() == text)
    }

    /// How many of its jobs one process runs at once.
    pub fn at_once(self) -> usize {
        match self {
            Self::Quick => 16,
            Self::Upkeep => 2,
        }
    }

    /// How many one process takes before others may: where each is done in a moment more than it runs at once, so that they are taken and
    /// ended many at a time.
    pub fn in_hand(self) -> usize {
        match self {
            Self::Quick => 512,
            Self::Upkeep => self.at_once(),
        }
    }
}

/// What becomes of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = JobState)]
pub enum State {
    /// It is run when its time has come.
    Pending,
    /// A worker has it.
    Running,
    /// It is done.
    Done,
    /// It was given up.
    Dead,
    /// It was not to be done after all.
    Discarded,
}

impl State {
    /// As the database has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Done => "DONE",
            Self::Dead => "DEAD",
            Self::Discarded => "DISCARDED",
        }
    }

    fn of(text: &str) -> Self {
        match text {
            "RUNNING" => Self::Running,
            "DONE" => Self::Done,
            "DEAD" => Self::Dead,
            "DISCARDED" => Self::Discarded,
            _ => Self::Pending,
        }
    }
}

/// What a job of a kind needs to know. Ids and names of what is meant, and nothing that is secret or personal: administrators see it, and
/// it is kept for months. What else a job needs it reads when it is run.
pub trait Payload: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The kind.
    const KIND: Kind;
}

/// A job to be written.
#[derive(Clone, Debug)]
pub struct New {
    kind: Kind,
    key: Option<String>,
    payload: serde_json::Value,
    run_at: Option<Timestamp>,
}

impl New {
    /// One to be run as soon as may be.
    ///
    /// # Errors
    /// Where the payload is no JSON.
    pub fn of<P: Payload>(payload: &P) -> Result<Self, serde_json::Error> {
        Ok(Self { kind: P::KIND, key: None, payload: serde_json::to_value(payload)?, run_at: None })
    }

    /// One that takes the place of another of that kind and key where one waits: with the newer payload, at the earlier of both times. While
    /// one of them is run, another may wait, and is run after it. 1 to 200 characters.
    #[must_use]
    pub fn with_key(self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self }
    }

    /// One to be run at that time.
    #[must_use]
    pub fn at(self, run_at: Timestamp) -> Self {
        Self { run_at: Some(run_at), ..self }
    }
}

/// Writes a job that is run once the transaction has ended well. It waits for nobody, and nobody for it. Whoever wants it run at once in this
/// process says so after the commit (`State::jobs_are_due`); it is found within a tenth of a second anyhow.
///
/// # Errors
/// As the database's.
pub async fn enqueue(db: &mut PgConnection, new: &New, now: Timestamp) -> Result<(), sqlx::Error> {
    store::insert(db, random::id(now), new, now).await
}

/// Why a job was not done.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It may go better another time.
    #[error("{why}")]
    Again {
        /// What is said of it, to administrators and in the log; nothing secret.
        why: String,
        /// After how long; none: ever longer ones.
        after: Option<SignedDuration>,
    },
    /// It would end the same each time.
    #[error("{why}")]
    Dead {
        /// What is said of it, to administrators and in the log; nothing secret.
        why: String,
    },
}

impl JobError {
    /// To be tried again, after ever longer pauses.
    pub fn again(why: impl std::fmt::Display) -> Self {
        Self::Again { why: why.to_string(), after: None }
    }

    /// To be given up.
    pub fn dead(why: impl std::fmt::Display) -> Self {
        Self::Dead { why: why.to_string() }
    }
}

/// What the database said may hold values; its code and the constraint do not.
impl From<sqlx::Error> for JobError {
    fn from(error: sqlx::Error) -> Self {
        let Some(error) = error.as_database_error() else {
            return Self::again("the database can't be reached, or not in time");
        };
        let code = error.code().unwrap_or_default();
        Self::again(
            format!("the database refused: {code} {}", error.constraint().unwrap_or_default()).trim_end(),
        )
    }
}

/// Which run of a job this is.
#[derive(Clone, Debug)]
pub struct Run {
    /// The job.
    pub id: Uuid,
    /// Which attempt, of all that there were.
    pub attempt: i32,
    /// When this attempt began.
    pub now: Timestamp,
}

impl Run {
    /// Makes sure, in a transaction, that the job is still this run's, and that nobody else takes it until the transaction has ended. What is
    /// written in the same transaction is written by one run alone, even where a worker stood still for minutes.
    ///
    /// # Errors
    /// Where another has taken it, or the database's.
    pub async fn hold(&self, db: &mut PgConnection) -> Result<(), JobError> {
        if store::hold(db, self).await? {
            return Ok(());
        }
        Err(JobError::again("another worker has taken it"))
    }
}
