//! All SQL about what the gateway holds.

use super::rupiah;
use crate::{
    money::Rupiah,
    payments::{
        Payment,
        judge::{Kind, Standing, TakeBack},
    },
};
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use sqlx::{PgConnection, PgExecutor, PgPool};
use std::collections::BTreeSet;
use uuid::Uuid;

fn read_standing(text: &str) -> Result<Standing, sqlx::Error> {
    Ok(match text {
        "PENDING" => Standing::Pending,
        "UNPAID" => Standing::Unpaid,
        "PAID" => Standing::Paid,
        "PARTLY_REVERSED" => Standing::PartlyReversed,
        "REVERSED" => Standing::Reversed,
        _ => return Err(sqlx::Error::Decode(format!("`{text}` is no standing").into())),
    })
}

fn standing_text(standing: Standing) -> &'static str {
    match standing {
        Standing::Pending => "PENDING",
        Standing::Unpaid => "UNPAID",
        Standing::Paid => "PAID",
        Standing::PartlyReversed => "PARTLY_REVERSED",
        Standing::Reversed => "REVERSED",
    }
}

/// What is known of a payment.
pub(in crate::payments) async fn payment(
    db: &mut PgConnection,
    gateway_id: &str,
) -> Result<Option<Payment>, sqlx::Error> {
    let row = sqlx::query!(
        "select p.attempt_id, p.status, p.standing, p.credited_by, p.credited, p.taken_back, p.asked_at as \"asked_at: Time\",
                coalesce((select array_agg(r.key) from gateway_refunds r where r.gateway = p.gateway and r.gateway_id = p.gateway_id), '{}') as \"keys!\"
         from gateway_payments p where p.gateway = 'MIDTRANS' and p.gateway_id = $1",
        gateway_id
    )
    .fetch_optional(db)
    .await?;
    row.map(|row| {
        Ok(Payment {
            attempt_id: row.attempt_id,
            status: row.status,
            standing: read_standing(&row.standing)?,
            credited_by: row.credited_by,
            credited: rupiah(row.credited)?,
            taken_back: rupiah(row.taken_back)?,
            keys: row.keys.into_iter().collect::<BTreeSet<_>>(),
            asked_at: row.asked_at.map(Time::to_jiff),
        })
    })
    .transpose()
}

/// The gateway's ids of an attempt's payments, each with what it says and whether it was credited.
pub(in crate::payments) async fn payments_of(
    db: impl PgExecutor<'_>,
    attempt_id: Uuid,
) -> Result<Vec<(String, String, bool)>, sqlx::Error> {
    let rows = sqlx::query!(
        "select gateway_id, status, credited_by is not null as \"credited!\" from gateway_payments where attempt_id = $1 order by first_seen_at, gateway_id",
        attempt_id
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.gateway_id, row.status, row.credited)).collect())
}

/// How a payment stands by its id, without its refunds.
pub(in crate::payments) async fn standing_of(
    db: &PgPool,
    gateway_id: &str,
) -> Result<Option<(String, Standing)>, sqlx::Error> {
    let row = sqlx::query!(
        "select status, standing from gateway_payments where gateway = 'MIDTRANS' and gateway_id = $1",
        gateway_id
    );
    row.fetch_optional(db).await?.map(|row| Ok((row.status, read_standing(&row.standing)?))).transpose()
}

/// Keeps what is known of a payment from now on.
pub(in crate::payments) async fn keep_payment(
    db: &mut PgConnection,
    gateway_id: &str,
    payment: &Payment,
    payment_type: &str,
    gross: Rupiah,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let Payment { attempt_id, status, standing, credited_by, credited, taken_back, keys: _, asked_at } =
        payment;
    sqlx::query!(
        "insert into gateway_payments
             (gateway_id, attempt_id, status, payment_type, standing, gross_amount, credited_by, credited, taken_back, asked_at, first_seen_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $11, $10, $10)
         on conflict (gateway, gateway_id) do update set status = excluded.status, payment_type = excluded.payment_type,
             standing = excluded.standing, gross_amount = excluded.gross_amount, credited_by = excluded.credited_by,
             credited = excluded.credited, taken_back = excluded.taken_back, asked_at = excluded.asked_at,
             updated_at = excluded.updated_at",
        gateway_id,
        attempt_id,
        status,
        payment_type,
        standing_text(*standing),
        gross.get(),
        *credited_by,
        credited.get(),
        taken_back.get(),
        Time::from(now) as _,
        asked_at.map(Time::from) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Notes that what is known of a payment was so when the gateway was asked last.
pub(in crate::payments) async fn confirm_payment(
    db: &mut PgConnection,
    gateway_id: &str,
    asked_at: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update gateway_payments set asked_at = $2 where gateway = 'MIDTRANS' and gateway_id = $1",
        gateway_id,
        Time::from(asked_at) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Keeps the key of what went back, with what was taken back for it.
pub(in crate::payments) async fn keep_refund(
    db: &mut PgConnection,
    gateway_id: &str,
    part: &TakeBack,
    transaction_id: Option<Uuid>,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let kind = match part.kind {
        Kind::Reversal => "REVERSAL",
        Kind::Refund => "REFUND",
        Kind::Chargeback => "CHARGEBACK",
    };
    sqlx::query!(
        "insert into gateway_refunds (gateway, gateway_id, key, kind, amount, transaction_id, at) values ('MIDTRANS', $1, $2, $3, $4, $5, $6)",
        gateway_id,
        part.key,
        kind,
        part.amount.get(),
        transaction_id,
        Time::from(now) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// A top-up that was credited, and no payment of it is known.
pub(in crate::payments) struct Uncovered {
    pub(in crate::payments) number: i64,
    pub(in crate::payments) user_id: Uuid,
    pub(in crate::payments) amount: Rupiah,
}

/// Those that were credited since.
pub(in crate::payments) async fn uncovered(
    db: &PgPool,
    since: Timestamp,
) -> Result<Vec<Uncovered>, sqlx::Error> {
    let rows = sqlx::query!(
        "select t.number, t.user_id, t.amount from transactions t
         where t.decided_at >= $1 and t.type = 'TOP_UP' and t.status = 'COMPLETED'
           and not exists (select from gateway_payments p where p.credited_by = t.id)
         order by t.number limit 1000",
        Time::from(since) as _
    );
    let rows = rows.fetch_all(db).await?.into_iter();
    rows.map(|row| Ok(Uncovered { number: row.number, user_id: row.user_id, amount: rupiah(row.amount)? }))
        .collect()
}

/// Whether an administrator has settled what was found about a payment.
pub(in crate::payments) async fn is_settled(db: &PgPool, gateway_id: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        "select exists (select from payment_findings where subject = $1 and settled_at is not null and kind <> 'MISSED_NOTIFICATION') as \"is_settled!\"",
        gateway_id
    )
    .fetch_one(db)
    .await
}
