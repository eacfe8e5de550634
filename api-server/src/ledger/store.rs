//! All SQL about the books.

use super::{Account, Posting, Wallet};
use crate::money::Rupiah;
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

struct Row {
    id: Option<i64>,
    kind: Option<String>,
    balance: Option<i64>,
    floor: Option<i64>,
}

fn wallet(rows: &[Row]) -> Option<Wallet> {
    let account = |kind: &str| {
        let row = rows.iter().find(|row| row.kind.as_deref() == Some(kind))?;
        let rupiah = |amount: Option<i64>| Rupiah::new(amount?).ok();
        Some(Account { id: row.id?, balance: rupiah(row.balance)?, floor: rupiah(row.floor)? })
    };
    Some(Wallet { cash: account("CASH")?, promotion: account("PROMOTION")? })
}

pub(super) async fn lock(
    db: &mut PgConnection,
    user_id: Uuid,
    now: Timestamp,
) -> Result<Wallet, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        "select id, kind, balance, floor from wallet_locked($1, $2)",
        user_id,
        Time::from(now) as _
    )
    .fetch_all(db)
    .await?;
    wallet(&rows).ok_or(sqlx::Error::RowNotFound)
}

pub(super) async fn read(db: impl PgExecutor<'_>, user_id: Uuid) -> Result<Option<Wallet>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        "select id as \"id?\", kind as \"kind?\", balance, floor from accounts where user_id = $1",
        user_id
    )
    .fetch_all(db)
    .await?;
    Ok(wallet(&rows))
}

/// Whether the key was free.
pub(super) async fn insert_entry(
    db: &mut PgConnection,
    posting: &Posting<'_>,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let Posting { kind, key, transaction_id, moves: _ } = posting;
    let done = sqlx::query!(
        "insert into entries (id, kind, key, at) values ($1, $2, $3, $4) on conflict (key) do nothing",
        *transaction_id,
        kind.as_str(),
        *key,
        Time::from(now) as _,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn insert_transfer(
    db: &mut PgConnection,
    entry_id: Uuid,
    debit: i64,
    credit: i64,
    amount: Rupiah,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into transfers (entry_id, debit, credit, amount) values ($1, $2, $3, $4)",
        entry_id,
        debit,
        credit,
        amount.get(),
    )
    .execute(db)
    .await
    .map(drop)
}

pub(super) async fn has_key(db: &mut PgConnection, key: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!("select exists (select from entries where key = $1) as \"there!\"", key)
        .fetch_one(db)
        .await
}
