//! The way to PostgreSQL: the pool, the migrations, and what is said when either is not as it must be.

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{
    ConnectOptions as _, PgPool, Postgres, Transaction,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{str::FromStr as _, time::Duration};

/// The migrations that this binary brings along.
pub static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");
/// The oldest PostgreSQL that is supported, as `server_version_num`.
const OLDEST: i32 = 150_000;
/// How long a request may wait for a connection.
const ACQUIRE: Duration = Duration::from_secs(3);

/// Why the database can't be used. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The address makes no sense.
    #[error("the database's address can't be read; it looks like postgres://user:password@host:5432/name")]
    Address(#[source] sqlx::Error),
    /// Nobody answers, or not to us.
    #[error(
        "the database can't be reached or refuses us; check its address, that it runs, and the role's password"
    )]
    Unreachable(#[source] sqlx::Error),
    /// Its version is too low.
    #[error("the database is PostgreSQL {found}, and 15 is the oldest that works; upgrade it")]
    TooOld {
        /// What it says of itself.
        found: String,
    },
    /// Migrations are missing.
    #[error(
        "the database is migrated up to {found}, and this version needs {needed}; run: api-server migrate"
    )]
    NotMigrated {
        /// The last migration there; 0 for none.
        found: i64,
        /// The last that this binary knows.
        needed: i64,
    },
    /// A newer version has been here; only a migration would make it worse.
    #[error(
        "the database is migrated up to {found}, which is newer than this version ({known}); run the newer version's migrate"
    )]
    Newer {
        /// The last migration there.
        found: i64,
        /// The last that this binary knows.
        known: i64,
    },
    /// A migration failed, or was changed after it ran.
    #[error("the database can't be migrated: {0}")]
    Migration(#[from] MigrateError),
    /// A look at its state failed.
    #[error("the database's state can't be read")]
    Failed(#[from] sqlx::Error),
}

/// How far the database is, of what this binary knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As far as this binary.
    Current,
    /// Further: a newer version runs beside or ran before. Migrations only add, so this version goes on.
    Newer {
        /// The last migration there.
        found: i64,
    },
}

fn options(url: &SecretString) -> Result<PgConnectOptions, DatabaseError> {
    let options = PgConnectOptions::from_str(url.expose_secret()).map_err(DatabaseError::Address)?;
    Ok(options.application_name("nakhoda-api-server").disable_statement_logging())
}

/// A pool of the application's connections. None is opened yet, so that a start does not depend on the database.
///
/// # Errors
/// [`DatabaseError::Address`].
pub fn pool(
    url: &SecretString,
    connections: u32,
    statement_timeout: Duration,
) -> Result<PgPool, DatabaseError> {
    let bound = statement_timeout.as_millis().to_string();
    let options = options(url)?.options([
        ("statement_timeout", bound.as_str()),
        ("idle_in_transaction_session_timeout", bound.as_str()),
        ("lock_timeout", bound.as_str()),
    ]);
    Ok(PgPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE).connect_lazy_with(options))
}

/// For a query with filters that may be left out: planned by those that are there, so that it finds its index however large the table
/// is. A plan for all cases can't.
///
/// # Errors
/// As the database's.
pub async fn planned_anew(db: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let mut tx = db.begin().await?;
    sqlx::query!("set local plan_cache_mode = force_custom_plan").execute(&mut *tx).await?;
    Ok(tx)
}

/// Migrates as the owner of the tables. Running it twice, or from two places at once, is fine.
///
/// # Errors
/// [`DatabaseError`].
pub async fn migrate(url: &SecretString) -> Result<(), DatabaseError> {
    let pool =
        PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE).connect_lazy_with(options(url)?);
    check_version(&pool).await?;
    if let Some(found) = last_applied(&pool).await?
        && found > last_known()
    {
        return Err(DatabaseError::Newer { found, known: last_known() });
    }
    MIGRATIONS.run(&pool).await?;
    pool.close().await;
    Ok(())
}

/// How far it is migrated, checked with its version.
///
/// # Errors
/// [`DatabaseError`], of which each says what is missing.
pub async fn check(pool: &PgPool) -> Result<Level, DatabaseError> {
    check_version(pool).await?;
    let needed = last_known();
    match last_applied(pool).await? {
        Some(found) if found > needed => Ok(Level::Newer { found }),
        Some(found) if found == needed => Ok(Level::Current),
        found => Err(DatabaseError::NotMigrated { found: found.unwrap_or(0), needed }),
    }
}

async fn check_version(pool: &PgPool) -> Result<(), DatabaseError> {
    let (number, found): (i32, String) = sqlx::query_as(
        "select current_setting('server_version_num')::int, current_setting('server_version')",
    )
    .fetch_one(pool)
    .await
    .map_err(DatabaseError::Unreachable)?;
    if number < OLDEST { Err(DatabaseError::TooOld { found }) } else { Ok(()) }
}

fn last_known() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

async fn last_applied(pool: &PgPool) -> Result<Option<i64>, DatabaseError> {
    let is_there: bool =
        sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null").fetch_one(pool).await?;
    if !is_there {
        return Ok(None);
    }
    Ok(sqlx::query_scalar("select max(version) from _sqlx_migrations where success").fetch_one(pool).await?)
}

/// Whether the same would fail again however often it is tried: what is written breaks a rule, or what is read is not what it should be.
pub fn is_refused(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let is_rule = |code: &str| ["22", "23", "P0"].iter().any(|class| code.starts_with(class));
    let is_unreadable = matches!(error, sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. });
    is_unreadable || code.is_some_and(|code| is_rule(&code))
}

/// Whether an error says that a unique index has the value already.
pub fn is_taken(error: &sqlx::Error, index: &str) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.is_unique_violation() && error.constraint() == Some(index))
}
