//! All SQL about what is decided of a subscription.

use crate::subscriptions::{End, Paid};
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// Changes what its owner decides of the row. The cluster is to be told of a new name: at once, or when it is there for the first time, so that
/// nobody keeps it from ever being there by naming it anew all the time.
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
        "update subscriptions set name = $2, auto_renew = $3, 
             desired_version = desired_version + case when name = $2 or status = 'PENDING_DEPLOYMENT' then 0 else 1 end,
             look_at = case when name = $2 or status = 'PENDING_DEPLOYMENT' then look_at else $4 end
         where id = $1",
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
pub(in crate::subscriptions) async fn activate(
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
pub(in crate::subscriptions) async fn end(
    db: &mut PgConnection,
    id: Uuid,
    end: &End,
) -> Result<(), sqlx::Error> {
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
pub(in crate::subscriptions) async fn fence(
    db: &mut PgConnection,
    id: Uuid,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
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
pub(in crate::subscriptions) async fn told_slow(
    db: &mut PgConnection,
    id: Uuid,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update subscriptions set told_slow_at = $2 where id = $1 and told_slow_at is null and status = 'PENDING_DEPLOYMENT'",
        id,
        Time::from(now) as _,
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// The same of administrators.
pub(in crate::subscriptions) async fn alerted(
    db: &PgPool,
    id: Uuid,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update subscriptions set alerted_at = $2 where id = $1 and alerted_at is null",
        id,
        Time::from(now) as _,
    )
    .execute(db)
    .await
    .map(drop)
}
