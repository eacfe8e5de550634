//! The books: what holds whatever is done to them, and what their role may not.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use api_server::ledger::verify::{self, Fault, Scope};
use api_server::ledger::{self, Direction, House, Kind, Move, PostError, Posting, Purse, checkpoint};
use api_server::money::Rupiah;
use api_server::wallet::{self, New, Status};
use api_server::{clock::Clock, random};
use e2e::postgres::OWNER;
use sqlx::PgPool;
use uuid::Uuid;

use crate::world::Database;

const LONG: Duration = Duration::from_mins(1);

/// Random numbers that are the same at every run (`SplitMix64`).
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

struct Books {
    database: Database,
    db: PgPool,
    clock: Clock,
    users: Vec<Uuid>,
}

impl Books {
    async fn new(users: usize) -> Result<Self> {
        let database = Database::new().await?;
        let db = PgPool::connect(&database.url()).await?;
        let mut all = Vec::new();
        for n in 0..users {
            let id = random::id(Clock::system().now());
            database.server.sql(
                &database.name,
                &format!(
                    "insert into users (id, email, name, language, created_at, updated_at)
                     values ('{id}', 'user{n}@example.com', 'User {n}', 'en', now(), now())"
                ),
            )?;
            all.push(id);
        }
        Ok(Self { database, db, clock: Clock::system(), users: all })
    }

    /// Does one thing to a wallet in a transaction of its own.
    async fn act(&self, user: Uuid, kind: Kind, moves: &[Move], key: &str) -> Result<(), PostError> {
        let (mut tx, now) = (self.db.begin().await?, self.clock.now());
        let locked = ledger::lock(&mut tx, user, now).await?;
        let direction = moves.first().map_or(Direction::Credit, |one| one.direction);
        let amount = moves.iter().map(|one| one.amount.get()).sum::<i64>();
        let new = New::of(user, kind, direction, Rupiah::new(amount.max(1)).unwrap(), "");
        let (id, _) = wallet::open(&mut tx, &new, now).await?;
        let posting = Posting { kind, key, transaction_id: id, moves };
        if let Err(error) = ledger::post(&mut tx, &locked, &posting, now).await {
            tx.rollback().await?;
            return Err(error);
        }
        wallet::decide(&mut tx, id, Status::Completed, now).await?;
        Ok(tx.commit().await?)
    }

    async fn faults(&self, scope: Scope) -> Result<Vec<(Fault, String)>> {
        let report = verify::verify(&self.db, scope, LONG).await?;
        Ok(report.differences.into_iter().map(|one| (one.fault, one.subject)).collect())
    }

    /// As somebody who may everything, past all triggers.
    fn tamper(&self, sql: &str) -> Result<()> {
        let sql = format!("begin; set local session_replication_role = replica; {sql}; commit");
        self.database.server.sql(&self.database.name, &sql)?;
        Ok(())
    }
}

fn rupiah(amount: i64) -> Rupiah {
    Rupiah::new(amount).unwrap()
}

fn one(purse: Purse, house: House, direction: Direction, amount: i64) -> [Move; 1] {
    [Move { purse, house, direction, amount: rupiah(amount) }]
}

/// Any sequence of what can be done to wallets, by several at once, leaves books that verify, and wallets that are as a plain sum says.
#[tokio::test]
async fn whatever_is_done_the_books_verify_and_say_what_a_plain_sum_says() -> Result<()> {
    let books = Books::new(5).await?;
    let steps = if std::env::var_os("NAKHODA_PROVE").is_some() { 20_000 } else { 400 };
    let work = (0..4u64).map(async |hand| {
        let (mut dice, mut sums) = (Dice(hand + 1), [0i64; 5]);
        for step in 0..steps / 4 {
            let at = usize::try_from(dice.roll(5))?;
            let amount = 1 + i64::try_from(dice.roll(50_000))?;
            let (kind, moves) = match dice.roll(7) {
                0 | 1 => (Kind::TopUp, one(Purse::Cash, House::Clearing, Direction::Credit, amount).to_vec()),
                2 => {
                    let credit = one(Purse::Promotion, House::Promotions, Direction::Credit, amount);
                    (Kind::Promotion, credit.to_vec())
                }
                3 => (Kind::Reversal, one(Purse::Cash, House::Clearing, Direction::Debit, amount).to_vec()),
                4 => (Kind::Refund, one(Purse::Cash, House::Refunds, Direction::Credit, amount).to_vec()),
                _ => {
                    let wallet = ledger::read(&books.db, books.users[at]).await?;
                    let moves = wallet.and_then(|wallet| wallet.spend(rupiah(amount), House::Revenue).ok());
                    (Kind::Purchase, moves.unwrap_or_default())
                }
            };
            // A third of all keys come twice.
            let key = format!("{hand}:{}", step - u64::from(step % 3 == 2));
            match books.act(books.users[at], kind, &moves, &key).await {
                Ok(()) => {
                    for one in &moves {
                        let sign = if one.direction == Direction::Credit { 1 } else { -1 };
                        sums[at] += sign * one.amount.get();
                    }
                }
                Err(
                    PostError::AlreadyThere
                    | PostError::Insufficient { .. }
                    | PostError::Frozen { .. }
                    | PostError::NoAmount,
                ) => {}
                Err(error) => return Err(error.into()),
            }
            if step % 37 == 0 {
                checkpoint::write(&books.db, books.clock.now()).await?;
                let found = verify::verify(&books.db, Scope::Incremental, LONG).await?;
                ensure!(found.differences.is_empty(), "in between: {found:?}");
            }
        }
        Ok(sums)
    });
    let sums = futures::future::try_join_all(work).await?;
    for (at, user) in books.users.iter().enumerate() {
        let sum: i64 = sums.iter().map(|sums| sums[at]).sum();
        let wallet = ledger::read(&books.db, *user).await?.context("it was used")?;
        assert_eq!(wallet.cash.balance.get() + wallet.promotion.balance.get(), sum, "user {at}");
        assert!(wallet.cash.floor <= Rupiah::ZERO && wallet.cash.balance >= wallet.cash.floor);
    }
    let full = verify::verify(&books.db, Scope::Full, LONG).await?;
    assert_eq!(full.differences, []);
    assert_eq!(full.house.iter().sum::<i128>(), -full.customers);
    let recent = verify::verify(&books.db, Scope::Incremental, LONG).await?;
    assert_eq!((recent.house, recent.differences), (full.house, vec![]));
    assert!(recent.transfers < full.transfers);
    Ok(())
}

#[tokio::test]
async fn the_application_can_only_add_to_the_books_and_even_their_owner_changes_nothing() -> Result<()> {
    let books = Books::new(1).await?;
    let user = books.users[0];
    books.act(user, Kind::TopUp, &one(Purse::Cash, House::Clearing, Direction::Credit, 500), "a").await?;
    checkpoint::write(&books.db, books.clock.now()).await?;
    let owner = PgPool::connect(&books.database.server.url(OWNER, &books.database.name)).await?;
    let code = |error: sqlx::Error| error.as_database_error()?.code().map(std::borrow::Cow::into_owned);
    for (table, column) in [
        ("entries", "key"),
        ("transfers", "amount"),
        ("checkpoints", "at"),
        ("checkpoint_balances", "balance"),
    ] {
        for sql in [
            format!("update {table} set {column} = {column}"),
            format!("delete from {table}"),
            format!("truncate {table} cascade"),
        ] {
            let refused = sqlx::query(sqlx::AssertSqlSafe(sql.clone())).execute(&books.db).await;
            assert_eq!(refused.err().and_then(code).as_deref(), Some("42501"), "{sql}");
            let refused = sqlx::query(sqlx::AssertSqlSafe(sql.clone())).execute(&owner).await;
            assert_eq!(refused.err().and_then(code).as_deref(), Some("23001"), "{sql}");
        }
    }
    for sql in [
        "update accounts set balance = 1000000",
        "update accounts set floor = -1000000",
        "delete from accounts",
        "insert into accounts (id, user_id, kind, balance, created_at) select 5000, id, 'CASH', 9, now() from users",
        "update transactions set amount = amount + 1",
        "delete from transactions",
        "select setval('transfers_id', 1)",
    ] {
        let refused = sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&books.db).await;
        assert_eq!(refused.err().and_then(code).as_deref(), Some("42501"), "{sql}");
    }
    for sql in [
        "update accounts set balance = 1000000 where id >= 1000",
        "update transactions set status = 'FAILED'",
        "delete from transactions",
        "delete from accounts",
    ] {
        let refused = sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&owner).await;
        assert_eq!(refused.err().and_then(code).as_deref(), Some("23001"), "{sql}");
    }
    Ok(())
}

/// What a careless or hostile writer might add is refused when it is added or when it is committed.
#[tokio::test]
async fn no_entry_is_kept_that_does_not_come_to_its_transactions_amount() -> Result<()> {
    let books = Books::new(2).await?;
    let (ayu, budi) = (books.users[0], books.users[1]);
    for user in [ayu, budi] {
        let credit = one(Purse::Cash, House::Clearing, Direction::Credit, 100);
        books.act(user, Kind::TopUp, &credit, &format!("first {user}")).await?;
    }
    let open = format!(
        "insert into transactions (id, user_id, type, direction, amount, status, created_at, decided_at)
         values ('0192a000-0000-7000-8000-000000000001', '{ayu}', 'PURCHASE', 'DEBIT', 50, 'COMPLETED', now(), now());"
    );
    let entry = "insert into entries (id, kind, key, at) values ('0192a000-0000-7000-8000-000000000001', 'PURCHASE', 'k', now());";
    let cash = |user: Uuid| format!("(select id from accounts where user_id = '{user}' and kind = 'CASH')");
    let transfer = |debit: &str, credit: &str, amount: i64| {
        format!(
            "insert into transfers (entry_id, debit, credit, amount) values ('0192a000-0000-7000-8000-000000000001', {debit}, {credit}, {amount});"
        )
    };
    let (mine, others) = (cash(ayu), cash(budi));
    for (what, sql) in [
        ("a transaction without an entry", open.clone()),
        ("an entry without a transfer", format!("{open}{entry}")),
        ("less than the amount", format!("{open}{entry}{}", transfer(&mine, "2", 49))),
        ("into the wallet in the place of out of it", format!("{open}{entry}{}", transfer("2", &mine, 50))),
        ("from another's wallet", format!("{open}{entry}{}", transfer(&others, "2", 50))),
        ("between customers", format!("{open}{entry}{}", transfer(&mine, &others, 50))),
        ("between accounts of the house", format!("{open}{entry}{}", transfer("1", "2", 50))),
        ("nothing", format!("{open}{entry}{}", transfer(&mine, "2", 0))),
        ("more than there is", format!("{}{entry}{}", open.replace("50", "101"), transfer(&mine, "2", 101))),
    ] {
        let mut tx = books.db.begin().await?;
        let written = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *tx).await;
        let refused = match written {
            Ok(_) => tx.commit().await.err(),
            Err(error) => Some(error),
        };
        assert!(refused.as_ref().and_then(sqlx::Error::as_database_error).is_some(), "{what}");
    }
    assert_eq!(books.faults(Scope::Full).await?, []);
    Ok(())
}

#[tokio::test]
async fn every_planted_difference_is_named() -> Result<()> {
    let planted: &[(&str, &str, Fault, &str)] = &[
        ("a balance", "update accounts set balance = balance + 1 where id = (select min(id) from accounts where id >= 1000)",
         Fault::AccountDiffers, "account 10"),
        ("an old amount", "update transfers set amount = amount + 1 where version = 2 and id = (select min(id) from transfers where version = 2)",
         Fault::AccountDiffers, "account 10"),
        ("a transfer taken away", "delete from transfers where id = (select max(id) - 1 from transfers)", Fault::AccountDiffers, "account 10"),
        ("a balance in the chain", "update transfers set balance = balance + 1 where id = (select min(id) from transfers where version = 2)",
         Fault::AccountDiffers, "account 10"),
        ("a transaction's amount", "update transactions set amount = amount + 1 where number = 101", Fault::AmountDiffers, "TXMP-101"),
        ("a transaction's amount, by what amounts are counted modulo", "update transactions set amount = amount + 1000000007 where number = 101",
         Fault::AmountDiffers, "TXMP-101"),
        ("an entry taken away", "delete from entries where id = (select id from transactions where number = 101)", Fault::EntryMissing, "TXMP-101"),
        ("a transaction set back", "update transactions set status = 'FAILED' where number = 101", Fault::EntryTooMany, "TXMP-101"),
        ("a transfer to the house from the house", "update transfers set credit = 2 where id = (select max(id) from transfers)",
         Fault::AccountDiffers, "account 2"),
        ("a balance in an account without transfers", "update accounts set balance = 7 where id = (select max(id) from accounts where kind = 'PROMOTION')",
         Fault::AccountDiffers, "account 10"),
        ("an account without its transfers", "delete from transfers where account_id = (select min(account_id) from transfers)",
         Fault::AccountDiffers, "account 10"),
        ("a balance in the chain that a hash of its halves takes for another",
         "update transfers set balance = balance + 4294967297 where id = (select min(id) from transfers where version = 2)",
         Fault::AccountDiffers, "account 10"),
        ("a floor", "update accounts set floor = 1, balance = 0 where kind = 'PROMOTION'", Fault::BelowFloor, "account 10"),
        ("a checkpoint", "update checkpoint_balances set balance = balance + 1 where account_id = 1", Fault::CheckpointDiffers, "checkpoint"),
        ("money from nowhere", "insert into accounts (id, user_id, kind, balance, floor, version, created_at) select 1000000, id, 'CASH', 7, 0, 0, now()
          from users where not exists (select from accounts a where a.user_id = users.id)", Fault::TotalsDiffer, "customers"),
    ];
    for (what, sql, fault, subject) in planted {
        let books = Books::new(3).await?;
        for step in 0..6 {
            let user = books.users[step % 2];
            let credit = one(Purse::Cash, House::Clearing, Direction::Credit, 100);
            books.act(user, Kind::TopUp, &credit, &format!("{step}")).await?;
        }
        checkpoint::write(&books.db, books.clock.now()).await?;
        assert_eq!(books.faults(Scope::Full).await?, []);
        let sql = sql.replace("balance = 0 where", "balance = 0 where id >= 1000 and");
        let unchecked =
            "alter table accounts drop constraint accounts_floor, drop constraint accounts_floor_check;
             alter table transfers drop constraint transfers_check";
        books.tamper(&format!("{unchecked}; {sql}"))?;
        let found = books.faults(Scope::Full).await?;
        assert!(found.iter().any(|one| one.0 == *fault && one.1.starts_with(subject)), "{what}: {found:?}");
    }
    Ok(())
}

/// What is done to the books, how, and what is said of it; `{last}` is the last transfer.
const PLANTED_SINCE: &[(&str, &str, Fault, &str)] = &[
    (
        "a balance",
        "update accounts set balance = balance + 1 where id = (select max(account_id) from transfers)",
        Fault::AccountDiffers,
        "account 10",
    ),
    (
        "an amount",
        "update transfers set amount = amount + 1 where id = {last}",
        Fault::AccountDiffers,
        "account 10",
    ),
    (
        "a balance in the chain",
        "update transfers set balance = balance + 1 where id = {last} - 2",
        Fault::AccountDiffers,
        "account 10",
    ),
    ("a transfer taken away", "delete from transfers where id = {last}", Fault::AmountDiffers, "TXMP-106"),
    (
        "a transaction's amount",
        "update transactions set amount = amount + 1 where number = 106",
        Fault::AmountDiffers,
        "TXMP-106",
    ),
    (
        "an old one's amount",
        "update transactions set amount = amount + 1 where number = 101",
        Fault::AmountDiffers,
        "TXMP-101",
    ),
    (
        "an entry taken away",
        "delete from entries where id = (select id from transactions where number = 106)",
        Fault::EntryMissing,
        "TXMP-106",
    ),
    (
        "a transaction set back",
        "update transactions set status = 'FAILED' where number = 106",
        Fault::EntryTooMany,
        "TXMP-106",
    ),
    (
        "a transaction taken away",
        "delete from transactions where number = 106",
        Fault::EntryTooMany,
        "no transaction",
    ),
    (
        "a checkpoint between two transfers of an entry",
        "update transfers set entry_id = (select id from transactions where number = 101) where id = {last}",
        Fault::AmountDiffers,
        "TXMP-101",
    ),
];

/// What came since the checkpoint is looked at as closely, and an entry of which one transfer came before it altogether.
#[tokio::test]
async fn what_is_wrong_since_the_checkpoint_is_named_by_the_incremental_verification() -> Result<()> {
    let last = "(select max(id) from transfers)";
    for (what, sql, fault, subject) in PLANTED_SINCE {
        let books = Books::new(2).await?;
        for step in 0..6 {
            let credit = one(Purse::Cash, House::Clearing, Direction::Credit, 100);
            books.act(books.users[step % 2], Kind::TopUp, &credit, &format!("{step}")).await?;
            if step == 1 {
                checkpoint::write(&books.db, books.clock.now()).await?;
            }
        }
        assert_eq!(books.faults(Scope::Incremental).await?, []);
        books.tamper(&sql.replace("{last}", last))?;
        let found = books.faults(Scope::Incremental).await?;
        assert!(found.iter().any(|one| one.0 == *fault && one.1.starts_with(subject)), "{what}: {found:?}");
        let found = books.faults(Scope::Full).await?;
        assert!(
            found.iter().any(|one| one.0 == *fault && one.1.starts_with(subject)),
            "{what}, in full: {found:?}"
        );
    }
    Ok(())
}
