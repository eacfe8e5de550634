//! All SQL about what is done every so often.

use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use sqlx::{PgConnection, PgPool};
use std::collections::BTreeMap;

/// When what is scheduled is done next.
pub(in crate::jobs) async fn schedules(db: &PgPool) -> Result<BTreeMap<String, Timestamp>, sqlx::Error> {
    let rows = sqlx::query!("select name, next_at from job_schedules").fetch_all(db).await?;
    Ok(rows.into_iter().map(|row| (row.name, row.next_at.into())).collect())
}

/// Moves a schedule on, where nobody has since it was read; whether it is the caller who has.
pub(in crate::jobs) async fn move_on(
    db: &mut PgConnection,
    name: &str,
    due: Option<Timestamp>,
    next: Timestamp,
) -> Result<bool, sqlx::Error> {
    let done = match due {
        None => {
            sqlx::query!(
                "insert into job_schedules (name, next_at) values ($1, $2) on conflict do nothing",
                name,
                Time::from(next) as _,
            )
            .execute(db)
            .await?
        }
        Some(due) => {
            sqlx::query!(
                "update job_schedules set next_at = $3 where name = $1 and next_at = $2",
                name,
                Time::from(due) as _,
                Time::from(next) as _,
            )
            .execute(db)
            .await?
        }
    };
    Ok(done.rows_affected() == 1)
}
