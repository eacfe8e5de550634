//! All SQL about what was sold beside what was paid for it.

use crate::money::Rupiah;
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

/// Something that has no counterpart.
pub(super) struct Found {
    /// The code of a kind.
    pub(super) kind: String,
    pub(super) subscription: Option<Uuid>,
    /// Of the transaction.
    pub(super) number: Option<i64>,
    pub(super) user: Uuid,
    pub(super) amount: Rupiah,
    /// What the subscription cost, where there is one.
    pub(super) price: Option<Rupiah>,
}

/// All that is read in it is of one moment, and may take long.
async fn at_one_moment(db: &PgPool) -> Result<Transaction<'_, Postgres>, sqlx::Error> {
    let mut tx = db.begin_with("begin isolation level repeatable read read only").await?;
    sqlx::query!("select set_config('statement_timeout', '600000', true) as bound")
        .fetch_one(&mut *tx)
        .await?;
    Ok(tx)
}

/// How many subscriptions there are, and what has no counterpart: in one moment, so that nothing is half-done.
pub(super) async fn sales(db: &PgPool) -> Result<(u64, Vec<Found>), sqlx::Error> {
    let mut tx = at_one_moment(db).await?;
    let count =
        sqlx::query_scalar!("select count(*) as \"count!\" from subscriptions").fetch_one(&mut *tx).await?;
    let rows = sqlx::query!(
        "(select 'PURCHASE_MISSING' as \"kind!\", s.id as subscription, null::bigint as number, s.user_id as \"user!\", s.price as \"amount!\",
                 s.price as price
          from subscriptions s
          where s.price > 0 and not exists (
              select from transactions t where t.subscription_id = s.id and t.type = 'PURCHASE' and t.status in ('COMPLETED', 'REVERSED'))
          order by s.id limit 1000)
         union all
         (select 'SUBSCRIPTION_MISSING', t.subscription_id, t.number, t.user_id, t.amount, null from transactions t
          where t.type in ('PURCHASE', 'RENEWAL', 'UPGRADE') and t.status = 'COMPLETED'
            and not exists (select from subscriptions s where s.id = t.subscription_id)
          order by t.id limit 1000)
         union all
         (select 'PURCHASE_TOO_MANY', t.subscription_id, t.number, t.user_id, t.amount, null from transactions t
          where t.type = 'PURCHASE' and t.status = 'COMPLETED' and exists (
              select from transactions o
              where o.subscription_id = t.subscription_id and o.type = 'PURCHASE' and o.status = 'COMPLETED' and o.number < t.number)
          order by t.id limit 1000)
         union all
         (select 'PURCHASE_DIFFERS', s.id, t.number, t.user_id, t.amount, s.price
          from transactions t join subscriptions s on s.id = t.subscription_id
          where t.type = 'PURCHASE' and t.status = 'COMPLETED' and t.amount <> s.price and s.periods <= 1
          order by t.id limit 1000)
         union all
         (select 'REFUND_MISSING', s.id, t.number, s.user_id, t.amount, s.price from subscriptions s join transactions t on t.id = s.refund_id
          where s.fenced_at is not null and t.status not in ('COMPLETED', 'REVERSED') order by s.id limit 1000)
         union all
         (select 'REFUND_MISSING', s.id, null, s.user_id, s.price, s.price from subscriptions s
          where s.ended_at is not null and s.paid_until is null and s.price > 0 and s.refund_id is null order by s.id limit 1000)
         union all
         (select 'REFUND_TOO_LARGE', s.id, t.number, t.user_id, t.amount, s.price from subscriptions s join transactions t on t.id = s.refund_id
          where t.amount > s.price order by s.id limit 1000)
         union all
         (select 'REFUND_TOO_MANY', t.subscription_id, t.number, t.user_id, t.amount, null from transactions t
          where t.type = 'REFUND' and t.status = 'COMPLETED' and t.subscription_id is not null
            and not exists (select from subscriptions s where s.id = t.subscription_id and s.refund_id = t.id and s.fenced_at is not null)
          order by t.id limit 1000)"
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.rollback().await?;
    let rupiah = |amount| Rupiah::new(amount).map_err(|error| sqlx::Error::Decode(Box::new(error)));
    let found = rows.into_iter().map(|row| {
        Ok(Found {
            kind: row.kind,
            subscription: row.subscription,
            number: row.number,
            user: row.user,
            amount: rupiah(row.amount)?,
            price: row.price.map(rupiah).transpose()?,
        })
    });
    let found: Result<_, sqlx::Error> = found.collect();
    Ok((u64::try_from(count).unwrap_or_default(), found?))
}
