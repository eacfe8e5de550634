//! All SQL about transactions as people see them.

use super::{New, Number, Status};
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use sqlx::PgConnection;
use uuid::Uuid;

pub(super) async fn insert(
    db: &mut PgConnection,
    id: Uuid,
    new: &New<'_>,
    now: Timestamp,
) -> Result<Number, sqlx::Error> {
    let New { user_id, kind, direction, amount, description, method, subscription_id, service, reverses } =
        new;
    sqlx::query_scalar!(
        "insert into transactions
             (id, user_id, type, direction, amount, status, description, method, subscription_id, service, reverses, created_at)
         values ($1, $2, $3, $4, $5, 'PENDING', $6, $7, $8, $9, $10, $11) returning number",
        id,
        user_id,
        kind.as_str(),
        direction.as_str(),
        amount.get(),
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
