//! What is known of one payment, in all tables.

use super::rupiah;
use crate::payments::inquiry::{About, Held, Told, Try};
use jiff_sqlx::Timestamp as Time;
use sqlx::PgPool;
use uuid::Uuid;

/// The top-up that somebody has something of at hand, and whose it is.
pub(in crate::payments) async fn top_up(
    db: &PgPool,
    about: About<'_>,
) -> Result<Option<(Uuid, Uuid)>, sqlx::Error> {
    let About { text, id, number } = about;
    let row = sqlx::query!(
        "with ours as (select id from transactions where id = $2 or number = $3)
         select id, user_id from top_ups where id in (
             select top_up_id from payment_attempts where order_id = $1
             union all select a.top_up_id from gateway_payments p join payment_attempts a on a.id = p.attempt_id
                 where p.gateway = 'MIDTRANS' and p.gateway_id = $1
             union all select a.top_up_id from gateway_payments p join payment_attempts a on a.id = p.attempt_id
                 where p.credited_by in (select id from ours)
             union all select id from top_ups where transaction_id in (select id from ours)
             union all select id from top_ups where id = $2
         ) limit 1",
        text,
        id,
        number,
    );
    Ok(row.fetch_optional(db).await?.map(|row| (row.id, row.user_id)))
}

pub(in crate::payments) async fn attempts(db: &PgPool, top_up_id: Uuid) -> Result<Vec<Try>, sqlx::Error> {
    let rows = sqlx::query!(
        "select order_id, amount, state = 'OPEN' as \"is_open!\", token is not null as \"has_page!\", cancel_wanted,
                created_at as \"created_at: Time\", expires_at as \"expires_at: Time\", next_check_at as \"next_check_at: Time\",
                checks, failing_since as \"failing_since: Time\"
         from payment_attempts where top_up_id = $1 order by created_at desc, id desc",
        top_up_id
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Try {
                order_id: row.order_id,
                amount: rupiah(row.amount)?,
                is_open: row.is_open,
                has_page: row.has_page,
                cancel_wanted: row.cancel_wanted,
                created_at: row.created_at.to_jiff(),
                expires_at: row.expires_at.to_jiff(),
                next_check_at: row.next_check_at.map(Time::to_jiff),
                checks: row.checks,
                failing_since: row.failing_since.map(Time::to_jiff),
            })
        })
        .collect()
}

pub(in crate::payments) async fn payments(db: &PgPool, top_up_id: Uuid) -> Result<Vec<Held>, sqlx::Error> {
    let rows = sqlx::query!(
        "select p.gateway_id, a.order_id, p.status, p.payment_type, p.standing, p.gross_amount, p.credited, p.credited_by, p.taken_back,
                p.asked_at as \"asked_at: Time\", p.first_seen_at as \"first_seen_at: Time\", p.updated_at as \"updated_at: Time\"
         from gateway_payments p join payment_attempts a on a.id = p.attempt_id
         where a.top_up_id = $1 order by p.first_seen_at, p.gateway_id",
        top_up_id
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Held {
                gateway_id: row.gateway_id,
                order_id: row.order_id,
                status: row.status,
                payment_type: row.payment_type,
                standing: row.standing,
                gross_amount: rupiah(row.gross_amount)?,
                credited: rupiah(row.credited)?,
                credited_by: row.credited_by,
                taken_back: rupiah(row.taken_back)?,
                asked_at: row.asked_at.map(Time::to_jiff),
                first_seen_at: row.first_seen_at.to_jiff(),
                updated_at: row.updated_at.to_jiff(),
            })
        })
        .collect()
}

/// The last notifications that name one of these as their order or as the gateway's transaction.
pub(in crate::payments) async fn notifications(
    db: &PgPool,
    subjects: &[String],
) -> Result<Vec<Told>, sqlx::Error> {
    let rows = sqlx::query!(
        "select id, order_id, gateway_id, status, state, address, received_at as \"received_at: Time\", decided_at as \"decided_at: Time\",
                attempts, last_error
         from payment_notifications where order_id = any($1) or gateway_id = any($1) order by received_at desc, id desc limit 100",
        subjects
    )
    .fetch_all(db)
    .await?;
    let told = rows.into_iter().map(|row| Told {
        id: row.id,
        order_id: row.order_id,
        gateway_id: row.gateway_id,
        status: row.status,
        state: row.state,
        address: row.address,
        received_at: row.received_at.to_jiff(),
        decided_at: row.decided_at.map(Time::to_jiff),
        attempts: row.attempts,
        last_error: row.last_error,
    });
    Ok(told.collect())
}
