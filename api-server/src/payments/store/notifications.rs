//! All SQL about notifications.

use crate::payments::inbox::{End, NewNotification, Waiting};
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use sqlx::PgPool;
use uuid::Uuid;

pub(in crate::payments) async fn keep_notification(
    db: &PgPool,
    new: &NewNotification<'_>,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let NewNotification { id, address, body, is_forged, order_id, gateway_id, status } = new;
    sqlx::query!(
        "insert into payment_notifications (id, received_at, address, body, state, order_id, gateway_id, status, next_attempt_at, decided_at)
         values ($1, $2, $3, $4, case when $5 then 'FORGED' else 'RECEIVED' end, $6, $7, $8, $2, case when $5 then $2::timestamptz end)",
        id,
        Time::from(now) as _,
        address,
        *body,
        is_forged,
        *order_id,
        *gateway_id,
        *status,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Notifications that are due, taken for as long as `until`.
pub(in crate::payments) async fn take_notifications(
    db: &PgPool,
    now: Timestamp,
    until: Timestamp,
    most: i64,
) -> Result<Vec<Waiting>, sqlx::Error> {
    sqlx::query_as!(
        Waiting,
        "update payment_notifications set next_attempt_at = $2, attempts = attempts + 1
         where id in (
             select id from payment_notifications where state = 'RECEIVED' and next_attempt_at <= $1
             order by next_attempt_at limit $3 for update skip locked)
         returning id, coalesce(order_id, '') as \"order_id!\", gateway_id, status, attempts",
        Time::from(now) as _,
        Time::from(until) as _,
        most,
    )
    .fetch_all(db)
    .await
}

pub(in crate::payments) async fn end_notification(
    db: &PgPool,
    id: Uuid,
    end: End,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let state = match end {
        End::Done => "DONE",
        End::UnknownOrder => "UNKNOWN_ORDER",
    };
    sqlx::query!(
        "update payment_notifications set state = $2, decided_at = $3, last_error = null where id = $1",
        id,
        state,
        Time::from(now) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

pub(in crate::payments) async fn fail_notification(
    db: &PgPool,
    id: Uuid,
    error: &str,
    again: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update payment_notifications set last_error = left($2, 500), next_attempt_at = $3 where id = $1 and state = 'RECEIVED'",
        id,
        error,
        Time::from(again) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

pub(in crate::payments) async fn forget_notifications(
    db: &PgPool,
    before: Timestamp,
    forged_before: Timestamp,
) -> Result<u64, sqlx::Error> {
    let old = sqlx::query!(
        "delete from payment_notifications where id in (select id from payment_notifications where received_at < $1 limit 5000)",
        Time::from(before) as _
    );
    let of_nobody = sqlx::query!(
        "delete from payment_notifications where id in (
             select id from payment_notifications where received_at < $1 and state in ('FORGED', 'UNKNOWN_ORDER') limit 5000)",
        Time::from(forged_before) as _
    );
    Ok(old.execute(db).await?.rows_affected() + of_nobody.execute(db).await?.rows_affected())
}
