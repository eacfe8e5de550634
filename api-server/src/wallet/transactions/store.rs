//! All SQL about lists of transactions.

use super::{
    super::{
        Number, Status,
        store::{known, rupiah},
    },
    Account, Effect, Entry, Owner, Sort, Transaction, Transfer,
};
use crate::{
    db::planned_anew,
    http::pagination::Cursor,
    ledger::{Direction, Kind},
};
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use sqlx::PgPool;
use uuid::Uuid;

/// Which transactions; what is left out means all.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The one of that id.
    pub id: Option<Uuid>,
    /// The one of that number.
    pub number: Option<i64>,
    /// Of whom.
    pub user_id: Option<Uuid>,
    /// Of what.
    pub kind: Option<Kind>,
    /// How they stand.
    pub status: Option<Status>,
    /// Into the wallet or out of it.
    pub direction: Option<Direction>,
    /// Made then or later.
    pub created_after: Option<Timestamp>,
    /// Made before then.
    pub created_before: Option<Timestamp>,
    /// Of so much or more.
    pub amount_min: Option<i64>,
    /// Of so much or less.
    pub amount_max: Option<i64>,
    /// For which subscription.
    pub subscription_id: Option<Uuid>,
    /// For which app.
    pub service: Option<String>,
    /// How they were paid.
    pub method: Option<String>,
    /// What the owner's address contains.
    pub email: Option<String>,
    /// What the owner's address or the description contains, or which number they have.
    pub search: Option<String>,
    /// Sorted by what.
    pub sort: Sort,
    /// From the largest down.
    pub descending: bool,
    /// Beyond which row.
    pub beyond: Option<Cursor>,
    /// How many.
    pub limit: i64,
}

/// A row as it is read.
struct Row {
    id: Uuid,
    number: i64,
    user_id: Uuid,
    email: String,
    name: String,
    kind: String,
    direction: String,
    amount: i64,
    status: String,
    description: String,
    method: Option<String>,
    subscription_id: Option<Uuid>,
    service: Option<String>,
    created_at: Time,
    decided_at: Option<Time>,
    reverses: Option<i64>,
    reversed_by: Vec<i64>,
    reversed_amount: i64,
    cash: Option<i64>,
    promotion: Option<i64>,
    cash_after: Option<i64>,
    promotion_after: Option<i64>,
    has_entry: bool,
}

/// What contains a text, as `ilike` has it.
fn containing(text: &str) -> String {
    format!("%{}%", text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"))
}

/// A page of transactions. Which rows they are is found first, by the indexes and with the filters that are there; the rest is read for
/// these alone.
///
/// # Errors
/// As the database's.
#[expect(clippy::too_many_lines, reason = "one query, of which nothing is written twice")]
pub async fn list(db: &PgPool, query: &Query) -> Result<Vec<Transaction>, sqlx::Error> {
    let (by_amount, beyond) = (query.sort == Sort::Amount, query.beyond.as_ref());
    let amount = beyond.and_then(|cursor| cursor.value.parse::<i64>().ok());
    let time = beyond.and_then(|cursor| cursor.value.parse::<Timestamp>().ok());
    if beyond.is_some() && if by_amount { amount.is_none() } else { time.is_none() } {
        // A cursor that was tampered with names no row.
        return Ok(Vec::new());
    }
    let mut db = planned_anew(db).await?;
    let rows = sqlx::query_as!(
        Row,
        "with page as (
             select t.* from transactions t left join users u on u.id = t.user_id
             where ($1::uuid is null or t.id = $1) and ($2::bigint is null or t.number = $2)
               and ($3::uuid is null or t.user_id = $3) and ($4::text is null or t.type = $4)
               and ($5::text is null or t.status = $5) and ($6::text is null or t.direction = $6)
               and ($7::timestamptz is null or t.created_at >= $7) and ($8::timestamptz is null or t.created_at < $8)
               and ($9::bigint is null or t.amount >= $9) and ($10::bigint is null or t.amount <= $10)
               and ($11::uuid is null or t.subscription_id = $11) and ($12::text is null or t.service = $12)
               and ($13::text is null or t.method = $13) and ($14::text is null or u.email ilike $14)
               and ($15::text is null or u.email ilike $15 or t.description ilike $15 or t.number = $16)
               and ($17::uuid is null or case
                   when $18 and $19 then (t.amount, t.id) < ($20::bigint, $17) when $18 then (t.amount, t.id) > ($20, $17)
                   when $19 then (t.created_at, t.id) < ($21::timestamptz, $17) else (t.created_at, t.id) > ($21, $17) end)
             order by case when $18 and $19 then t.amount end desc, case when $18 and not $19 then t.amount end,
                 case when $19 and not $18 then t.created_at end desc, case when not $18 and not $19 then t.created_at end,
                 case when $19 then t.id end desc, t.id
             limit $22
         )
         select t.id as \"id!\", t.number as \"number!\", t.user_id as \"user_id!\", u.email as \"email!\", u.name as \"name!\",
             t.type as \"kind!\", t.direction as \"direction!\", t.amount as \"amount!\", t.status as \"status!\",
             t.description as \"description!\", t.method, t.subscription_id, t.service, t.created_at as \"created_at!: Time\",
             t.decided_at as \"decided_at?: Time\", o.number as \"reverses?\", r.numbers as \"reversed_by!\",
             r.amount as \"reversed_amount!\", m.cash, m.promotion, c.balance as \"cash_after?\", p.balance as \"promotion_after?\",
             m.last is not null as \"has_entry!\"
         from page t join users u on u.id = t.user_id left join transactions o on o.id = t.reverses
         cross join lateral (
             select coalesce(array_agg(r.number order by r.number), '{}') as numbers, coalesce(sum(r.amount), 0)::bigint as amount
             from transactions r where r.reverses = t.id and r.status in ('COMPLETED', 'REVERSED')
         ) r cross join lateral (
             select sum(f.signed) filter (where a.kind = 'CASH')::bigint as cash,
                 sum(f.signed) filter (where a.kind = 'PROMOTION')::bigint as promotion, max(f.id) as last
             from (select id, account_id, case when (credit >= 1000) = (t.direction = 'CREDIT') then amount else -amount end as signed
                   from transfers where entry_id = t.id) f
             join accounts a on a.id = f.account_id
         ) m left join lateral (
             select f.balance from transfers f
             where f.account_id = (select a.id from accounts a where a.user_id = t.user_id and a.kind = 'CASH') and f.id <= m.last
             order by f.id desc limit 1
         ) c on true left join lateral (
             select f.balance from transfers f
             where f.account_id = (select a.id from accounts a where a.user_id = t.user_id and a.kind = 'PROMOTION') and f.id <= m.last
             order by f.id desc limit 1
         ) p on true
         order by case when $18 and $19 then t.amount end desc, case when $18 and not $19 then t.amount end,
             case when $19 and not $18 then t.created_at end desc, case when not $18 and not $19 then t.created_at end,
             case when $19 then t.id end desc, t.id",
        query.id,
        query.number,
        query.user_id,
        query.kind.map(Kind::as_str),
        query.status.map(Status::as_str),
        query.direction.map(Direction::as_str),
        query.created_after.map(Time::from) as _,
        query.created_before.map(Time::from) as _,
        query.amount_min,
        query.amount_max,
        query.subscription_id,
        query.service,
        query.method,
        query.email.as_deref().map(containing),
        query.search.as_deref().map(containing),
        query.search.as_deref().and_then(Number::parse_short).map(|number| number.0),
        beyond.map(|cursor| cursor.id),
        by_amount,
        query.descending,
        amount,
        time.map(Time::from) as _,
        query.limit,
    )
    .fetch_all(&mut *db)
    .await?;
    db.rollback().await?;
    rows.into_iter().map(Transaction::try_from).collect()
}

impl TryFrom<Row> for Transaction {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        let effect = Effect {
            cash: rupiah(row.cash.unwrap_or(0))?,
            promotion: rupiah(row.promotion.unwrap_or(0))?,
            cash_after: rupiah(row.cash_after.unwrap_or(0))?,
            promotion_after: rupiah(row.promotion_after.unwrap_or(0))?,
        };
        Ok(Self {
            id: row.id,
            number: Number(row.number),
            owner: Owner { id: row.user_id, email: row.email, name: row.name },
            kind: known(Kind::of(&row.kind), &row.kind)?,
            direction: known(Direction::of(&row.direction), &row.direction)?,
            amount: rupiah(row.amount)?,
            status: known(Status::of(&row.status), &row.status)?,
            description: row.description,
            method: row.method,
            subscription_id: row.subscription_id,
            service: row.service,
            reverses: row.reverses.map(Number),
            reversed_by: row.reversed_by.into_iter().map(Number).collect(),
            reversed_amount: rupiah(row.reversed_amount)?,
            created_at: row.created_at.into(),
            decided_at: row.decided_at.map(Into::into),
            effect: row.has_entry.then_some(effect),
        })
    }
}

pub(super) async fn entry(db: &PgPool, id: Uuid) -> Result<Option<Entry>, sqlx::Error> {
    let rows = sqlx::query!(
        "select e.key, e.at as \"at: Time\", f.id, f.amount, f.version, f.balance, d.id as debit, d.kind as debit_kind, c.id as credit,
             c.kind as credit_kind
         from entries e join transfers f on f.entry_id = e.id join accounts d on d.id = f.debit join accounts c on c.id = f.credit
         where e.id = $1 order by f.id",
        id
    )
    .fetch_all(db)
    .await?;
    let Some((key, at)) = rows.first().map(|first| (first.key.clone(), first.at.to_jiff())) else {
        return Ok(None);
    };
    let transfers = rows.into_iter().map(|row| {
        Ok(Transfer {
            id: row.id,
            debit: Account { id: row.debit, kind: row.debit_kind },
            credit: Account { id: row.credit, kind: row.credit_kind },
            amount: rupiah(row.amount)?,
            version: row.version,
            balance: rupiah(row.balance)?,
        })
    });
    Ok(Some(Entry { key, at, transfers: transfers.collect::<Result<_, sqlx::Error>>()? }))
}
