//! All SQL about whether the books are right.

use super::{Difference, Fault};
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use std::time::Duration;

/// A checkpoint as it is read.
pub(super) struct Checkpoint {
    pub(super) up_to: i64,
    pub(super) at: Timestamp,
    pub(super) house: [i128; 5],
    pub(super) customers: i128,
}

/// What transfers come to.
#[derive(Default)]
pub(super) struct Sums {
    pub(super) transfers: u64,
    pub(super) house: [i128; 5],
    pub(super) customers: i128,
    pub(super) accounts: Vec<Difference>,
}

/// All transfers together, and whether the accounts and the transactions are as they say.
pub(super) struct Overview {
    pub(super) sums: Sums,
    pub(super) chains_agree: bool,
    pub(super) transactions_agree: bool,
}

/// A transaction as it is found beside its entry.
struct Found {
    number: Option<i64>,
    status: Option<String>,
    has_entry: bool,
    said: Option<String>,
    moved: Option<String>,
}

impl From<Found> for Difference {
    fn from(found: Found) -> Self {
        let is_done = matches!(found.status.as_deref(), Some("COMPLETED" | "REVERSED"));
        let fault = match (is_done, found.has_entry) {
            (true, true) => Fault::AmountDiffers,
            (true, false) => Fault::EntryMissing,
            (false, _) => Fault::EntryTooMany,
        };
        let subject = found.number.map_or_else(|| "no transaction".to_owned(), |n| format!("TXMP-{n}"));
        let expected = if is_done { number(found.said.as_deref()) } else { 0 };
        Self { fault, subject, expected, found: number(found.moved.as_deref()) }
    }
}

fn number(text: Option<&str>) -> i128 {
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn place(id: i64) -> Option<usize> {
    usize::try_from(id).ok()?.checked_sub(1).filter(|at| *at < 5)
}

/// A transaction that sees one moment, with time and memory for large sums.
pub(super) async fn snapshot(
    db: &PgPool,
    bound: Duration,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let mut tx = db.begin_with("begin isolation level repeatable read read only").await?;
    let bound = bound.as_millis().to_string();
    sqlx::query!(
        "select set_config('statement_timeout', $1, true) as one, set_config('idle_in_transaction_session_timeout', $1, true) as two,
                set_config('work_mem', '128MB', true) as three, set_config('jit', 'off', true) as four",
        bound
    )
    .fetch_one(&mut *tx)
    .await?;
    Ok(tx)
}

pub(super) async fn last_checkpoint(db: &mut PgConnection) -> Result<Option<Checkpoint>, sqlx::Error> {
    let rows = sqlx::query!(
        "select c.up_to, c.at as \"at: Time\", b.account_id, b.balance::text as balance
         from (select id, up_to, at from checkpoints order by up_to desc limit 1) c
         join checkpoint_balances b on b.checkpoint_id = c.id"
    )
    .fetch_all(db)
    .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let mut found = Checkpoint { up_to: first.up_to, at: first.at.to_jiff(), house: [0; 5], customers: 0 };
    for row in &rows {
        match place(row.account_id) {
            Some(at) => found.house[at] = number(row.balance.as_deref()),
            None => found.customers = number(row.balance.as_deref()),
        }
    }
    Ok(Some(found))
}

/// What came after a transfer, in one pass: the house's accounts, and the customers' accounts that are wrong. Of an account's chain the set of
/// (version, balance after) must be that of (version before, balance before), but for both ends; sets are compared by the exclusive or of their
/// hashes, since a version is there once.
pub(super) async fn sums(db: &mut PgConnection, since: i64) -> Result<Sums, sqlx::Error> {
    let rows = sqlx::query!(
        "with parts as materialized (
             select account_id, least(debit, credit) as house, count(*) as n, min(version) as lo, max(version) as hi,
                    sum(case when credit >= 1000 then amount else -amount end) as delta,
                    bit_xor(hashint8extended(version, balance)
                        # hashint8extended(version - 1, balance - case when credit >= 1000 then amount else -amount end)) as twist
             from transfers where id > $1 group by 1, 2
         ), chains as (
             select account_id, sum(n) as n, min(lo) as lo, max(hi) as hi, sum(delta) as delta, bit_xor(twist) as twist
             from parts group by 1
         )
         select house as \"id!\", sum(n)::bigint as \"n!\", (-sum(delta))::text as \"expected!\", null::text as found
         from parts group by house
         union all
         (select c.account_id, c.n::bigint, (coalesce(p.balance, 0) + c.delta)::text, coalesce(a.balance, 0)::text
          from chains c left join accounts a on a.id = c.account_id
          -- One look for each account, however many transfers there are.
          left join lateral (select f.id, f.balance from transfers f where f.account_id = c.account_id and f.version = c.lo - 1 offset 0) p on true
          where (a.id is not null and a.version = c.hi and c.n = c.hi - c.lo + 1 and (c.lo = 1) = (p.id is null)
              and a.balance = coalesce(p.balance, 0) + c.delta
              and c.twist = hashint8extended(c.hi, a.balance) # hashint8extended(c.lo - 1, coalesce(p.balance, 0))) is not true
          order by 1 limit 100)",
        since
    )
    .fetch_all(db)
    .await?;
    let mut sums = Sums::default();
    for row in rows {
        let expected = number(Some(&row.expected));
        // What is found is told of accounts alone, which one of the house's is where a transfer was between two of them.
        if let (Some(at), None) = (place(row.id), &row.found) {
            sums.house[at] = expected;
            sums.customers -= expected;
            sums.transfers += u64::try_from(row.n).unwrap_or(0);
        } else {
            sums.accounts.push(Difference {
                fault: Fault::AccountDiffers,
                subject: format!("account {}", row.id),
                expected,
                found: number(row.found.as_deref()),
            });
        }
    }
    Ok(sums)
}

/// What all customers have.
pub(super) async fn customers(db: &mut PgConnection) -> Result<i128, sqlx::Error> {
    let sum = sqlx::query_scalar!("select coalesce(sum(balance), 0)::text from accounts where id >= 1000");
    Ok(number(sum.fetch_one(db).await?.as_deref()))
}

pub(super) async fn below_floor(db: &mut PgConnection) -> Result<Vec<Difference>, sqlx::Error> {
    let rows = sqlx::query!(
        "select id, balance, floor from accounts where id >= 1000 and (balance < floor or floor > 0) order by id limit 100"
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Difference {
            fault: Fault::BelowFloor,
            subject: format!("account {}", row.id),
            expected: row.floor.unwrap_or(0).into(),
            found: row.balance.unwrap_or(0).into(),
        })
        .collect())
}

/// Accounts without any transfer that claim to hold something.
pub(super) async fn quiet_accounts(db: &mut PgConnection) -> Result<Vec<Difference>, sqlx::Error> {
    let rows = sqlx::query!(
        "select a.id, a.balance from accounts a
         where a.id >= 1000 and (a.version > 0 or a.balance <> 0) and not exists (select from transfers t where t.account_id = a.id)
         order by a.id limit 100"
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Difference {
            fault: Fault::AccountDiffers,
            subject: format!("account {}", row.id),
            expected: 0,
            found: row.balance.unwrap_or(0).into(),
        })
        .collect())
}

/// What all transfers come to, in one pass and without a group for each account or a large join: both are needed only where something is wrong.
/// Of all chains together the set of (account, version, balance after) must be that of (account, version before, balance before), but for the
/// beginnings and for what the accounts are now. Transactions and transfers are compared by their sums, plain and with each amount weighed by the
/// hash of its transaction's id.
pub(super) async fn overview(db: &mut PgConnection) -> Result<Overview, sqlx::Error> {
    let row = sqlx::query!(
        "with moved as (
             select count(*) as n,
                    count(*) filter (where ((debit between 1 and 5 and credit >= 1000) or (credit between 1 and 5 and debit >= 1000)) is not true) as odd,
                    coalesce(sum(case when debit = 1 then -amount when credit = 1 then amount end), 0) as clearing,
                    coalesce(sum(case when debit = 2 then -amount when credit = 2 then amount end), 0) as revenue,
                    coalesce(sum(case when debit = 3 then -amount when credit = 3 then amount end), 0) as refunds,
                    coalesce(sum(case when debit = 4 then -amount when credit = 4 then amount end), 0) as adjustments,
                    coalesce(sum(case when debit = 5 then -amount when credit = 5 then amount end), 0) as promotions,
                    sum((case when credit >= 1000 then amount else -amount end) % 1000000007 * (uuid_hash(entry_id) & 1073741823)) as weight,
                    bit_xor(hashint8extended(version, balance # hashint8extended(account_id, 0))
                        # hashint8extended(version - 1, (balance - case when credit >= 1000 then amount else -amount end)
                            # hashint8extended(account_id, 0))) as twist
             from transfers
         ), held as (
             select bit_xor(hashint8extended(coalesce(version, 0), coalesce(balance, 0) # hashint8extended(id, 0))
                 # hashint8extended(0, hashint8extended(id, 0))) as twist
             from accounts where id >= 1000
         ), said as (
             select sum((case direction when 'CREDIT' then amount else -amount end) % 1000000007 * (uuid_hash(id) & 1073741823)) as weight,
                    sum(case direction when 'CREDIT' then amount else -amount end) as amount,
                    count(*) as n, bit_xor(uuid_hash_extended(id, 0)) as ids
             from transactions where status in ('COMPLETED', 'REVERSED')
         ), written as (select count(*) as n, bit_xor(uuid_hash_extended(id, 0)) as ids from entries)
         select moved.n as \"n!\", moved.clearing::text as \"clearing!\", moved.revenue::text as \"revenue!\", moved.refunds::text as \"refunds!\",
             moved.adjustments::text as \"adjustments!\", moved.promotions::text as \"promotions!\",
             (moved.odd = 0 and coalesce(moved.twist, 0) = coalesce(held.twist, 0)) as \"chains_agree!\",
             ((coalesce(moved.weight, 0) - coalesce(said.weight, 0)) % 1000000007 = 0
                 and -(clearing + revenue + refunds + adjustments + promotions) = coalesce(said.amount, 0)
                 and said.n = written.n and said.ids is not distinct from written.ids) as \"transactions_agree!\"
         from moved, held, said, written"
    )
    .fetch_one(db)
    .await?;
    let house = [row.clearing, row.revenue, row.refunds, row.adjustments, row.promotions];
    let house = house.map(|sum| number(Some(&sum)));
    let transfers = u64::try_from(row.n).unwrap_or(0);
    let sums = Sums { transfers, house, customers: -house.iter().sum::<i128>(), accounts: Vec::new() };
    Ok(Overview { sums, chains_agree: row.chains_agree, transactions_agree: row.transactions_agree })
}

/// Transactions that were decided since, or moved by a later transfer, and don't agree with their entry. An hour earlier, since clocks differ.
/// Each is looked at by itself, so that it takes as long as there are such, not as all books.
pub(super) async fn recent_transactions(
    db: &mut PgConnection,
    since: i64,
    at: Timestamp,
) -> Result<Vec<Difference>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Found,
        "with looked_at as (
             select entry_id as id from transfers where id > $1
             union select id from transactions where decided_at > $2::timestamptz - interval '1 hour' and status in ('COMPLETED', 'REVERSED')
         )
         select t.number as \"number?\", t.status as \"status?\", e.id is not null as \"has_entry!\", t.said::text as said, m.amount::text as moved
         from looked_at l
         left join lateral (select d.number, d.status, case d.direction when 'CREDIT' then d.amount else -d.amount end as said
                            from transactions d where d.id = l.id offset 0) t on true
         left join lateral (select w.id from entries w where w.id = l.id offset 0) e on true,
         -- All of an entry's transfers: a checkpoint may lie between two of them.
         lateral (select coalesce(sum(case when f.credit >= 1000 then f.amount else -f.amount end), 0) as amount
                  from transfers f where f.entry_id = l.id) m
         where (t.status in ('COMPLETED', 'REVERSED') and e.id is not null and m.amount = t.said) is not true
         order by 1 limit 100",
        since,
        Time::from(at) as _,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Difference::from).collect())
}

/// The same of all transactions, joined at once.
pub(super) async fn all_transactions(db: &mut PgConnection) -> Result<Vec<Difference>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Found,
        "with moved as (
             select entry_id as id, sum(case when credit >= 1000 then amount else -amount end) as amount from transfers group by 1
         )
         select t.number as \"number?\", t.status as \"status?\", e.id is not null as \"has_entry!\",
                (case t.direction when 'CREDIT' then t.amount else -t.amount end)::text as said, coalesce(m.amount, 0)::text as moved
         from transactions t full join entries e on e.id = t.id full join moved m on m.id = coalesce(t.id, e.id)
         where (t.status in ('COMPLETED', 'REVERSED') or e.id is not null or m.id is not null)
             and (t.status in ('COMPLETED', 'REVERSED') and e.id is not null
                 and coalesce(m.amount, 0) = case t.direction when 'CREDIT' then t.amount else -t.amount end) is not true
         order by 1 limit 100"
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Difference::from).collect())
}

/// The last checkpoint against all transfers up to it: what they all come to, without those after it.
pub(super) async fn checkpoints(
    db: &mut PgConnection,
    all: &[i128; 5],
) -> Result<Vec<Difference>, sqlx::Error> {
    let Some(last) = last_checkpoint(db).await? else { return Ok(Vec::new()) };
    let rows = sqlx::query!(
        "select least(debit, credit) as \"id!\", sum(case when credit >= 1000 then -amount else amount end)::text as \"sum!\"
         from transfers where id > $1 group by 1",
        last.up_to
    )
    .fetch_all(db)
    .await?;
    let mut house = *all;
    for row in rows {
        if let Some(at) = place(row.id) {
            house[at] -= number(Some(&row.sum));
        }
    }
    let all = house.iter().zip(last.house).enumerate().map(|(at, (sum, kept))| (at + 1, *sum, kept));
    let customers = (0, -house.iter().sum::<i128>(), last.customers);
    Ok(std::iter::once(customers)
        .chain(all)
        .filter(|(_, sum, kept)| sum != kept)
        .map(|(account, expected, found)| Difference {
            fault: Fault::CheckpointDiffers,
            subject: format!("checkpoint up to transfer {}, account {account}", last.up_to),
            expected,
            found,
        })
        .collect())
}

/// The last transfer's number, and which transactions had begun by then; and then, whether all of those have ended.
pub(in crate::ledger) async fn checkpoint_is_due(db: &PgPool) -> Result<Option<(i64, i64)>, sqlx::Error> {
    let up_to = sqlx::query_scalar!(
        "select case when is_called then last_value else 0 end as \"last!\" from transfers_id"
    )
    .fetch_one(db)
    .await?;
    let last = sqlx::query_scalar!("select coalesce(max(up_to), 0) as \"last!\" from checkpoints")
        .fetch_one(db)
        .await?;
    if up_to <= last {
        return Ok(None);
    }
    // Only now: whoever has a number up to that one has a lower transaction id than this one, which is new.
    let begun = sqlx::query_scalar!("select pg_current_xact_id()::text::bigint as \"begun!\"");
    Ok(Some((up_to, begun.fetch_one(db).await?)))
}

/// Writes a checkpoint, once all transactions that had begun by then have ended; whether it is written.
pub(in crate::ledger) async fn checkpoint(
    db: &PgPool,
    up_to: i64,
    begun: i64,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let have_ended = sqlx::query_scalar!(
        "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint >= $1 as \"ended!\"",
        begun
    );
    if !have_ended.fetch_one(db).await? {
        return Ok(false);
    }
    sqlx::query!(
        "with before as (select id, up_to from checkpoints where up_to < $1 order by up_to desc limit 1),
         new as (
             select least(debit, credit) as account_id, count(*) as n, sum(case when credit >= 1000 then -amount else amount end) as delta
             from transfers where id > coalesce((select up_to from before), 0) and id <= $1 group by 1
         ), made as (
             insert into checkpoints (at, up_to, transfers) select $2, $1, coalesce(sum(n), 0) from new
             on conflict (up_to) do nothing returning id
         ), house as (
             select a.id as account_id, coalesce(b.balance, 0) + coalesce(new.delta, 0) as balance
             from generate_series(1, 5) as a(id) left join new on new.account_id = a.id
             left join checkpoint_balances b on b.account_id = a.id and b.checkpoint_id = (select id from before)
         )
         insert into checkpoint_balances (checkpoint_id, account_id, balance)
         select made.id, house.account_id, house.balance from made, house
         union all select made.id, 0, (select -sum(balance) from house) from made",
        up_to,
        Time::from(now) as _,
    )
    .execute(db)
    .await?;
    Ok(true)
}
