//! Guessing passwords gets slower with every wrong one: for an account from one network soon, for an account from all networks that
//! nobody has logged in from before much later, so that nobody can lock its owner out.

mod store;

use crate::{clock, http::problem::Problem};
use jiff::{SignedDuration, Timestamp};
use sqlx::{PgConnection, PgPool};
use std::time::Duration;
pub use store::know;
use uuid::Uuid;

/// Wrong passwords from one network before it has to wait.
const FREE_HERE: i32 = 5;
/// Wrong passwords from everywhere before networks that are not known have to wait.
const FREE_ANYWHERE: i32 = 50;
/// The longest wait.
const LONGEST_SECONDS: f64 = 900.0;
/// After this long nothing is held against anybody.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(24);
/// For so long a network is known after a login.
const KNOWN: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Counts a try before it is known whether it is right, so that many at once are counted too.
///
/// # Errors
/// 429 with the time to wait.
pub async fn admit(
    db: &PgPool,
    email: &str,
    network: &str,
    is_known: bool,
    now: Timestamp,
) -> Result<(), Problem> {
    count(db, &here(email, network), FREE_HERE, now).await?;
    if !is_known {
        count(db, &anywhere(email), FREE_ANYWHERE, now).await?;
    }
    Ok(())
}

/// Forgets what was counted: the password was right.
///
/// # Errors
/// As the database's.
pub async fn forgive(
    db: &mut PgConnection,
    email: &str,
    network: &str,
    is_known: bool,
) -> Result<(), sqlx::Error> {
    store::forget(db, &here(email, network)).await?;
    // The tries from elsewhere stay counted, but for this one.
    if is_known { Ok(()) } else { store::take_one_back(db, &anywhere(email)).await }
}

fn here(email: &str, network: &str) -> String {
    format!("{email}|{network}")
}

fn anywhere(email: &str) -> String {
    format!("{email}|*")
}

async fn count(db: &PgPool, key: &str, free: i32, now: Timestamp) -> Result<(), Problem> {
    if store::count(db, key, free, LONGEST_SECONDS, now, clock::before(now, FORGOTTEN)).await? {
        return Ok(());
    }
    let until = store::waits_until(db, key, free, LONGEST_SECONDS).await?;
    let wait = until.map_or(SignedDuration::ZERO, |until| until.duration_since(now));
    Err(Problem::rate_limited(Duration::try_from(wait).unwrap_or_default().max(Duration::from_secs(1))))
}

/// Whether somebody has logged in from there in the last three months.
///
/// # Errors
/// As the database's.
pub async fn is_known(
    db: &PgPool,
    user: Option<Uuid>,
    network: &str,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    store::is_known(db, user, network, clock::before(now, KNOWN)).await
}

/// Forgets what is held against nobody any more.
///
/// # Errors
/// As the database's.
pub async fn forget_old(db: &PgPool, now: Timestamp) -> Result<u64, sqlx::Error> {
    store::forget_old(db, clock::before(now, FORGOTTEN)).await
}
