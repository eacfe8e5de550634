//! All SQL about payments.

pub(super) mod inquiry;

use super::{Attempt, Comparison, Due, NewAttempt, NewTopUp, Payment, TopUp, findings::Found};
use crate::{
    money::Rupiah,
    payments::judge::{Standing, TakeBack},
    wallet::{Number, Status},
};
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor, PgPool, Postgres, Transaction};
use std::collections::BTreeSet;
use uuid::Uuid;

struct Row {
    id: Uuid,
    top_up_id: Uuid,
    transaction_id: Uuid,
    user_id: Uuid,
    number: i64,
    status: String,
    amount: i64,
    method: Option<String>,
    is_open: bool,
    token: Option<String>,
    redirect_url: Option<String>,
    created_at: Time,
    expires_at: Time,
    was_called: bool,
    cancel_wanted: bool,
}

impl TryFrom<Row> for Attempt {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.id,
            top_up_id: row.top_up_id,
            transaction_id: row.transaction_id,
            user_id: row.user_id,
            number: Number(row.number),
            status: read_status(&row.status)?,
            amount: rupiah(row.amount)?,
            method: row.method,
            is_open: row.is_open,
            page: row.token.zip(row.redirect_url),
            created_at: row.created_at.to_jiff(),
            expires_at: row.expires_at.to_jiff(),
            was_called: row.was_called,
            cancel_wanted: row.cancel_wanted,
        })
    }
}

fn rupiah(amount: i64) -> Result<Rupiah, sqlx::Error> {
    Rupiah::new(amount).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

fn read_status(text: &str) -> Result<Status, sqlx::Error> {
    Status::of(text).ok_or_else(|| sqlx::Error::Decode(format!("`{text}` is no status").into()))
}

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

macro_rules! attempts {
    ($end:literal $(, $value:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            "select a.id, a.top_up_id, u.transaction_id, u.user_id, t.number, t.status, a.amount, t.method, a.state = 'OPEN' as \"is_open!\",
                    a.token, a.redirect_url, a.created_at as \"created_at: Time\", a.expires_at as \"expires_at: Time\",
                    a.calling_until is not null as \"was_called!\", a.cancel_wanted
             from payment_attempts a join top_ups u on u.id = a.top_up_id join transactions t on t.id = u.transaction_id " + $end
            $(, $value)*
        )
    };
}

/// An attempt by its id.
pub(super) async fn attempt(db: impl PgExecutor<'_>, id: Uuid) -> Result<Option<Attempt>, sqlx::Error> {
    attempts!("where a.id = $1", id).fetch_optional(db).await?.map(Attempt::try_from).transpose()
}

/// The same, its top-up's transaction locked until the database transaction's end: nothing else is decided about that top-up meanwhile.
pub(super) async fn locked(db: &mut PgConnection, id: Uuid) -> Result<Option<Attempt>, sqlx::Error> {
    let found = attempts!("where a.id = $1 for no key update of t", id).fetch_optional(db).await?;
    found.map(Attempt::try_from).transpose()
}

/// The last attempt of somebody's top-up.
pub(super) async fn last_of(
    db: impl PgExecutor<'_>,
    user_id: Uuid,
    top_up_id: Uuid,
) -> Result<Option<Attempt>, sqlx::Error> {
    let end = attempts!(
        "where a.top_up_id = $1 and u.user_id = $2 order by a.created_at desc, a.id desc limit 1",
        top_up_id,
        user_id
    );
    end.fetch_optional(db).await?.map(Attempt::try_from).transpose()
}

/// The last attempt of a top-up, whoever's it is.
pub(super) async fn last_of_anybody(
    db: impl PgExecutor<'_>,
    top_up_id: Uuid,
) -> Result<Option<Attempt>, sqlx::Error> {
    let end = attempts!("where a.top_up_id = $1 order by a.created_at desc, a.id desc limit 1", top_up_id);
    end.fetch_optional(db).await?.map(Attempt::try_from).transpose()
}

/// Waits until nobody else begins a top-up of somebody; then nobody does until this transaction's end.
pub(super) async fn lock_beginnings(db: &mut PgConnection, user_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended($1, 12)) is null as locked",
        user_id.to_string()
    )
    .fetch_one(db)
    .await
    .map(drop)
}

/// How many top-ups of somebody are pending.
pub(super) async fn pending_of(db: &mut PgConnection, user_id: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        "select count(*) as \"count!\" from transactions where user_id = $1 and type = 'TOP_UP' and status = 'PENDING'",
        user_id
    )
    .fetch_one(db)
    .await
}

pub(super) async fn insert_top_up(db: &mut PgConnection, new: &NewTopUp<'_>) -> Result<(), sqlx::Error> {
    let NewTopUp { id, transaction_id, user_id, method, expires_at, created_at } = new;
    sqlx::query!(
        "insert into top_ups (id, transaction_id, user_id, method, expires_at, created_at) values ($1, $2, $3, $4, $5, $6)",
        id,
        transaction_id,
        user_id,
        *method,
        Time::from(*expires_at) as _,
        Time::from(*created_at) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

pub(super) async fn insert_attempt(db: &mut PgConnection, new: &NewAttempt) -> Result<(), sqlx::Error> {
    let NewAttempt { id, top_up_id, amount, created_at, expires_at, next_check_at } = new;
    sqlx::query!(
        "insert into payment_attempts (id, top_up_id, order_id, amount, created_at, expires_at, next_check_at) values ($1, $2, $3, $4, $5, $6, $7)",
        id,
        top_up_id,
        super::midtrans::OrderId::of(*id).to_string(),
        amount.get(),
        Time::from(*created_at) as _,
        Time::from(*expires_at) as _,
        Time::from(*next_check_at) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// The method that is shown, of the transaction.
pub(super) async fn set_method(
    db: &mut PgConnection,
    transaction_id: Uuid,
    method: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query!("update transactions set method = $2 where id = $1", transaction_id, method)
        .execute(db)
        .await
        .map(drop)
}

/// Takes the right to call the gateway about an attempt's page; whether nobody else has it.
pub(super) async fn begin_call(
    db: &PgPool,
    id: Uuid,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update payment_attempts set calling_until = $3
         where id = $1 and state = 'OPEN' and token is null and (calling_until is null or calling_until <= $2)",
        id,
        Time::from(now) as _,
        Time::from(until) as _,
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// Gives that right back. That a call was made stays known.
pub(super) async fn end_call(db: &PgPool, id: Uuid, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update payment_attempts set calling_until = $2 where id = $1 and token is null",
        id,
        Time::from(now) as _
    )
    .execute(db)
    .await
    .map(drop)
}

/// Keeps the page that was made.
pub(super) async fn keep_page(
    db: &PgPool,
    id: Uuid,
    token: &str,
    redirect_url: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update payment_attempts set token = $2, redirect_url = $3 where id = $1 and token is null",
        id,
        token,
        redirect_url
    )
    .execute(db)
    .await
    .map(drop)
}

/// Sends nobody to an attempt's page any more, and has the gateway told where that is wanted.
pub(super) async fn close(
    db: &mut PgConnection,
    id: Uuid,
    cancel: bool,
    check_at: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update payment_attempts set state = 'CLOSED', cancel_wanted = cancel_wanted or $2,
             next_check_at = case when $2 then least(next_check_at, $3) else next_check_at end
         where id = $1",
        id,
        cancel,
        Time::from(check_at) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Sends nobody to any page of a top-up any more that one of its attempts has paid for.
pub(super) async fn close_paid(
    db: &mut PgConnection,
    top_up_id: Uuid,
    paid: Uuid,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update payment_attempts set state = 'CLOSED', cancel_wanted = cancel_wanted or (id <> $2 and state = 'OPEN'),
             next_check_at = case
                 when id = $2 then coalesce(next_check_at, $3)
                 when state = 'OPEN' then least(next_check_at, $3)
                 else next_check_at
             end
         where top_up_id = $1",
        top_up_id,
        paid,
        Time::from(now) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// The gateway was told.
pub(super) async fn cancelled(db: &PgPool, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("update payment_attempts set cancel_wanted = false where id = $1", id)
        .execute(db)
        .await
        .map(drop)
}

/// What is known of a payment.
pub(super) async fn payment(db: &mut PgConnection, gateway_id: &str) -> Result<Option<Payment>, sqlx::Error> {
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
pub(super) async fn payments_of(
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
pub(super) async fn standing_of(
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
pub(super) async fn keep_payment(
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
pub(super) async fn confirm_payment(
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
pub(super) async fn keep_refund(
    db: &mut PgConnection,
    gateway_id: &str,
    part: &TakeBack,
    transaction_id: Option<Uuid>,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let kind = match part.kind {
        super::judge::Kind::Reversal => "REVERSAL",
        super::judge::Kind::Refund => "REFUND",
        super::judge::Kind::Chargeback => "CHARGEBACK",
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

/// Attempts whose time to ask has come, taken for as long as `until`.
pub(super) async fn due(
    db: &PgPool,
    now: Timestamp,
    until: Timestamp,
    most: i64,
) -> Result<Vec<Due>, sqlx::Error> {
    let rows = sqlx::query!(
        "update payment_attempts set next_check_at = $2
         where id in (select id from payment_attempts where next_check_at <= $1 order by next_check_at limit $3 for update skip locked)
         returning id, failing_since as \"failing_since: Time\"",
        Time::from(now) as _,
        Time::from(until) as _,
        most,
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Due { id: row.id, failing_since: row.failing_since.map(Time::to_jiff) })
        .collect())
}

/// When it is asked next; none: never by itself.
pub(super) async fn check_again(
    db: &PgPool,
    id: Uuid,
    at: Option<Timestamp>,
    failing_since: Option<Timestamp>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update payment_attempts set next_check_at = $2, failing_since = $3, checks = checks + 1 where id = $1",
        id,
        at.map(Time::from) as _,
        failing_since.map(Time::from) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Attempts that were made or credited since, by id from one on.
pub(super) async fn since(
    db: &PgPool,
    since: Timestamp,
    after: Uuid,
    most: i64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "select id as \"id!\" from (
             select id from payment_attempts where created_at >= $1 and id > $2
             union select attempt_id from gateway_payments where updated_at >= $1 and attempt_id > $2
         ) changed order by id limit $3",
        Time::from(since) as _,
        after,
        most,
    )
    .fetch_all(db)
    .await
}

/// When the last comparison that came to its end was begun.
pub(super) async fn last_comparison(db: impl PgExecutor<'_>) -> Result<Option<Timestamp>, sqlx::Error> {
    let at = sqlx::query_scalar!("select max(at) as \"at: Time\" from payment_comparisons");
    Ok(at.fetch_one(db).await?.map(Time::to_jiff))
}

pub(super) async fn keep_comparison(
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
pub(super) async fn turn_to_compare(
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

/// Notes something that an administrator must know of; whether it is news.
pub(super) async fn find(
    db: &mut PgConnection,
    id: Uuid,
    found: &Found<'_>,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let Found { kind, subject, top_up_id, detail } = found;
    let done = sqlx::query!(
        "insert into payment_findings (id, kind, subject, top_up_id, detail, found_at) values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
        id,
        *kind,
        *subject,
        *top_up_id,
        detail as &Value,
        Time::from(now) as _,
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// Whose it is and how they are called, for the gateway's page and for mails.
pub(super) async fn payer(
    db: impl PgExecutor<'_>,
    user_id: Uuid,
) -> Result<Option<(String, String, String)>, sqlx::Error> {
    let row =
        sqlx::query!("select name, email, language from users where id = $1 and deleted_at is null", user_id);
    Ok(row.fetch_optional(db).await?.map(|row| (row.name, row.email, row.language)))
}

pub(super) async fn keep_notification(
    db: &PgPool,
    new: &super::inbox::NewNotification<'_>,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let super::inbox::NewNotification { id, address, body, is_forged, order_id, gateway_id, status } = new;
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
pub(super) async fn take_notifications(
    db: &PgPool,
    now: Timestamp,
    until: Timestamp,
    most: i64,
) -> Result<Vec<super::inbox::Waiting>, sqlx::Error> {
    sqlx::query_as!(
        super::inbox::Waiting,
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

pub(super) async fn end_notification(
    db: &PgPool,
    id: Uuid,
    end: super::inbox::End,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let state = match end {
        super::inbox::End::Done => "DONE",
        super::inbox::End::UnknownOrder => "UNKNOWN_ORDER",
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

pub(super) async fn fail_notification(
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

pub(super) async fn forget_notifications(
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

/// A top-up's last attempts.
pub(super) async fn attempts_of(db: impl PgExecutor<'_>, top_up_id: Uuid) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "select id from payment_attempts where top_up_id = $1 order by created_at desc, id desc limit 10",
        top_up_id
    )
    .fetch_all(db)
    .await
}

/// How findings and notifications stand.
pub(super) async fn standing(db: &PgPool, now: Timestamp) -> Result<super::metrics::Standing, sqlx::Error> {
    let row = sqlx::query!(
        "select (select count(*) from payment_findings where settled_at is null) as \"open!\", count(*) as \"waiting!\",
                coalesce(extract(epoch from $1::timestamptz - min(received_at)), 0)::bigint as \"oldest!\",
                coalesce((select extract(epoch from at) from payment_comparisons order by at desc limit 1), 0)::bigint as \"compared_at!\",
                coalesce((select unanswered from payment_comparisons order by at desc limit 1), 0) as \"unanswered!\"
         from payment_notifications where state = 'RECEIVED'",
        Time::from(now) as _
    )
    .fetch_one(db)
    .await?;
    Ok(super::metrics::Standing {
        open_findings: row.open,
        waiting: row.waiting,
        oldest_seconds: row.oldest.max(0),
        compared_at: row.compared_at,
        unanswered: row.unanswered,
    })
}

struct FindingRow {
    id: Uuid,
    kind: String,
    subject: String,
    top_up_id: Option<Uuid>,
    detail: Value,
    found_at: Time,
    settled_at: Option<Time>,
    settled_by: Option<Uuid>,
    note: Option<String>,
}

impl From<FindingRow> for super::findings::Finding {
    fn from(row: FindingRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            subject: row.subject,
            top_up_id: row.top_up_id,
            detail: row.detail,
            found_at: row.found_at.to_jiff(),
            settled_at: row.settled_at.map(Time::to_jiff),
            settled_by: row.settled_by,
            note: row.note,
        }
    }
}

/// Findings, as they were asked for.
pub(super) async fn findings(
    db: &PgPool,
    query: &super::findings::Query,
) -> Result<Vec<super::findings::Finding>, sqlx::Error> {
    let super::findings::Query { kind, settled, top_up_id, beyond, descending, limit } = query;
    let mut tx = crate::db::planned_anew(db).await?;
    let rows = sqlx::query_as!(
        FindingRow,
        "select id, kind, subject, top_up_id, detail, found_at as \"found_at: Time\", settled_at as \"settled_at: Time\", settled_by, note
         from payment_findings
         where ($1::text is null or kind = $1) and ($2::boolean is null or (settled_at is not null) = $2)
           and ($3::uuid is null or top_up_id = $3) and ($4::uuid is null or case when $5 then id < $4 else id > $4 end)
         order by case when $5 then id end desc, id limit $6",
        kind.as_deref(),
        *settled,
        *top_up_id,
        *beyond,
        descending,
        limit,
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.rollback().await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

pub(super) async fn finding(db: &PgPool, id: Uuid) -> Result<Option<super::findings::Finding>, sqlx::Error> {
    let row = sqlx::query_as!(
        FindingRow,
        "select id, kind, subject, top_up_id, detail, found_at as \"found_at: Time\", settled_at as \"settled_at: Time\", settled_by, note
         from payment_findings where id = $1",
        id
    );
    Ok(row.fetch_optional(db).await?.map(Into::into))
}

pub(super) async fn settle_finding(
    db: &mut PgConnection,
    id: Uuid,
    by: Uuid,
    note: &str,
    now: Timestamp,
) -> Result<Option<super::findings::Finding>, sqlx::Error> {
    let row = sqlx::query_as!(
        FindingRow,
        "update payment_findings set settled_at = $4, settled_by = $2, note = $3 where id = $1 and settled_at is null
         returning id, kind, subject, top_up_id, detail, found_at as \"found_at: Time\", settled_at as \"settled_at: Time\", settled_by, note",
        id,
        by,
        note,
        Time::from(now) as _,
    );
    Ok(row.fetch_optional(db).await?.map(Into::into))
}

struct TopUpRow {
    id: Uuid,
    number: i64,
    transaction_id: Uuid,
    amount: i64,
    status: String,
    method: Option<String>,
    created_at: Time,
    expires_at: Time,
    decided_at: Option<Time>,
    token: Option<String>,
    redirect_url: Option<String>,
    payment_type: Option<String>,
    gateway_status: Option<String>,
}

impl TryFrom<TopUpRow> for TopUp {
    type Error = sqlx::Error;

    fn try_from(row: TopUpRow) -> Result<Self, sqlx::Error> {
        let status = read_status(&row.status)?;
        Ok(Self {
            id: row.id,
            number: Number(row.number),
            transaction_id: row.transaction_id,
            amount: rupiah(row.amount)?,
            status,
            method: row.method,
            paid_with: row.payment_type.filter(|_| status != Status::Pending),
            awaits_payment_by: row.gateway_status.filter(|_| status == Status::Pending),
            page: row.token.zip(row.redirect_url).filter(|_| status == Status::Pending),
            created_at: row.created_at.to_jiff(),
            expires_at: row.expires_at.to_jiff(),
            decided_at: row.decided_at.map(Time::to_jiff),
        })
    }
}

/// Somebody's top-ups, as they were asked for.
pub(super) async fn top_ups(db: &PgPool, query: &super::top_up::Query) -> Result<Vec<TopUp>, sqlx::Error> {
    let super::top_up::Query { user_id, id, status, beyond, descending, limit } = query;
    let rows = sqlx::query_as!(
        TopUpRow,
        "select u.id, t.number, u.transaction_id, t.amount, t.status, t.method, u.created_at as \"created_at: Time\",
                u.expires_at as \"expires_at: Time\", t.decided_at as \"decided_at: Time\",
                a.token as \"token?\", a.redirect_url as \"redirect_url?\", p.payment_type as \"payment_type?\", p.status as \"gateway_status?\"
         from top_ups u join transactions t on t.id = u.transaction_id
         left join lateral (select * from payment_attempts a where a.top_up_id = u.id order by a.created_at desc, a.id desc limit 1) a on true
         left join lateral (
             select p.payment_type, p.status from gateway_payments p join payment_attempts b on b.id = p.attempt_id
             where b.top_up_id = u.id and (t.status = 'PENDING' and b.id = a.id or p.credited_by = t.id)
             order by p.credited_by is not null desc, p.updated_at desc limit 1) p on true
         where u.user_id = $1 and ($2::uuid is null or u.id = $2) and ($3::text is null or t.status = $3)
           and ($4::uuid is null or case when $5 then u.id < $4 else u.id > $4 end)
         order by case when $5 then u.id end desc, u.id limit $6",
        user_id,
        *id,
        status.map(Status::as_str),
        *beyond,
        descending,
        limit,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(TopUp::try_from).collect()
}
