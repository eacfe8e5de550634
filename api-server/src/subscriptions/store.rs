//! All SQL about subscriptions.

use super::{Crossing, End, EndedBy, Paid, Resources, Status, Subscription};
use crate::money::Rupiah;
use crds::plan::Period;
use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::Timestamp as Time;
use serde_json::json;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

struct Row {
    id: Uuid,
    user_id: Uuid,
    name: String,
    service: String,
    plan: String,
    parameters: serde_json::Value,
    period: String,
    price: i64,
    tax: i64,
    cpu_millicores: i64,
    memory_bytes: i64,
    storage_bytes: i64,
    auto_renew: bool,
    status: String,
    created_at: Time,
    periods: i32,
    anchor_day: Option<i16>,
    period_start: Option<Time>,
    paid_until: Option<Time>,
    ended_at: Option<Time>,
    ended_by: Option<String>,
    refund_id: Option<Uuid>,
    fenced_at: Option<Time>,
    was_told_slow: bool,
    was_alerted: bool,
    uid: Option<Uuid>,
    desired_version: i64,
    applied_version: i64,
    applied_generation: Option<i64>,
    failures: i32,
}

fn decode(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::Decode(what.into())
}

fn unknown(text: &str) -> sqlx::Error {
    decode(format!("`{text}` is not known"))
}

/// A period as the database has it.
pub(super) fn period_text(period: Period) -> &'static str {
    match period {
        Period::Monthly => "MONTHLY",
        Period::Yearly => "YEARLY",
    }
}

impl Row {
    fn end(&self) -> Result<Option<End>, sqlx::Error> {
        let Some((at, by)) = self.ended_at.as_ref().zip(self.ended_by.as_deref()) else { return Ok(None) };
        Ok(Some(End {
            at: at.to_jiff(),
            by: EndedBy::of(by).ok_or_else(|| unknown(by))?,
            refund_id: self.refund_id,
            fenced_at: self.fenced_at.map(Time::to_jiff),
        }))
    }

    fn period(&self) -> Result<Period, sqlx::Error> {
        [Period::Monthly, Period::Yearly]
            .into_iter()
            .find(|one| period_text(*one) == self.period)
            .ok_or_else(|| unknown(&self.period))
    }
}

impl TryFrom<Row> for Subscription {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        let rupiah = |amount| Rupiah::new(amount).map_err(decode);
        Ok(Self {
            end: row.end()?,
            period: row.period()?,
            price: rupiah(row.price)?,
            tax: rupiah(row.tax)?,
            status: Status::of(&row.status).ok_or_else(|| unknown(&row.status))?,
            parameters: serde_json::from_value(row.parameters).map_err(decode)?,
            resources: Resources {
                cpu_millicores: row.cpu_millicores,
                memory_bytes: row.memory_bytes,
                storage_bytes: row.storage_bytes,
            },
            anchor_day: row.anchor_day.map(i8::try_from).transpose().map_err(decode)?,
            paid: row
                .period_start
                .zip(row.paid_until)
                .map(|(start, until)| Paid { start: start.to_jiff(), until: until.to_jiff() }),
            crossing: Crossing {
                uid: row.uid,
                desired_version: row.desired_version,
                applied_version: row.applied_version,
                applied_generation: row.applied_generation,
                failures: row.failures,
            },
            id: row.id,
            user_id: row.user_id,
            name: row.name,
            service: row.service,
            plan: row.plan,
            auto_renew: row.auto_renew,
            created_at: row.created_at.to_jiff(),
            periods: row.periods,
            was_told_slow: row.was_told_slow,
            was_alerted: row.was_alerted,
        })
    }
}

macro_rules! subscriptions {
    ($end:literal $(, $value:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            "select s.id, s.user_id, s.name, s.service, s.plan, s.parameters, s.period, s.price, s.tax, s.cpu_millicores, s.memory_bytes,
                    s.storage_bytes, s.auto_renew, s.status, s.created_at as \"created_at: Time\", s.periods, s.anchor_day,
                    s.period_start as \"period_start: Time\", s.paid_until as \"paid_until: Time\", s.ended_at as \"ended_at: Time\",
                    s.ended_by, s.refund_id, s.fenced_at as \"fenced_at: Time\", s.told_slow_at is not null as \"was_told_slow!\",
                    s.alerted_at is not null as \"was_alerted!\", s.uid, s.desired_version, s.applied_version, s.applied_generation, s.failures
             from subscriptions s " + $end
            $(, $value)*
        )
    };
}

/// One by its id.
pub(super) async fn find(db: impl PgExecutor<'_>, id: Uuid) -> Result<Option<Subscription>, sqlx::Error> {
    subscriptions!("where s.id = $1", id).fetch_optional(db).await?.map(Subscription::try_from).transpose()
}

/// Somebody's.
///
/// # Errors
/// As the database's.
pub async fn find_own(
    db: impl PgExecutor<'_>,
    user_id: Uuid,
    id: Uuid,
) -> Result<Option<Subscription>, sqlx::Error> {
    let found = subscriptions!("where s.id = $1 and s.user_id = $2", id, user_id).fetch_optional(db).await?;
    found.map(Subscription::try_from).transpose()
}

/// Somebody's that may still run, and those that have some resources.
///
/// # Errors
/// As the database's.
pub async fn of_resources(
    db: impl PgExecutor<'_>,
    user_id: Uuid,
    uids: &[Uuid],
) -> Result<Vec<Subscription>, sqlx::Error> {
    let found =
        subscriptions!("where s.user_id = $1 and (s.fenced_at is null or s.uid = any($2))", user_id, uids);
    found.fetch_all(db).await?.into_iter().map(Subscription::try_from).collect()
}

/// The same, locked until the transaction's end.
///
/// # Errors
/// As the database's.
pub async fn lock(db: &mut PgConnection, id: Uuid) -> Result<Option<Subscription>, sqlx::Error> {
    let found = subscriptions!("where s.id = $1 for no key update", id).fetch_optional(db).await?;
    found.map(Subscription::try_from).transpose()
}

/// Which of somebody's.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Whose; none: everybody's.
    pub user_id: Option<Uuid>,
    /// How they stand.
    pub status: Option<Status>,
    /// Of which app.
    pub service: Option<String>,
    /// Of which plan.
    pub plan: Option<String>,
    /// Beyond which one.
    pub beyond: Option<Uuid>,
    /// Newest first.
    pub descending: bool,
    /// How many.
    pub limit: i64,
}

/// Some of them, by when they were bought.
///
/// # Errors
/// As the database's.
pub async fn list(db: &PgPool, query: &Query) -> Result<Vec<Subscription>, sqlx::Error> {
    let Query { user_id, status, service, plan, beyond, descending, limit } = query;
    // Ids sort by time.
    let rows = subscriptions!(
        "where ($1::uuid is null or s.user_id = $1) and ($2::text is null or s.status = $2) and ($3::text is null or s.service = $3)
            and ($4::text is null or s.plan = $4) and ($5::uuid is null or case when $6 then s.id < $5 else s.id > $5 end)
         order by case when $6 then s.id end desc, case when not $6 then s.id end limit $7",
        *user_id,
        status.map(Status::as_str),
        service.as_deref(),
        plan.as_deref(),
        *beyond,
        *descending,
        *limit,
    );
    rows.fetch_all(db).await?.into_iter().map(Subscription::try_from).collect()
}

/// What somebody's subscriptions take that may run.
pub(super) async fn holdings(db: impl PgExecutor<'_>, user_id: Uuid) -> Result<Vec<Held>, sqlx::Error> {
    sqlx::query_as!(
        Held,
        "select service, plan, ended_at is not null as \"has_ended!\", cpu_millicores, memory_bytes, storage_bytes
         from subscriptions where user_id = $1 and fenced_at is null",
        user_id
    )
    .fetch_all(db)
    .await
}

/// What one that may run takes.
#[derive(Clone, Debug)]
pub struct Held {
    /// The app.
    pub service: String,
    /// The plan.
    pub plan: String,
    /// Whether it is only about to go.
    pub has_ended: bool,
    /// CPU, in thousandths of a core.
    pub cpu_millicores: i64,
    /// Memory, in bytes.
    pub memory_bytes: i64,
    /// Storage, in bytes.
    pub storage_bytes: i64,
}

/// Waits until nobody else buys a plan; then nobody does until this transaction's end.
pub(super) async fn lock_plan(db: &mut PgConnection, plan: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("insert into plan_sales (plan) values ($1) on conflict do nothing", plan)
        .execute(&mut *db)
        .await?;
    sqlx::query!("select plan from plan_sales where plan = $1 for update", plan).fetch_one(db).await.map(drop)
}

/// How many of a plan are sold and may run.
///
/// # Errors
/// As the database's.
pub async fn sold(db: impl PgExecutor<'_>, plan: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        "select count(*) as \"count!\" from subscriptions where plan = $1 and fenced_at is null",
        plan
    )
    .fetch_one(db)
    .await
}

/// How many of each plan are sold and may run.
///
/// # Errors
/// As the database's.
pub async fn sold_of_each(db: &PgPool) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let rows = sqlx::query!(
        "select plan, count(*) as \"count!\" from subscriptions where fenced_at is null group by plan"
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(|row| (row.plan, row.count)).collect())
}

/// Writes a new one, to be looked at now.
pub(super) async fn insert(db: &mut PgConnection, new: &Subscription) -> Result<(), sqlx::Error> {
    let Resources { cpu_millicores, memory_bytes, storage_bytes } = new.resources;
    sqlx::query!(
        "insert into subscriptions (id, user_id, name, service, plan, parameters, period, price, tax, cpu_millicores, memory_bytes,
             storage_bytes, auto_renew, created_at, look_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14)",
        new.id,
        new.user_id,
        new.name,
        new.service,
        new.plan,
        json!(new.parameters),
        period_text(new.period),
        new.price.get(),
        new.tax.get(),
        cpu_millicores,
        memory_bytes,
        storage_bytes,
        new.auto_renew,
        Time::from(new.created_at) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Changes what its owner decides of the row. The cluster is to be told of a new name.
///
/// # Errors
/// As the database's.
pub async fn change(
    db: &mut PgConnection,
    id: Uuid,
    name: &str,
    auto_renew: bool,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update subscriptions set name = $2, auto_renew = $3, desired_version = desired_version + case when name = $2 then 0 else 1 end,
             look_at = case when name = $2 then look_at else $4 end where id = $1",
        id,
        name,
        auto_renew,
        Time::from(now) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Begins the first period of one that is locked. The cluster is to be told.
pub(super) async fn activate(
    db: &mut PgConnection,
    id: Uuid,
    paid: Paid,
    anchor_day: i8,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update subscriptions set status = 'ACTIVE', periods = periods + 1, anchor_day = $2, period_start = $3, paid_until = $4,
             desired_version = desired_version + 1, look_at = $3 where id = $1",
        id,
        i16::from(anchor_day),
        Time::from(paid.start) as _,
        Time::from(paid.until) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Ends one that is locked. The cluster is to be told.
pub(super) async fn end(db: &mut PgConnection, id: Uuid, end: &End) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update subscriptions set status = 'CANCELLED', ended_at = $2, ended_by = $3, refund_id = $4,
             desired_version = desired_version + 1, look_at = $2 where id = $1",
        id,
        Time::from(end.at) as _,
        end.by.as_str(),
        end.refund_id,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Notes of one that is locked that nothing of it runs any more. The cluster is to be told.
pub(super) async fn fence(db: &mut PgConnection, id: Uuid, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update subscriptions set fenced_at = $2, desired_version = desired_version + 1, look_at = $2 where id = $1 and fenced_at is null",
        id,
        Time::from(now) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Notes that its owner was told that it takes long; whether that was news.
pub(super) async fn told_slow(db: &mut PgConnection, id: Uuid, now: Timestamp) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update subscriptions set told_slow_at = $2 where id = $1 and told_slow_at is null and status = 'PENDING_DEPLOYMENT'",
        id,
        Time::from(now) as _,
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// The same of administrators.
pub(super) async fn alerted(db: &PgPool, id: Uuid, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update subscriptions set alerted_at = $2 where id = $1 and alerted_at is null",
        id,
        Time::from(now) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Takes one to look after it, unless another does; whether it is ours until then. What needs nobody is not taken.
pub(super) async fn take(
    db: &PgPool,
    id: Uuid,
    holder: Uuid,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update subscriptions set held_by = $2, held_until = $4 where id = $1 and (held_until is null or held_until <= $3)
             and (status = 'PENDING_DEPLOYMENT' or applied_version < desired_version or ended_at is not null and fenced_at is null)",
        id,
        holder,
        Time::from(now) as _,
        Time::from(until) as _,
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// Takes those that are due.
pub(super) async fn take_due(
    db: &PgPool,
    holder: Uuid,
    now: Timestamp,
    until: Timestamp,
    limit: i64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "update subscriptions set held_by = $1, held_until = $3 where id in (
             select id from subscriptions where look_at <= $2 and (held_until is null or held_until <= $2)
             order by look_at limit $4 for update skip locked
         ) returning id",
        holder,
        Time::from(now) as _,
        Time::from(until) as _,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Whatever somebody waits for in the cluster is looked at now.
pub(super) async fn hurry(db: &PgPool, user_id: Uuid, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update subscriptions set look_at = $2 where user_id = $1 and applied_version < desired_version and look_at > $2",
        user_id,
        Time::from(now) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Which resource it is. Another one than before is none of ours.
pub(super) async fn made(db: &PgPool, id: Uuid, holder: Uuid, uid: Uuid) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update subscriptions set uid = $3 where id = $1 and held_by = $2 and (uid is null or uid = $3)",
        id,
        holder,
        uid,
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// The cluster was told, up to that version.
pub(super) async fn applied(
    db: &PgPool,
    id: Uuid,
    holder: Uuid,
    version: i64,
    generation: Option<i64>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update subscriptions set applied_version = $3, applied_generation = coalesce($4, applied_generation), failures = 0, last_error = null
         where id = $1 and held_by = $2 and applied_version < $3",
        id,
        holder,
        version,
        generation,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Lets go of one, to be looked at again then; unless somebody has asked for a look meanwhile.
pub(super) async fn let_go(
    db: &PgPool,
    id: Uuid,
    holder: Uuid,
    seen_version: i64,
    look_at: Option<Timestamp>,
    error: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update subscriptions set held_by = null, held_until = null,
             look_at = case when desired_version = $3 then $4 else look_at end,
             failures = case when $5::text is null then failures else failures + 1 end, last_error = coalesce($5, last_error)
         where id = $1 and held_by = $2",
        id,
        holder,
        seen_version,
        look_at.map(Time::from) as _,
        error,
    )
    .execute(db)
    .await
    .map(drop)
}

/// How many there are of each status.
pub(super) async fn standing(db: &PgPool) -> Result<Vec<(Status, i64)>, sqlx::Error> {
    let rows = sqlx::query!("select status, count(*) as \"count!\" from subscriptions group by status");
    let rows = rows.fetch_all(db).await?;
    Ok(rows.into_iter().filter_map(|row| Some((Status::of(&row.status)?, row.count))).collect())
}

/// How many wait for longer than that: to be there for the first time, and to be fenced.
pub(super) async fn late(
    db: &PgPool,
    now: Timestamp,
    pending: SignedDuration,
    ending: SignedDuration,
) -> Result<(i64, i64), sqlx::Error> {
    let since = |by| Time::from(crate::clock::before(now, by));
    let row = sqlx::query!(
        "select count(*) filter (where status = 'PENDING_DEPLOYMENT' and created_at <= $1) as \"pending!\",
                count(*) filter (where ended_at <= $2 and fenced_at is null) as \"ending!\"
         from subscriptions where fenced_at is null",
        since(pending) as _,
        since(ending) as _,
    );
    let row = row.fetch_one(db).await?;
    Ok((row.pending, row.ending))
}

/// What a purchase took from which purse: cash and promotion.
pub(super) async fn paid_with(
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
pub(super) async fn refunds(db: impl PgExecutor<'_>, ids: &[Uuid]) -> Result<Vec<Refund>, sqlx::Error> {
    let rows = sqlx::query!("select id, number, amount, status from transactions where id = any($1)", ids);
    let read = |amount| Rupiah::new(amount).map_err(decode);
    let rows = rows.fetch_all(db).await?.into_iter().map(|row| {
        let is_done = row.status != "PENDING";
        Ok(Refund { transaction_id: row.id, number: row.number, amount: read(row.amount)?, is_done })
    });
    rows.collect()
}

/// How one refund stands.
pub(super) async fn refund(db: impl PgExecutor<'_>, id: Uuid) -> Result<Refund, sqlx::Error> {
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
