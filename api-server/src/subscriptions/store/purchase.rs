//! All SQL about purchases.

use super::period_text;
use crate::subscriptions::{Resources, Subscription};
use jiff_sqlx::Timestamp as Time;
use serde_json::json;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

/// What somebody's subscriptions take that may run.
pub(in crate::subscriptions) async fn holdings(
    db: impl PgExecutor<'_>,
    user_id: Uuid,
) -> Result<Vec<Held>, sqlx::Error> {
    let rows = sqlx::query!(
        "select id, uid, service, plan, ended_at is not null as \"has_ended!\", cpu_millicores, memory_bytes, storage_bytes
         from subscriptions where user_id = $1 and fenced_at is null",
        user_id
    );
    let held = rows.fetch_all(db).await?.into_iter().map(|row| Held {
        id: row.id,
        uid: row.uid,
        service: row.service,
        plan: row.plan,
        has_ended: row.has_ended,
        resources: Resources {
            cpu_millicores: row.cpu_millicores,
            memory_bytes: row.memory_bytes,
            storage_bytes: row.storage_bytes,
        },
    });
    Ok(held.collect())
}

/// What one that may run takes.
#[derive(Clone, Debug)]
pub struct Held {
    /// Which subscription.
    pub id: Uuid,
    /// Its resource, once it is made.
    pub uid: Option<Uuid>,
    /// The app.
    pub service: String,
    /// The plan.
    pub plan: String,
    /// Whether it is only about to go.
    pub has_ended: bool,
    /// What it takes, as it was sold.
    pub resources: Resources,
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
pub(in crate::subscriptions) async fn insert(
    db: &mut PgConnection,
    new: &Subscription,
) -> Result<(), sqlx::Error> {
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
