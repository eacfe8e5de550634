//! The books when they are large: millions of transfers, written at once by SQL as the API would have written them one by one, then verified by
//! the API's own command.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use tokio::task::block_in_place;

use super::Plan;
use crate::api_process;
use crate::bench::report::{Figure, number};
use crate::people::home;
use crate::postgres::{APPLICATION, Durability, OWNER, Postgres};
use crate::story::Story;

const DATABASE: &str = "nakhoda";
/// How many customers the transfers are of.
const CUSTOMERS: u64 = 10_000;
/// How many sessions write.
const WRITERS: usize = 3;
/// How often each time is taken; the middle one counts.
const TIMES: usize = 3;
/// What reads all there is to verify, and compares nothing.
const SCAN: &str = "select count(*), sum(amount), bit_xor(balance) from transfers;
    select count(*), max(at) from entries;
    select count(*), sum(amount) from transactions;
    select count(*), sum(balance) from accounts";
/// What is written of each transfer, and of the account it leaves behind. Customers take turns; each pays in 1,000 and then spends 400.
const FUNCTIONS: &str = "
    create schema made;
    create function made.version(i bigint) returns bigint immutable language sql return (i - 1) / {CUSTOMERS} + 1;
    create function made.balance(v bigint) returns bigint immutable language sql
        return case when v % 2 = 1 then v / 2 * 600 + 1000 else v / 2 * 600 end;
    create function made.account(i bigint) returns bigint immutable language sql return 1000 + (i - 1) % {CUSTOMERS} * 2;
    create function made.id(i bigint) returns uuid immutable language sql
        return ('01900000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid;
    create function made.customer(i bigint) returns uuid immutable language sql
        return ('01800000-0000-7000-8000-' || lpad(to_hex((i - 1) % {CUSTOMERS}), 12, '0'))::uuid;
    insert into users (id, email, name, language, email_verified_at, created_at, updated_at)
        select made.customer(i), 'customer-' || i || '@nakhoda.test', 'A customer', 'en', now(), now(), now()
        from generate_series(1, {CUSTOMERS}) i;
    insert into accounts (id, user_id, kind, created_at)
        select made.account(i) + k, made.customer(i), case k when 0 then 'CASH' else 'PROMOTION' end, now()
        from generate_series(1, {CUSTOMERS}) i, generate_series(0, 1) k;
    select setval('accounts_id_seq', (select max(id) from accounts));
    create table made.indexes as
        select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition
        from pg_index where indrelid in ('transactions'::regclass, 'entries'::regclass, 'transfers'::regclass)
            and not exists (select from pg_constraint c where c.conindid = indexrelid)";
/// The tables, written at the same time.
const TABLES: [&str; 3] = [
    "insert into transactions (id, number, user_id, type, direction, amount, status, created_at, decided_at)
        select made.id(i), 100 + i, made.customer(i), case v % 2 when 1 then 'TOP_UP' else 'PURCHASE' end,
            case v % 2 when 1 then 'CREDIT' else 'DEBIT' end, case v % 2 when 1 then 1000 else 400 end, 'COMPLETED', at, at",
    "insert into entries (id, kind, key, at)
        select made.id(i), case v % 2 when 1 then 'TOP_UP' else 'PURCHASE' end, 'made:' || made.id(i), at",
    "insert into transfers (id, entry_id, debit, credit, amount, version, balance)
        select i, made.id(i), case v % 2 when 1 then 1 else made.account(i) end,
            case v % 2 when 1 then made.account(i) else 2 end, case v % 2 when 1 then 1000 else 400 end, v, made.balance(v)",
];

/// A database with many transfers in it.
struct Books<'a> {
    postgres: Postgres,
    program: &'a Path,
    written: u64,
}

/// Writes and verifies them.
pub(super) async fn measure(plan: &Plan, story: Story) -> Result<Vec<Figure>> {
    let mut books = Books::open(&plan.program, &plan.dir.join("books")).await?;
    let begun = Instant::now();
    books.write(plan.transfers, "now() - ({to} - i) * interval '2 seconds' - interval '2 hours'", true)?;
    let took = begun.elapsed().as_secs_f64();
    story.step(format!("{} transfers written in {took:.0} s", plan.transfers));
    let checkpoint = books.ledger(&["checkpoint"])?;
    books.write(plan.later, "now() + (i - {from}) * interval '1 millisecond'", false)?;
    books.sql("vacuum analyze transactions, entries, transfers, accounts")?;
    story.step(format!("a checkpoint in {checkpoint:.1} s, and {} transfers since", plan.later));
    let incremental = middle(|| books.ledger(&["verify"]))?;
    let mut scans = Vec::new();
    let full = middle(|| {
        let begun = Instant::now();
        books.sql(SCAN)?;
        scans.push(begun.elapsed().as_secs_f64());
        books.ledger(&["verify", "--full"])
    })?;
    scans.sort_by(f64::total_cmp);
    let scan = scans.get(scans.len() / 2).copied();
    story.step(format!("verified in {incremental:.2} s since the checkpoint, in {full:.1} s altogether"));
    let size = books.sql("select pg_database_size(current_database()) >> 20")?;
    let size: f64 = size.trim().parse()?;
    let all = f64::from(u32::try_from(books.written)?);
    let of = |what, value, unit, floor, goal| Figure { what, value, unit, floor, goal };
    Ok(vec![
        of("L8 transfers", all, "", None, "10,000,000"),
        of("L8 size of the database", size, "MiB", None, ""),
        of("L8 a checkpoint of all of it", checkpoint, "s", None, ""),
        of("L8 transfers since the checkpoint", number(usize::try_from(plan.later)?), "", None, ""),
        of("L8 verified since the checkpoint", incremental, "s", None, "≤ 2 s"),
        of("L8 verified in full", full, "s", scan, "≤ 3 times a bare scan"),
    ])
}

/// The middle one of several times.
fn middle(mut time: impl FnMut() -> Result<f64>) -> Result<f64> {
    let mut times: Vec<f64> = (0..TIMES).map(|_| time()).collect::<Result<_>>()?;
    times.sort_by(f64::total_cmp);
    times.get(TIMES / 2).copied().context("there is a middle one")
}

impl<'a> Books<'a> {
    async fn open(program: &'a Path, dir: &Path) -> Result<Self> {
        let logs = dir.join("logs");
        std::fs::create_dir_all(&logs)?;
        // What is measured reads; what is written need not outlive the run.
        let postgres = Postgres::start(&home(dir)?, &logs, Durability::Forgotten).await?;
        postgres.make_database(DATABASE)?;
        api_process::migrate(program, &postgres.url(OWNER, DATABASE))?;
        let books = Self { postgres, program, written: 0 };
        books.sql(&FUNCTIONS.replace("{CUSTOMERS}", &CUSTOMERS.to_string()))?;
        Ok(books)
    }

    fn sql(&self, sql: &str) -> Result<String> {
        // Statements in one call are one transaction, and a vacuum is none.
        block_in_place(|| self.postgres.sql(DATABASE, sql))
    }

    /// Writes so many transfers more, each at a time. The first ones come without the indexes that can be made later.
    fn write(&mut self, count: u64, at: &str, first: bool) -> Result<()> {
        let (from, to) = (self.written + 1, self.written + count);
        let place = |text: &str| text.replace("{from}", &from.to_string()).replace("{to}", &to.to_string());
        if first {
            self.indexes("'drop index ' || name")?;
        }
        let rows = format!(
            " from generate_series({from}::bigint, {to}::bigint) i, lateral (select made.version(i) as v, {} as at) x",
            place(at)
        );
        let tables = TABLES.map(|table| format!("set session_replication_role = replica; {table}{rows}"));
        self.at_once(tables.into())?;
        if first {
            self.indexes("definition")?;
        }
        self.written = to;
        self.sql(&format!(
            "set session_replication_role = replica;
             update accounts a set version = x.n, balance = made.balance(x.n)
             from (select made.account(i) as id, made.version(({to} - i) / {CUSTOMERS} * {CUSTOMERS} + i) as n
                   from generate_series(1, least({to}, {CUSTOMERS})) i) x where a.id = x.id;
             select setval('transfers_id', {to}), setval('transaction_numbers', 100 + {to})"
        ))?;
        if first {
            self.at_once(
                ["transactions", "entries", "transfers"]
                    .map(|table| format!("vacuum analyze {table}"))
                    .into(),
            )?;
        }
        Ok(())
    }

    /// Runs what is said of each of the indexes.
    fn indexes(&self, what: &str) -> Result<()> {
        let all = self.sql(&format!("select {what} from made.indexes"))?;
        self.at_once(all.lines().map(|line| format!("set maintenance_work_mem = '512MB'; {line}")).collect())
    }

    /// Runs SQL in some sessions at the same time.
    fn at_once(&self, all: Vec<String>) -> Result<()> {
        let left = Mutex::new(all.into_iter());
        let take = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work =
            || std::iter::from_fn(take).try_for_each(|sql| self.postgres.sql(DATABASE, &sql).map(drop));
        block_in_place(|| {
            thread::scope(|scope| {
                let running: Vec<_> = (0..WRITERS).map(|_| scope.spawn(work)).collect();
                running
                    .into_iter()
                    .try_for_each(|one| one.join().map_err(|_| anyhow!("a writer panicked"))?)
            })
        })
    }

    /// Runs one of the API's commands about the books; how long it took, in seconds.
    fn ledger(&self, arguments: &[&str]) -> Result<f64> {
        let mut command = Command::new(self.program);
        command.arg("ledger").args(arguments).env("DATABASE_URL", self.postgres.url(APPLICATION, DATABASE));
        let begun = Instant::now();
        let done = block_in_place(|| command.stdin(Stdio::null()).output())?;
        let took = begun.elapsed().as_secs_f64();
        let said = String::from_utf8_lossy(&done.stdout);
        ensure!(
            done.status.success(),
            "ledger {arguments:?}: {said}{}",
            String::from_utf8_lossy(&done.stderr)
        );
        Ok(took)
    }
}
