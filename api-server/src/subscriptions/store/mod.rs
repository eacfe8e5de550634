//! All SQL about subscriptions, a file a concern.

mod changes;
mod list;
mod purchase;
mod refunds;
mod standing;
mod work;

pub use changes::*;
pub use list::*;
pub use purchase::*;
pub use refunds::*;
pub(super) use standing::*;
pub(super) use work::*;

use super::{Crossing, End, EndedBy, Paid, Resources, Status, Subscription};
use crate::money::Rupiah;
use crds::plan::Period;
use jiff_sqlx::Timestamp as Time;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

struct Row {
    id: Uuid,
    user_id: Uuid,
    name: String,
    service: String,
    plan: String,
    parameters: serde_json::Value,
    period: String,
    price: i64,
    tax: i64,
    cpu_millicores: i64,
    memory_bytes: i64,
    storage_bytes: i64,
    auto_renew: bool,
    status: String,
    created_at: Time,
    periods: i32,
    anchor_day: Option<i16>,
    period_start: Option<Time>,
    paid_until: Option<Time>,
    ended_at: Option<Time>,
    ended_by: Option<String>,
    refund_id: Option<Uuid>,
    fenced_at: Option<Time>,
    was_told_slow: bool,
    was_alerted: bool,
    uid: Option<Uuid>,
    desired_version: i64,
    applied_version: i64,
    applied_generation: Option<i64>,
    failures: i32,
    decided_at: Time,
}

fn decode(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::Decode(what.into())
}

fn unknown(text: &str) -> sqlx::Error {
    decode(format!("`{text}` is not known"))
}

/// A period as the database has it.
pub(super) fn period_text(period: Period) -> &'static str {
    match period {
        Period::Monthly => "MONTHLY",
        Period::Yearly => "YEARLY",
    }
}

impl Row {
    fn end(&self) -> Result<Option<End>, sqlx::Error> {
        let Some((at, by)) = self.ended_at.as_ref().zip(self.ended_by.as_deref()) else { return Ok(None) };
        Ok(Some(End {
            at: at.to_jiff(),
            by: EndedBy::of(by).ok_or_else(|| unknown(by))?,
            refund_id: self.refund_id,
            fenced_at: self.fenced_at.map(Time::to_jiff),
        }))
    }

    fn period(&self) -> Result<Period, sqlx::Error> {
        [Period::Monthly, Period::Yearly]
            .into_iter()
            .find(|one| period_text(*one) == self.period)
            .ok_or_else(|| unknown(&self.period))
    }
}

impl TryFrom<Row> for Subscription {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        let rupiah = |amount| Rupiah::new(amount).map_err(decode);
        Ok(Self {
            end: row.end()?,
            period: row.period()?,
            price: rupiah(row.price)?,
            tax: rupiah(row.tax)?,
            status: Status::of(&row.status).ok_or_else(|| unknown(&row.status))?,
            parameters: serde_json::from_value(row.parameters).map_err(decode)?,
            resources: Resources {
                cpu_millicores: row.cpu_millicores,
                memory_bytes: row.memory_bytes,
                storage_bytes: row.storage_bytes,
            },
            anchor_day: row.anchor_day.map(i8::try_from).transpose().map_err(decode)?,
            paid: row
                .period_start
                .zip(row.paid_until)
                .map(|(start, until)| Paid { start: start.to_jiff(), until: until.to_jiff() }),
            crossing: Crossing {
                uid: row.uid,
                desired_version: row.desired_version,
                applied_version: row.applied_version,
                applied_generation: row.applied_generation,
                failures: row.failures,
                decided_at: Some(row.decided_at.to_jiff()),
            },
            id: row.id,
            user_id: row.user_id,
            name: row.name,
            service: row.service,
            plan: row.plan,
            auto_renew: row.auto_renew,
            created_at: row.created_at.to_jiff(),
            periods: row.periods,
            was_told_slow: row.was_told_slow,
            was_alerted: row.was_alerted,
        })
    }
}

macro_rules! subscriptions {
    ($end:literal $(, $value:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            "select s.id, s.user_id, s.name, s.service, s.plan, s.parameters, s.period, s.price, s.tax, s.cpu_millicores, s.memory_bytes,
                    s.storage_bytes, s.auto_renew, s.status, s.created_at as \"created_at: Time\", s.periods, s.anchor_day,
                    s.period_start as \"period_start: Time\", s.paid_until as \"paid_until: Time\", s.ended_at as \"ended_at: Time\",
                    s.ended_by, s.refund_id, s.fenced_at as \"fenced_at: Time\", s.told_slow_at is not null as \"was_told_slow!\",
                    s.alerted_at is not null as \"was_alerted!\", s.uid, s.desired_version, s.applied_version, s.applied_generation, s.failures,
                    s.decided_at as \"decided_at: Time\"
             from subscriptions s " + $end
            $(, $value)*
        )
    };
}
use subscriptions;

/// One by its id.
pub(super) async fn find(db: impl PgExecutor<'_>, id: Uuid) -> Result<Option<Subscription>, sqlx::Error> {
    subscriptions!("where s.id = $1", id).fetch_optional(db).await?.map(Subscription::try_from).transpose()
}

/// Somebody's.
///
/// # Errors
/// As the database's.
pub async fn find_own(
    db: impl PgExecutor<'_>,
    user_id: Uuid,
    id: Uuid,
) -> Result<Option<Subscription>, sqlx::Error> {
    let found = subscriptions!("where s.id = $1 and s.user_id = $2", id, user_id).fetch_optional(db).await?;
    found.map(Subscription::try_from).transpose()
}

/// The same, locked until the transaction's end.
///
/// # Errors
/// As the database's.
pub async fn lock(db: &mut PgConnection, id: Uuid) -> Result<Option<Subscription>, sqlx::Error> {
    let found = subscriptions!("where s.id = $1 for no key update", id).fetch_optional(db).await?;
    found.map(Subscription::try_from).transpose()
}
