//! All SQL about comparisons with the gateway.

use crate::payments::Comparison;
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use sqlx::{PgExecutor, PgPool, Postgres, Transaction};
use uuid::Uuid;

/// When the last comparison that came to its end was begun.
pub(in crate::payments) async fn last_comparison(
    db: impl PgExecutor<'_>,
) -> Result<Option<Timestamp>, sqlx::Error> {
    let at = sqlx::query_scalar!("select max(at) as \"at: Time\" from payment_comparisons");
    Ok(at.fetch_one(db).await?.map(Time::to_jiff))
}

pub(in crate::payments) async fn keep_comparison(
    db: impl PgExecutor<'_>,
    id: Uuid,
    at: Timestamp,
    done: &Comparison,
) -> Result<(), sqlx::Error> {
    let Comparison { since, asked, differing, unanswered } = done;
    sqlx::query!(
        "insert into payment_comparisons (id, at, since, asked, differing, unanswered) values ($1, $2, $3, $4, $5, $6)",
        id,
        Time::from(at) as _,
        Time::from(*since) as _,
        asked,
        differing,
        unanswered,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Locks until the transaction's end that only one replica compares at a time; none where another does.
pub(in crate::payments) async fn turn_to_compare(
    db: &PgPool,
) -> Result<Option<Transaction<'static, Postgres>>, sqlx::Error> {
    let mut tx = db.begin().await?;
    let row = sqlx::query!(
        "select pg_try_advisory_xact_lock(hashtextextended('payment comparison', 11)) as \"ours!\",
                set_config('idle_in_transaction_session_timeout', '6h', true) as bound"
    );
    if row.fetch_one(&mut *tx).await?.ours {
        return Ok(Some(tx));
    }
    tx.rollback().await?;
    Ok(None)
}
