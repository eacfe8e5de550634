//! All SQL about what was paid and what comes back.

use super::decode;
use crate::money::Rupiah;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

/// What a purchase took from which purse: cash and promotion.
pub(in crate::subscriptions) async fn paid_with(
    db: &mut PgConnection,
    id: Uuid,
) -> Result<(Uuid, Rupiah, Rupiah), sqlx::Error> {
    let row = sqlx::query!(
        "select t.id, coalesce(sum(f.amount) filter (where a.kind = 'CASH'), 0)::bigint as \"cash!\",
                coalesce(sum(f.amount) filter (where a.kind = 'PROMOTION'), 0)::bigint as \"promotion!\"
         from transactions t join transfers f on f.entry_id = t.id join accounts a on a.id = f.debit
         where t.id = (select id from transactions where subscription_id = $1 and direction = 'DEBIT' and status in ('COMPLETED', 'REVERSED')
                       order by created_at desc, id desc limit 1)
         group by t.id",
        id
    )
    .fetch_one(db)
    .await?;
    let rupiah = |amount| Rupiah::new(amount).map_err(decode);
    Ok((row.id, rupiah(row.cash)?, rupiah(row.promotion)?))
}

/// How refunds stand.
pub(in crate::subscriptions) async fn refunds(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
) -> Result<Vec<Refund>, sqlx::Error> {
    let rows = sqlx::query!("select id, number, amount, status from transactions where id = any($1)", ids);
    let read = |amount| Rupiah::new(amount).map_err(decode);
    let rows = rows.fetch_all(db).await?.into_iter().map(|row| {
        let is_done = row.status != "PENDING";
        Ok(Refund { transaction_id: row.id, number: row.number, amount: read(row.amount)?, is_done })
    });
    rows.collect()
}

/// How one refund stands.
pub(in crate::subscriptions) async fn refund(
    db: impl PgExecutor<'_>,
    id: Uuid,
) -> Result<Refund, sqlx::Error> {
    refunds(db, &[id]).await?.pop().ok_or(sqlx::Error::RowNotFound)
}

/// Money that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refund {
    /// The transaction.
    pub transaction_id: Uuid,
    /// Its number.
    pub number: i64,
    /// How much.
    pub amount: Rupiah,
    /// Whether it has come.
    pub is_done: bool,
}
