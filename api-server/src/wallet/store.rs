//! All SQL about transactions as people see them.

use super::{New, Number, Status};
use crate::money::Rupiah;
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// What is meant to be paid, and not decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// How many.
    pub count: i64,
    /// How much, together.
    pub amount: Rupiah,
}

/// An amount as the database sums it up.
pub(super) fn rupiah(amount: i64) -> Result<Rupiah, sqlx::Error> {
    Rupiah::new(amount).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// A word of a list, as the database has it.
pub(super) fn known<T>(read: Option<T>, text: &str) -> Result<T, sqlx::Error> {
    read.ok_or_else(|| sqlx::Error::Decode(format!("`{text}` is not known").into()))
}

pub(super) async fn pending_top_ups(db: &PgPool, user_id: Uuid) -> Result<Pending, sqlx::Error> {
    let row = sqlx::query!(
        "select count(*) as \"count!\", coalesce(sum(amount), 0)::bigint as \"amount!\"
         from transactions where user_id = $1 and status = 'PENDING' and type = 'TOP_UP'",
        user_id
    )
    .fetch_one(db)
    .await?;
    Ok(Pending { count: row.count, amount: rupiah(row.amount)? })
}

pub(super) async fn insert(
    db: &mut PgConnection,
    id: Uuid,
    new: &New<'_>,
    status: Status,
    now: Timestamp,
) -> Result<Number, sqlx::Error> {
    let New { user_id, kind, direction, amount, description, method, subscription_id, service, reverses } =
        new;
    sqlx::query_scalar!(
        "insert into transactions
             (id, user_id, type, direction, amount, status, description, method, subscription_id, service, reverses, created_at, decided_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, case when $6 <> 'PENDING' then $12::timestamptz end) returning number",
        id,
        user_id,
        kind.as_str(),
        direction.as_str(),
        amount.get(),
        status.as_str(),
        *description,
        *method,
        *subscription_id,
        *service,
        *reverses,
        Time::from(now) as _,
    )
    .fetch_one(db)
    .await
    .map(Number)
}

pub(super) async fn decide(
    db: &mut PgConnection,
    id: Uuid,
    status: Status,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update transactions set status = $2, decided_at = $3 where id = $1 and status <> $2",
        id,
        status.as_str(),
        Time::from(now) as _,
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}
