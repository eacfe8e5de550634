//! All SQL about attempts to have a top-up paid.

use super::{read_status, rupiah};
use crate::{
    payments::{Attempt, Due, NewAttempt, midtrans::OrderId},
    wallet::Number,
};
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use sqlx::{PgConnection, PgExecutor, PgPool};
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
pub(in crate::payments) async fn attempt(
    db: impl PgExecutor<'_>,
    id: Uuid,
) -> Result<Option<Attempt>, sqlx::Error> {
    attempts!("where a.id = $1", id).fetch_optional(db).await?.map(Attempt::try_from).transpose()
}

/// The same, its top-up's transaction locked until the database transaction's end: nothing else is decided about that top-up meanwhile.
pub(in crate::payments) async fn locked(
    db: &mut PgConnection,
    id: Uuid,
) -> Result<Option<Attempt>, sqlx::Error> {
    let found = attempts!("where a.id = $1 for no key update of t", id).fetch_optional(db).await?;
    found.map(Attempt::try_from).transpose()
}

/// The last attempt of somebody's top-up.
pub(in crate::payments) async fn last_of(
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
pub(in crate::payments) async fn last_of_anybody(
    db: impl PgExecutor<'_>,
    top_up_id: Uuid,
) -> Result<Option<Attempt>, sqlx::Error> {
    let end = attempts!("where a.top_up_id = $1 order by a.created_at desc, a.id desc limit 1", top_up_id);
    end.fetch_optional(db).await?.map(Attempt::try_from).transpose()
}

pub(in crate::payments) async fn insert_attempt(
    db: &mut PgConnection,
    new: &NewAttempt,
) -> Result<(), sqlx::Error> {
    let NewAttempt { id, top_up_id, amount, created_at, expires_at, next_check_at } = new;
    sqlx::query!(
        "insert into payment_attempts (id, top_up_id, order_id, amount, created_at, expires_at, next_check_at) values ($1, $2, $3, $4, $5, $6, $7)",
        id,
        top_up_id,
        OrderId::of(*id).to_string(),
        amount.get(),
        Time::from(*created_at) as _,
        Time::from(*expires_at) as _,
        Time::from(*next_check_at) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Takes the right to call the gateway about an attempt's page; whether nobody else has it.
pub(in crate::payments) async fn begin_call(
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
pub(in crate::payments) async fn end_call(db: &PgPool, id: Uuid, now: Timestamp) -> Result<(), sqlx::Error> {
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
pub(in crate::payments) async fn keep_page(
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
pub(in crate::payments) async fn close(
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
pub(in crate::payments) async fn close_paid(
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
pub(in crate::payments) async fn cancelled(db: &PgPool, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("update payment_attempts set cancel_wanted = false where id = $1", id)
        .execute(db)
        .await
        .map(drop)
}

/// Attempts whose time to ask has come, taken for as long as `until`.
pub(in crate::payments) async fn due(
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
pub(in crate::payments) async fn check_again(
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
pub(in crate::payments) async fn since(
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

/// A top-up's last attempts.
pub(in crate::payments) async fn attempts_of(
    db: impl PgExecutor<'_>,
    top_up_id: Uuid,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "select id from payment_attempts where top_up_id = $1 order by created_at desc, id desc limit 10",
        top_up_id
    )
    .fetch_all(db)
    .await
}
