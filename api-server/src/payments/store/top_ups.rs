//! All SQL about top-ups, and of whose they are.

use super::{read_status, rupiah};
use crate::{
    payments::{NewTopUp, TopUp, top_up::Query},
    wallet::{Number, Status},
};
use jiff_sqlx::Timestamp as Time;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

/// Waits until nobody else begins a top-up of somebody; then nobody does until this transaction's end.
pub(in crate::payments) async fn lock_beginnings(
    db: &mut PgConnection,
    user_id: Uuid,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended($1, 12)) is null as locked",
        user_id.to_string()
    )
    .fetch_one(db)
    .await
    .map(drop)
}

/// How many top-ups of somebody are pending.
pub(in crate::payments) async fn pending_of(
    db: &mut PgConnection,
    user_id: Uuid,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        "select count(*) as \"count!\" from transactions where user_id = $1 and type = 'TOP_UP' and status = 'PENDING'",
        user_id
    )
    .fetch_one(db)
    .await
}

pub(in crate::payments) async fn insert_top_up(
    db: &mut PgConnection,
    new: &NewTopUp<'_>,
) -> Result<(), sqlx::Error> {
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

/// The method that is shown, of the transaction.
pub(in crate::payments) async fn set_method(
    db: &mut PgConnection,
    transaction_id: Uuid,
    method: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query!("update transactions set method = $2 where id = $1", transaction_id, method)
        .execute(db)
        .await
        .map(drop)
}

/// Whose it is and how they are called, for the gateway's page and for mails.
pub(in crate::payments) async fn payer(
    db: impl PgExecutor<'_>,
    user_id: Uuid,
) -> Result<Option<(String, String, String)>, sqlx::Error> {
    let row =
        sqlx::query!("select name, email, language from users where id = $1 and deleted_at is null", user_id);
    Ok(row.fetch_optional(db).await?.map(|row| (row.name, row.email, row.language)))
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
pub(in crate::payments) async fn top_ups(db: &PgPool, query: &Query) -> Result<Vec<TopUp>, sqlx::Error> {
    let Query { user_id, id, status, beyond, descending, limit } = query;
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
