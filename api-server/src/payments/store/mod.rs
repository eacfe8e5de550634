//! All SQL about payments, a file a table.

mod attempts;
mod comparisons;
mod findings;
pub(super) mod inquiry;
mod notifications;
mod payments;
mod top_ups;

pub(super) use attempts::*;
pub(super) use comparisons::*;
pub(super) use findings::*;
pub(super) use notifications::*;
pub(super) use payments::*;
pub(super) use top_ups::*;

use super::metrics::Standing;
use crate::{money::Rupiah, wallet::Status};
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use sqlx::PgPool;

fn rupiah(amount: i64) -> Result<Rupiah, sqlx::Error> {
    Rupiah::new(amount).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

fn read_status(text: &str) -> Result<Status, sqlx::Error> {
    Status::of(text).ok_or_else(|| sqlx::Error::Decode(format!("`{text}` is no status").into()))
}

/// How findings and notifications stand.
pub(super) async fn standing(db: &PgPool, now: Timestamp) -> Result<Standing, sqlx::Error> {
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
    Ok(Standing {
        open_findings: row.open,
        waiting: row.waiting,
        oldest_seconds: row.oldest.max(0),
        compared_at: row.compared_at,
        unanswered: row.unanswered,
    })
}
