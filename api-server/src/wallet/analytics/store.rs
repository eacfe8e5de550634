//! All SQL about what all customers paid in and spent. As with one customer's, the month is that of the entry.

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

pub(super) async fn parts(db: &PgPool, months: Months) -> Result<Vec<Part>, sqlx::Error> {
    let (from, until) = months.bounds();
    let rows = sqlx::query!(
        "select to_char(e.at at time zone 'Asia/Jakarta', 'YYYY-MM') as \"month!\", t.type as kind,
                case when t.type = 'TOP_UP' then t.method end as method, t.service, count(*) as \"count!\",
                sum(case t.direction when 'CREDIT' then t.amount else -t.amount end)::bigint as \"amount!\"
         from transactions t join entries e on e.id = t.id
         where t.status in ('COMPLETED', 'REVERSED') and t.decided_at >= $1::timestamptz - interval '1 hour'
           and e.at >= $1 and e.at < $2
         group by 1, 2, 3, 4",
        Time::from(from) as _,
        Time::from(until) as _,
    )
    .fetch_all(db)
    .await?;
    let parts = rows.into_iter().map(|row| {
        Ok(Part {
            month: known(Month::parse(&row.month).ok(), &row.month)?,
            kind: known(Kind::of(&row.kind), &row.kind)?,
            method: row.method,
            service: row.service,
            count: row.count,
            amount: rupiah(row.amount)?,
        })
    });
    parts.collect()
}

/// How many paid in or spent, in each month and, without one, in all.
pub(super) async fn payers(db: &PgPool, months: Months) -> Result<Vec<(Option<Month>, i64)>, sqlx::Error> {
    let (from, until) = months.bounds();
    let rows = sqlx::query!(
        "select a.month as \"month?\", count(distinct a.user_id) as \"count!\"
         from (select to_char(e.at at time zone 'Asia/Jakarta', 'YYYY-MM') as month, t.user_id
               from transactions t join entries e on e.id = t.id
               where t.type in ('TOP_UP', 'PURCHASE', 'RENEWAL', 'UPGRADE') and t.status in ('COMPLETED', 'REVERSED')
                 and t.decided_at >= $1::timestamptz - interval '1 hour' and e.at >= $1 and e.at < $2) a
         group by grouping sets ((a.month), ())",
        Time::from(from) as _,
        Time::from(until) as _,
    )
    .fetch_all(db)
    .await?;
    let read = |month: Option<String>| month.map(|text| known(Month::parse(&text).ok(), &text)).transpose();
    rows.into_iter().map(|row| Ok((read(row.month)?, row.count))).collect()
}
