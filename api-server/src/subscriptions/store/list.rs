//! All SQL about lists of subscriptions.

use super::{Row, subscriptions};
use crate::{
    db::planned_anew,
    subscriptions::{Status, Subscription},
};
use jiff_sqlx::Timestamp as Time;
use sqlx::PgPool;
use uuid::Uuid;

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
    let mut db = planned_anew(db).await?;
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
    let rows = rows.fetch_all(&mut *db).await?;
    db.rollback().await?;
    rows.into_iter().map(Subscription::try_from).collect()
}

/// Those that may run, by id from one on.
///
/// # Errors
/// As the database's.
pub async fn in_place(db: &PgPool, after: Uuid, most: i64) -> Result<Vec<Subscription>, sqlx::Error> {
    let rows = subscriptions!("where s.fenced_at is null and s.id > $1 order by s.id limit $2", after, most);
    rows.fetch_all(db).await?.into_iter().map(Subscription::try_from).collect()
}

/// Those of these ids.
///
/// # Errors
/// As the database's.
pub async fn with_ids(db: &PgPool, ids: &[Uuid]) -> Result<Vec<Subscription>, sqlx::Error> {
    let rows = subscriptions!("where s.id = any($1)", ids);
    rows.fetch_all(db).await?.into_iter().map(Subscription::try_from).collect()
}

/// Somebody's that may still run, and those that have some resources.
///
/// # Errors
/// As the database's.
pub async fn of_resources(
    db: &PgPool,
    user_id: Uuid,
    uids: &[Uuid],
) -> Result<Vec<Subscription>, sqlx::Error> {
    let rows =
        subscriptions!("where s.user_id = $1 and (s.fenced_at is null or s.uid = any($2))", user_id, uids);
    rows.fetch_all(db).await?.into_iter().map(Subscription::try_from).collect()
}
