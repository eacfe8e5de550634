//! All SQL about the books.

use super::{Account, House, Posting, Wallet};
use crate::money::Rupiah;
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use sqlx::{PgConnection, PgExecutor, PgPool, Postgres, Transaction};
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

/// What all accounts come to: credits less debits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balances {
    /// What customers have paid in, together.
    pub cash: Rupiah,
    /// What customers were given, together.
    pub promotion: Rupiah,
    /// The house's, in the order of [`House::ALL`].
    pub house: [Rupiah; 5],
}

pub(super) async fn balances(db: impl PgExecutor<'_>) -> Result<Balances, sqlx::Error> {
    let rows = sqlx::query!(
        "with last as (select id, up_to from checkpoints order by up_to desc limit 1),
         since as (
             select least(debit, credit) as id, sum(case when credit >= 1000 then -amount else amount end) as delta
             from transfers where id > coalesce((select up_to from last), 0) group by 1
         )
         select a.kind as \"kind!\", (coalesce(b.balance, 0) + coalesce(s.delta, 0))::bigint as \"balance!\"
         from accounts a left join checkpoint_balances b on b.checkpoint_id = (select id from last) and b.account_id = a.id
         left join since s on s.id = a.id where a.id < 1000
         union all select kind, sum(balance)::bigint from accounts where id >= 1000 group by kind"
    )
    .fetch_all(db)
    .await?;
    let of = |kind: &str| {
        let found = rows.iter().find(|row| row.kind == kind).map_or(0, |row| row.balance);
        Rupiah::new(found).map_err(|error| sqlx::Error::Decode(Box::new(error)))
    };
    let mut house = [Rupiah::ZERO; 5];
    for (at, one) in House::ALL.into_iter().enumerate() {
        house[at] = of(one.as_str())?;
    }
    Ok(Balances { cash: of("CASH")?, promotion: of("PROMOTION")?, house })
}

/// Locks until the transaction's end that only one replica looks at the books at a time; none where another does.
pub(super) async fn alone(db: &PgPool) -> Result<Option<Transaction<'static, Postgres>>, sqlx::Error> {
    let mut tx = db.begin().await?;
    let row = sqlx::query!(
        "select pg_try_advisory_xact_lock(hashtextextended('ledger watch', 7)) as \"ours!\",
                set_config('idle_in_transaction_session_timeout', '1h', true) as bound"
    );
    if row.fetch_one(&mut *tx).await?.ours {
        return Ok(Some(tx));
    }
    tx.rollback().await?;
    Ok(None)
}
