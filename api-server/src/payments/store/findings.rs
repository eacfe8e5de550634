//! All SQL about findings.

use crate::payments::findings::{Finding, Found, Query};
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// Notes something that an administrator must know of; whether it is news.
pub(in crate::payments) async fn find(
    db: &mut PgConnection,
    id: Uuid,
    found: &Found<'_>,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let Found { kind, subject, top_up_id, detail } = found;
    let done = sqlx::query!(
        "insert into payment_findings (id, kind, subject, top_up_id, detail, found_at) values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
        id,
        *kind,
        *subject,
        *top_up_id,
        detail as &Value,
        Time::from(now) as _,
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}

struct FindingRow {
    id: Uuid,
    kind: String,
    subject: String,
    top_up_id: Option<Uuid>,
    detail: Value,
    found_at: Time,
    settled_at: Option<Time>,
    settled_by: Option<Uuid>,
    note: Option<String>,
}

impl From<FindingRow> for Finding {
    fn from(row: FindingRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            subject: row.subject,
            top_up_id: row.top_up_id,
            detail: row.detail,
            found_at: row.found_at.to_jiff(),
            settled_at: row.settled_at.map(Time::to_jiff),
            settled_by: row.settled_by,
            note: row.note,
        }
    }
}

/// Findings, as they were asked for.
pub(in crate::payments) async fn findings(db: &PgPool, query: &Query) -> Result<Vec<Finding>, sqlx::Error> {
    let Query { kind, settled, top_up_id, beyond, descending, limit } = query;
    let mut tx = crate::db::planned_anew(db).await?;
    let rows = sqlx::query_as!(
        FindingRow,
        "select id, kind, subject, top_up_id, detail, found_at as \"found_at: Time\", settled_at as \"settled_at: Time\", settled_by, note
         from payment_findings
         where ($1::text is null or kind = $1) and ($2::boolean is null or (settled_at is not null) = $2)
           and ($3::uuid is null or top_up_id = $3) and ($4::uuid is null or case when $5 then id < $4 else id > $4 end)
         order by case when $5 then id end desc, id limit $6",
        kind.as_deref(),
        *settled,
        *top_up_id,
        *beyond,
        descending,
        limit,
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.rollback().await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

pub(in crate::payments) async fn finding(db: &PgPool, id: Uuid) -> Result<Option<Finding>, sqlx::Error> {
    let row = sqlx::query_as!(
        FindingRow,
        "select id, kind, subject, top_up_id, detail, found_at as \"found_at: Time\", settled_at as \"settled_at: Time\", settled_by, note
         from payment_findings where id = $1",
        id
    );
    Ok(row.fetch_optional(db).await?.map(Into::into))
}

pub(in crate::payments) async fn settle_finding(
    db: &mut PgConnection,
    id: Uuid,
    by: Uuid,
    note: &str,
    now: Timestamp,
) -> Result<Option<Finding>, sqlx::Error> {
    let row = sqlx::query_as!(
        FindingRow,
        "update payment_findings set settled_at = $4, settled_by = $2, note = $3 where id = $1 and settled_at is null
         returning id, kind, subject, top_up_id, detail, found_at as \"found_at: Time\", settled_at as \"settled_at: Time\", settled_by, note",
        id,
        by,
        note,
        Time::from(now) as _,
    );
    Ok(row.fetch_optional(db).await?.map(Into::into))
}

/// What was found of a top-up or of one of these.
pub(in crate::payments) async fn findings_about(
    db: &PgPool,
    top_up_id: Option<Uuid>,
    subjects: &[String],
) -> Result<Vec<Finding>, sqlx::Error> {
    let rows = sqlx::query_as!(
        FindingRow,
        "select id, kind, subject, top_up_id, detail, found_at as \"found_at: Time\", settled_at as \"settled_at: Time\", settled_by, note
         from payment_findings where top_up_id = $1 or subject = any($2) order by id desc limit 100",
        top_up_id,
        subjects,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}
