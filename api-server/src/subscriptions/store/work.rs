//! All SQL about looking after subscriptions: who does so, when, and how far the cluster was told.

use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use sqlx::PgPool;
use uuid::Uuid;

/// Takes one to look after it, unless another does; whether it is ours for so many seconds, by the database's clock, which is the same for
/// all replicas. What needs nobody is not taken.
pub(in crate::subscriptions) async fn take(
    db: &PgPool,
    id: Uuid,
    holder: Uuid,
    seconds: f64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update subscriptions set held_by = $2, held_until = now() + make_interval(secs => $3)
         where id = $1 and (held_until is null or held_until <= now())
             and (status = 'PENDING_DEPLOYMENT' or applied_version < desired_version or ended_at is not null and fenced_at is null)",
        id,
        holder,
        seconds,
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// Takes those that are due, in the same way.
pub(in crate::subscriptions) async fn take_due(
    db: &PgPool,
    holder: Uuid,
    now: Timestamp,
    seconds: f64,
    limit: i64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "update subscriptions set held_by = $1, held_until = now() + make_interval(secs => $3) where id = any(array(
             select id from subscriptions where look_at <= $2 and (held_until is null or held_until <= now())
             order by look_at limit $4 for update skip locked))
         returning id",
        holder,
        Time::from(now) as _,
        seconds,
        limit,
    )
    .fetch_all(db)
    .await
}

/// The subscription whose resource that is.
pub(in crate::subscriptions) async fn of_uid(db: &PgPool, uid: Uuid) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar!("select id from subscriptions where uid = $1", uid).fetch_optional(db).await
}

/// Whatever somebody waits for in the cluster is looked at now.
pub(in crate::subscriptions) async fn hurry(
    db: &PgPool,
    user_id: Uuid,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
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
pub(in crate::subscriptions) async fn made(
    db: &PgPool,
    id: Uuid,
    holder: Uuid,
    uid: Uuid,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update subscriptions set uid = $3 where id = $1 and held_by = $2 and (uid is null or uid = $3)",
        id,
        holder,
        uid,
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// The cluster was told, up to that version.
pub(in crate::subscriptions) async fn applied(
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

/// Lets go of one, to be looked at again then; unless somebody has asked for a look meanwhile. Without an error its step was made, or is only to
/// be waited for.
pub(in crate::subscriptions) async fn let_go(
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
             failures = case when $5::text is null then 0 else failures + 1 end, last_error = $5
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

/// Has the cluster told again, in words newer than `above`, unless something else was decided since `seen_version`; whether it is.
pub(in crate::subscriptions) async fn retell(
    db: &PgPool,
    id: Uuid,
    seen_version: Option<i64>,
    above: i64,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update subscriptions set desired_version = greatest(desired_version, $3) + 1, look_at = $4
         where id = $1 and desired_version = coalesce($2, desired_version)",
        id,
        seen_version,
        above,
        Time::from(now) as _,
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}
