//! All SQL about the sale of a plan.

use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

/// Waits until nobody takes a plan away, or, where it is sold to one after the other, buys it; then nobody does until this transaction's
/// end.
pub(super) async fn lock(
    db: &mut PgConnection,
    plan: &str,
    one_after_the_other: bool,
) -> Result<(), sqlx::Error> {
    sqlx::query!("insert into plan_sales (plan) values ($1) on conflict do nothing", plan)
        .execute(&mut *db)
        .await?;
    if one_after_the_other {
        sqlx::query!("select plan from plan_sales where plan = $1 for update", plan).fetch_one(db).await?;
    } else {
        sqlx::query!("select plan from plan_sales where plan = $1 for share", plan).fetch_one(db).await?;
    }
    Ok(())
}

/// Whether the plan of that uid is being taken away, or was.
pub(super) async fn is_closed(db: impl PgExecutor<'_>, plan: &str, uid: &str) -> Result<bool, sqlx::Error> {
    let found = sqlx::query_scalar!(
        "select true as \"found!\" from plan_closings where plan = $1 and uid = $2 limit 1",
        plan,
        uid
    );
    Ok(found.fetch_optional(db).await?.is_some())
}

/// The plan of that uid is being taken away by one more: it is not sold any more.
pub(super) async fn close(
    db: impl PgExecutor<'_>,
    id: Uuid,
    plan: &str,
    uid: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!("insert into plan_closings (id, plan, uid) values ($1, $2, $3)", id, plan, uid)
        .execute(db)
        .await
        .map(drop)
}

/// That one has not taken it away, and never will; nor have those that are older than what any call may last. It is sold again once there
/// is no other.
pub(super) async fn reopen(
    db: impl PgExecutor<'_>,
    id: Uuid,
    plan: &str,
    uid: &str,
    seconds: f64,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from plan_closings where plan = $1 and uid = $2 and (id = $3 or at < now() - make_interval(secs => $4))",
        plan,
        uid,
        id,
        seconds,
    )
    .execute(db)
    .await
    .map(drop)
}
