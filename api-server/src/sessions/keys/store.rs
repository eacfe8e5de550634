//! All SQL about signing keys.

use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use sqlx::{PgConnection, PgExecutor};

/// A key as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) signs_from: Time,
    pub(super) expires_at: Time,
    pub(super) public_key: Vec<u8>,
    pub(super) sealed_key: Vec<u8>,
}

/// The keys that are not over, in the order they sign.
pub(super) async fn read(db: impl PgExecutor<'_>, now: Timestamp) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "select id, signs_from, expires_at, public_key, sealed_key from signing_keys where expires_at > $1 order by signs_from",
        Time::from(now) as _,
    )
    .fetch_all(db)
    .await
}

/// Waits until nobody else makes a key, until the transaction's end.
pub(super) async fn lock(db: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("select pg_advisory_xact_lock(hashtext('nakhoda signing keys')) is null as locked")
        .fetch_one(db)
        .await
        .map(drop)
}

pub(super) async fn insert(db: &mut PgConnection, row: &Row, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into signing_keys (id, created_at, signs_from, expires_at, public_key, sealed_key) values ($1, $2, $3, $4, $5, $6)",
        row.id,
        Time::from(now) as _,
        row.signs_from as _,
        row.expires_at as _,
        row.public_key,
        row.sealed_key,
    )
    .execute(db)
    .await
    .map(drop)
}
