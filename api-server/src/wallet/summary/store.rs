//! All SQL about summaries.

use super::{
    super::{
        months::{Month, Months},
        store::{known, rupiah},
    },
    Part,
};
use crate::ledger::Kind;
use jiff_sqlx::Timestamp as Time;
use sqlx::PgPool;
use uuid::Uuid;

/// By when the entry was written, which stays; when a transaction was decided moves on when it is taken back. No entry is written later
/// than that, but for clocks that differ.
pub(super) async fn parts(db: &PgPool, user_id: Uuid, months: Months) -> Result<Vec<Part>, sqlx::Error> {
    let (from, until) = months.bounds();
    let rows = sqlx::query!(
        "select to_char(e.at at time zone 'Asia/Jakarta', 'YYYY-MM') as \"month!\", t.type as kind, t.service,
                sum(case t.direction when 'CREDIT' then t.amount else -t.amount end)::bigint as \"amount!\"
         from transactions t join entries e on e.id = t.id
         where t.user_id = $1 and t.status in ('COMPLETED', 'REVERSED') and t.decided_at >= $2::timestamptz - interval '1 hour'
           and e.at >= $2 and e.at < $3
         group by 1, 2, 3",
        user_id,
        Time::from(from) as _,
        Time::from(until) as _,
    )
    .fetch_all(db)
    .await?;
    let parts = rows.into_iter().map(|row| {
        Ok(Part {
            month: known(Month::parse(&row.month).ok(), &row.month)?,
            kind: known(Kind::of(&row.kind), &row.kind)?,
            service: row.service,
            amount: rupiah(row.amount)?,
        })
    });
    parts.collect()
}
