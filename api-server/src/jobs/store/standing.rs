//! All SQL about how jobs stand.

use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use sqlx::PgPool;

/// How the jobs of a queue stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InQueue {
    /// The queue.
    pub queue: String,
    /// How many wait, also for a later time.
    pub pending: i64,
    /// How many of these could be run now.
    pub due: i64,
    /// For how long the one of them waits whose time came first, in seconds.
    pub oldest_due_seconds: i64,
    /// How many workers have taken.
    pub running: i64,
    /// How many were given up.
    pub dead: i64,
}

/// How all jobs stand.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// How many rows the outbox has.
    pub outbox: i64,
    /// How long ago the oldest of them was written, in seconds.
    pub outbox_oldest_seconds: i64,
    /// The queues that have anything.
    pub queues: Vec<InQueue>,
}

/// Counts jobs.
///
/// # Errors
/// As the database's.
pub async fn standing(db: &PgPool, now: Timestamp) -> Result<Standing, sqlx::Error> {
    let outbox = sqlx::query!(
        "select count(*) as \"count!\", coalesce(extract(epoch from $1 - min(created_at)), 0)::bigint as \"oldest!\" from job_outbox",
        Time::from(now) as _,
    )
    .fetch_one(db)
    .await?;
    // Each state by itself, since each has its index, and those that are done have none.
    let queues = sqlx::query_as!(
        InQueue,
        "with found as (
             select queue, count(*) as pending, count(*) filter (where run_at <= $1) as due, min(greatest(run_at, created_at)) as first,
                    0 as running, 0 as dead
             from jobs where state = 'PENDING' group by queue
             union all select queue, 0, 0, null, count(*), 0 from jobs where state = 'RUNNING' group by queue
             union all select queue, 0, 0, null, 0, count(*) from jobs where state = 'DEAD' group by queue)
         select queue as \"queue!\", sum(pending)::bigint as \"pending!\", sum(due)::bigint as \"due!\",
                greatest(coalesce(extract(epoch from $1 - min(first)), 0), 0)::bigint as \"oldest_due_seconds!\",
                sum(running)::bigint as \"running!\", sum(dead)::bigint as \"dead!\"
         from found group by queue order by queue",
        Time::from(now) as _,
    )
    .fetch_all(db)
    .await?;
    Ok(Standing { outbox: outbox.count, outbox_oldest_seconds: outbox.oldest.max(0), queues })
}
