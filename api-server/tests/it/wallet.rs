//! What people and administrators see of money, and what administrators set right.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use api_server::ledger::{self, Direction, House, Kind, Move, Posting, Purse, checkpoint};
use api_server::money::Rupiah;
use api_server::wallet::{self, New, Number, Status};
use futures::future::try_join_all;
use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::world::{Answer, Api, BOUND, User, World};

const SUBSCRIPTION: Uuid = Uuid::from_u128(7);
const CREDIT: Direction = Direction::Credit;
const DEBIT: Direction = Direction::Debit;

/// A world with somebody who sets things right, and two whose money it is.
struct Bank {
    world: World,
    boss: User,
    ayu: User,
    budi: User,
    db: PgPool,
}

fn rupiah(amount: i64) -> Rupiah {
    Rupiah::new(amount).unwrap()
}

fn cash(house: House, direction: Direction, amount: i64) -> Move {
    Move { purse: Purse::Cash, house, direction, amount: rupiah(amount) }
}

fn promotion(house: House, direction: Direction, amount: i64) -> Move {
    Move { purse: Purse::Promotion, ..cash(house, direction, amount) }
}

impl Bank {
    async fn new() -> Result<Self> {
        let world = World::new().await?;
        let (boss, ayu) = (world.administrator("boss").await?, world.user("ayu").await?);
        let budi = world.user("budi").await?;
        let db = PgPool::connect(&world.database.url()).await?;
        // It writes the next checkpoint in an hour.
        differences_told_by(&world.api).await?;
        Ok(Self { world, boss, ayu, budi, db })
    }

    /// One where ayu has done one of each, and budi has paid in: see the lines below.
    async fn with_history() -> Result<Self> {
        let bank = Self::new().await?;
        let of = |user: &User, kind, direction, amount, text| {
            New::of(user.id.parse().unwrap(), kind, direction, rupiah(amount), text)
        };
        let ayu = &bank.ayu;
        let top_up = New { method: Some("qris"), ..of(ayu, Kind::TopUp, CREDIT, 100_000, "Top-up 50% off_") };
        let clearing = [cash(House::Clearing, CREDIT, 100_000)];
        let (first, _) = bank.settle(&top_up, &clearing, "2026-01-10T00:00:00Z").await?;
        let gift = of(ayu, Kind::Promotion, CREDIT, 20_000, "Welcome");
        bank.settle(&gift, &[promotion(House::Promotions, CREDIT, 20_000)], "2026-01-15T00:00:00Z").await?;
        let (subscription_id, service) = (Some(SUBSCRIPTION), Some("ghost"));
        let purchase =
            New { subscription_id, service, ..of(ayu, Kind::Purchase, DEBIT, 50_000, "Ghost, small") };
        let paid = [promotion(House::Revenue, DEBIT, 20_000), cash(House::Revenue, DEBIT, 30_000)];
        // Before and after midnight of the month's last day in Jakarta.
        bank.settle(&purchase, &paid, "2026-01-31T16:30:00Z").await?;
        let renewal = New { subscription_id, service, ..of(ayu, Kind::Renewal, DEBIT, 30_000, "Renewal") };
        bank.settle(&renewal, &[cash(House::Revenue, DEBIT, 30_000)], "2026-01-31T17:30:00Z").await?;
        let refund = New { service, ..of(ayu, Kind::Refund, CREDIT, 10_000, "Refund") };
        bank.settle(&refund, &[cash(House::Refunds, CREDIT, 10_000)], "2026-02-10T00:00:00Z").await?;
        let meant = New { method: Some("gopay"), ..of(ayu, Kind::TopUp, CREDIT, 40_000, "Top-up") };
        let mut tx = bank.db.begin().await?;
        wallet::open(&mut tx, &meant, "2026-02-12T00:00:00Z".parse()?).await?;
        tx.commit().await?;
        let reversal = New { reverses: Some(first), ..of(ayu, Kind::Reversal, DEBIT, 100_000, "Taken back") };
        let taken = [cash(House::Clearing, DEBIT, 100_000)];
        bank.settle(&reversal, &taken, "2026-02-20T00:00:00Z").await?;
        let mut tx = bank.db.begin().await?;
        wallet::decide(&mut tx, first, Status::Reversed, "2026-02-20T00:00:00Z".parse()?).await?;
        tx.commit().await?;
        let other = New { method: Some("qris"), ..of(&bank.budi, Kind::TopUp, CREDIT, 100_000, "Top-up") };
        bank.settle(&other, &clearing, "2026-02-01T00:00:00Z").await?;
        Ok(bank)
    }

    /// A transaction that is done at a time.
    async fn settle(&self, new: &New<'_>, moves: &[Move], at: &str) -> Result<(Uuid, Number)> {
        let (mut tx, at) = (self.db.begin().await?, at.parse::<Timestamp>()?);
        let locked = ledger::lock(&mut tx, new.user_id, at).await?;
        let (id, number) = wallet::open(&mut tx, new, at).await?;
        let posting = Posting { kind: new.kind, key: &format!("test:{id}"), transaction_id: id, moves };
        ledger::post(&mut tx, &locked, &posting, at).await?;
        wallet::decide(&mut tx, id, Status::Completed, at).await?;
        tx.commit().await?;
        Ok((id, number))
    }

    async fn read(&self, user: &User, path: &str) -> Result<Value> {
        Ok(self.world.api.get_as(user, path).await?.expect(StatusCode::OK)?.body)
    }

    /// What is there of cash and of promotion.
    async fn holds(&self, user: &User) -> Result<(i64, i64)> {
        let wallet = self.read(user, "/wallet").await?;
        let of = |name: &str| wallet[name].as_i64().context("a number");
        Ok((of("cash")?, of("promotion")?))
    }

    fn order(&self, kind: &str, amount: i64) -> Value {
        json!({"user_id": self.ayu.id, "kind": kind, "amount": amount, "reason": "Paid in cash"})
    }

    /// As somebody who may everything, past all triggers.
    fn tamper(&self, sql: &str) -> Result<()> {
        let sql = format!("begin; set local session_replication_role = replica; {sql}; commit");
        self.world.database.server.sql(&self.world.database.name, &sql)?;
        Ok(())
    }

    /// The program with a command about this database.
    async fn command(&self, arguments: &[&str]) -> Result<(Option<i32>, String)> {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_api-server"));
        let done = command.args(arguments).env("DATABASE_URL", self.world.database.url()).output().await?;
        Ok((done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned()))
    }
}

async fn adjust(api: &Api, by: &User, key: &str, body: &Value) -> Result<Answer> {
    let request = api.request(Method::POST, "/admin/billing/adjustments").bearer_auth(&by.access);
    api.send(request.header("idempotency-key", key).json(body)).await
}

/// How many differences a replica's metrics tell, once it has looked at the books, which comes with its start.
async fn differences_told_by(api: &Api) -> Result<i64> {
    e2e::wait::until("the books to be verified", BOUND, async || {
        let text = api.send(api.request(Method::GET, "/metrics")).await?;
        let text = text.body.as_str().unwrap_or_default().to_owned();
        let read = |name: &str| {
            let line =
                text.lines().find_map(|line| line.strip_prefix(&format!("nakhoda_api_ledger_{name} ")))?;
            line.parse::<i64>().ok()
        };
        let has_looked = read("verified_timestamp_seconds").is_some_and(|at| at > 0);
        Ok(has_looked.then(|| read("differences")).flatten())
    })
    .await
}

/// The numbers of a list's rows, without their letters.
fn numbers(page: &Value) -> Vec<i64> {
    let rows = page["items"].as_array().cloned().unwrap_or_default();
    let number = |row: &Value| {
        let row = row.get("transaction").unwrap_or(row);
        row["number"].as_str()?.strip_prefix("TXMP-")?.parse().ok()
    };
    rows.iter().filter_map(number).collect()
}

#[tokio::test]
async fn a_wallet_shows_what_is_there_what_is_owed_and_what_is_under_way() -> Result<()> {
    let bank = Bank::with_history().await?;
    let nothing = bank.read(&bank.boss, "/wallet").await?;
    let none = json!({"currency": "IDR", "cash": 0, "promotion": 0, "spendable": 0, "owed": 0, "is_frozen": false,
        "pending_top_ups": {"count": 0, "amount": 0}});
    assert_eq!(nothing, none);
    let owing = json!({"currency": "IDR", "cash": -50_000, "promotion": 0, "spendable": 0, "owed": 50_000,
        "is_frozen": true, "pending_top_ups": {"count": 1, "amount": 40_000}});
    assert_eq!(bank.read(&bank.ayu, "/wallet").await?, owing);
    adjust(&bank.world.api, &bank.boss, "1", &bank.order("CREDIT", 50_000))
        .await?
        .expect(StatusCode::CREATED)?;
    adjust(&bank.world.api, &bank.boss, "2", &bank.order("PROMOTION", 700))
        .await?
        .expect(StatusCode::CREATED)?;
    let settled = bank.read(&bank.ayu, "/wallet").await?;
    assert_eq!(
        (&settled["owed"], &settled["is_frozen"], &settled["spendable"]),
        (&json!(0), &json!(false), &json!(700))
    );
    Ok(())
}

#[tokio::test]
async fn transactions_are_found_by_each_filter() -> Result<()> {
    let bank = Bank::with_history().await?;
    let subscription = format!("subscription_id={SUBSCRIPTION}");
    let cases: &[(&str, &[i64])] = &[
        ("", &[107, 106, 105, 104, 103, 102, 101]),
        ("type=TOP_UP", &[106, 101]),
        ("status=REVERSED", &[101]),
        ("status=PENDING", &[106]),
        ("direction=DEBIT", &[107, 104, 103]),
        ("number=TXMP-103", &[103]),
        ("number=txmp-103", &[103]),
        ("number=103", &[103]),
        ("number=108", &[]),
        ("created_after=2026-02-12T00:00:00Z", &[107, 106]),
        ("created_before=2026-01-15T00:00:00Z", &[101]),
        ("amount_min=50000", &[107, 103, 101]),
        ("amount_max=20000", &[105, 102]),
        ("amount_min=20000&amount_max=30000", &[104, 102]),
        (&subscription, &[104, 103]),
        ("service=ghost", &[105, 104, 103]),
        ("service=ghost&type=REFUND", &[105]),
        ("method=qris", &[101]),
        ("sort=created_at", &[101, 102, 103, 104, 105, 106, 107]),
        ("sort=amount&service=ghost", &[105, 104, 103]),
    ];
    for (query, wanted) in cases {
        let page = bank.read(&bank.ayu, &format!("/wallet/transactions?{query}")).await?;
        assert_eq!(numbers(&page), *wanted, "{query}");
        let path = format!("/admin/billing/transactions?user_id={}&{query}", bank.ayu.id);
        assert_eq!(numbers(&bank.read(&bank.boss, &path).await?), *wanted, "as an administrator: {query}");
    }
    Ok(())
}

#[tokio::test]
async fn everybodys_transactions_are_found_by_whose_they_are_and_what_they_say() -> Result<()> {
    let bank = Bank::with_history().await?;
    for (query, wanted) in [
        ("", &[107, 106, 105, 108, 104, 103, 102, 101][..]),
        ("email=BUDI@example.com", &[108]),
        ("email=budi@", &[108]),
        ("email=nobody", &[]),
        ("search=txmp-108", &[108]),
        ("search=108", &[108]),
        ("search=budi", &[108]),
        ("search=50%25", &[101]),
        ("search=off_", &[101]),
        ("search=ghost", &[103]),
        ("method=qris&type=TOP_UP", &[108, 101]),
    ] {
        let page = bank.read(&bank.boss, &format!("/admin/billing/transactions?{query}")).await?;
        assert_eq!(numbers(&page), wanted, "{query}");
    }
    for wrong in [
        "type=GIFT",
        "status=DONE",
        "number=x",
        "number=TXMP--1",
        "amount_min=1.5",
        "color=red",
        "sort=status",
    ] {
        for (user, list) in [(&bank.ayu, "/wallet/transactions"), (&bank.boss, "/admin/billing/transactions")]
        {
            let answer = bank.world.api.get_as(user, &format!("{list}?{wrong}")).await?;
            assert_eq!(answer.code(), "request.malformed", "{list}: {wrong}");
        }
    }
    let search = bank.world.api.get_as(&bank.ayu, "/wallet/transactions?user_id=x").await?;
    assert_eq!(search.code(), "request.malformed", "one sees one's own alone");
    Ok(())
}

#[tokio::test]
async fn pages_of_transactions_leave_none_out_and_repeat_none() -> Result<()> {
    let bank = Bank::with_history().await?;
    for (sort, wanted) in [
        ("created_at", [101, 102, 103, 104, 105, 106, 107]),
        ("-created_at", [107, 106, 105, 104, 103, 102, 101]),
        ("amount", [105, 102, 104, 106, 103, 101, 107]),
        ("-amount", [107, 101, 103, 106, 104, 102, 105]),
    ] {
        let mut next = Some(format!("/api/v1/wallet/transactions?sort={sort}&page[size]=3"));
        let (mut seen, mut last) = (Vec::new(), Value::Null);
        while let Some(path) = next {
            last = bank.read(&bank.ayu, &path).await?;
            seen.extend(numbers(&last));
            next = last["next"].as_str().map(str::to_owned);
        }
        assert_eq!(seen, wanted, "{sort}");
        let before = bank.read(&bank.ayu, last["prev"].as_str().context("a page before")?).await?;
        assert_eq!(numbers(&before), wanted[3..6], "{sort}, backwards");
    }
    Ok(())
}

#[tokio::test]
async fn a_transaction_tells_what_it_did_and_what_took_it_back() -> Result<()> {
    let bank = Bank::with_history().await?;
    let list = bank.read(&bank.ayu, "/wallet/transactions?sort=created_at").await?;
    let after: Vec<Value> =
        list["items"].as_array().context("rows")?.iter().map(|row| row["balance_after"].clone()).collect();
    let balance =
        |cash: i64, promotion: i64| json!({"cash": cash, "promotion": promotion, "total": cash + promotion});
    let wanted = [
        balance(100_000, 0),
        balance(100_000, 20_000),
        balance(70_000, 0),
        balance(40_000, 0),
        balance(50_000, 0),
        Value::Null,
        balance(-50_000, 0),
    ];
    assert_eq!(after, wanted);
    let purchase = bank.read(&bank.ayu, "/wallet/transactions/txmp-103").await?;
    let fields =
        ["type", "direction", "amount", "cash_amount", "promotion_amount", "status", "service", "currency"];
    let told: Vec<&Value> = fields.iter().map(|name| &purchase[name]).collect();
    let wanted = json!(["PURCHASE", "DEBIT", 50_000, 30_000, 20_000, "COMPLETED", "ghost", "IDR"]);
    assert_eq!(json!(told), wanted);
    let first = bank.read(&bank.ayu, "/wallet/transactions/TXMP-101").await?;
    assert_eq!(
        (&first["status"], &first["reversed_by"], &first["reversed_amount"], &first["decided_at"]),
        (&json!("REVERSED"), &json!(["TXMP-107"]), &json!(100_000), &json!("2026-02-20T00:00:00Z"))
    );
    let reversal = bank.read(&bank.ayu, "/wallet/transactions/TXMP-107").await?;
    assert_eq!((&reversal["reverses"], &reversal["reversed_by"]), (&json!("TXMP-101"), &json!([])));
    let pending = bank.read(&bank.ayu, "/wallet/transactions/TXMP-106").await?;
    let none = ["cash_amount", "promotion_amount", "decided_at", "balance_after"];
    assert!(none.iter().all(|name| pending[name].is_null()), "{pending}");

    let id = purchase["id"].as_str().context("an id")?;
    assert_eq!(bank.read(&bank.ayu, &format!("/wallet/transactions/{id}")).await?, purchase);
    for name in [id, "TXMP-103", "TXMP-999", "103", "TXMP-", "x"] {
        let answer = bank.world.api.get_as(&bank.budi, &format!("/wallet/transactions/{name}")).await?;
        assert_eq!((answer.status, answer.code()), (StatusCode::NOT_FOUND, "not_found"), "{name}");
    }
    let booked = bank.read(&bank.boss, "/admin/billing/transactions/TXMP-103").await?;
    assert_eq!((&booked["transaction"], &booked["user"]["id"]), (&purchase, &json!(bank.ayu.id)));
    assert_eq!(booked["entry"]["key"], format!("test:{id}"));
    let transfers = booked["entry"]["transfers"].as_array().context("transfers")?;
    let parts: Vec<Value> = transfers
        .iter()
        .map(|one| json!([one["debit"]["kind"], one["credit"], one["amount"], one["balance_after"]]))
        .collect();
    let revenue = json!({"id": 2, "kind": "REVENUE"});
    assert_eq!(parts, [json!(["PROMOTION", revenue, 20_000, 0]), json!(["CASH", revenue, 30_000, 70_000])]);
    let pending = bank.read(&bank.boss, "/admin/billing/transactions/TXMP-106").await?;
    assert_eq!(pending["entry"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn money_is_summed_up_by_the_months_of_jakarta() -> Result<()> {
    let bank = Bank::with_history().await?;
    let summary = bank.read(&bank.ayu, "/wallet/summary?from=2025-12&to=2026-02").await?;
    let sums = |topped_up: i64, spent: i64, refunded: i64, promotions: i64, reversed: i64| {
        json!({"topped_up": topped_up, "spent": spent, "refunded": refunded, "promotions": promotions, "adjustments": 0,
            "reversed": reversed, "net": topped_up - spent + refunded + promotions - reversed})
    };
    let wanted = json!([
        {"month": "2025-12", "sums": sums(0, 0, 0, 0, 0)},
        {"month": "2026-01", "sums": sums(100_000, 50_000, 0, 20_000, 0)},
        {"month": "2026-02", "sums": sums(0, 30_000, 10_000, 0, 100_000)},
    ]);
    assert_eq!(summary["months"], wanted);
    assert_eq!(summary["totals"], sums(100_000, 80_000, 10_000, 20_000, 100_000));
    assert_eq!(summary["services"], json!([{"service": "ghost", "spent": 80_000, "refunded": 10_000}]));
    let usual = bank.read(&bank.ayu, "/wallet/summary").await?;
    assert_eq!(usual["months"].as_array().map(Vec::len), Some(12));

    let many = "/admin/billing/analytics?from=2025-01&to=2026-02";
    assert_eq!(bank.world.api.get_as(&bank.boss, many).await?.code(), "request.invalid");
    let all = bank.read(&bank.boss, "/admin/billing/analytics?from=2026-01&to=2026-02").await?;
    let figures = |nth: usize| &all["months"][nth]["figures"];
    assert_eq!(figures(0)["top_ups"], json!({"count": 1, "amount": 100_000}));
    assert_eq!(figures(1)["top_ups"], json!({"count": 1, "amount": 100_000}), "budi's");
    assert_eq!(figures(1)["reversals"], json!({"count": 1, "amount": 100_000}));
    let payers =
        [&figures(0)["active_payers"], &figures(1)["active_payers"], &all["totals"]["active_payers"]];
    assert_eq!(payers, [&json!(1), &json!(2), &json!(2)]);
    let by_method = json!([{"method": "qris", "count": 2, "amount": 200_000}]);
    assert_eq!(all["totals"]["top_ups_by_method"], by_method);
    assert_eq!(
        all["totals"]["by_service"],
        json!([{"service": "ghost", "spent": 80_000, "refunded": 10_000}])
    );
    let balances = json!({"customers_cash": 50_000, "customers_promotion": 0, "house": {"clearing": -100_000,
        "revenue": 80_000, "refunds": -10_000, "adjustments": 0, "promotions": -20_000}});
    assert_eq!(all["balances"], balances);
    ensure!(checkpoint::write(&bank.db, bank.world.clock.now()).await?.is_some());
    assert_eq!(bank.read(&bank.boss, "/admin/billing/ledger/accounts").await?, balances);

    for path in ["/wallet/summary", "/admin/billing/analytics"] {
        for (query, code) in [
            ("from=2026-13", "request.invalid"),
            ("from=x", "request.invalid"),
            ("from=2026-02&to=2026-01", "request.invalid"),
            ("from=2021-01&to=2026-01", "request.invalid"),
            ("from=2026-01&from=2026-01", "request.malformed"),
            ("form=2026-01", "request.malformed"),
        ] {
            let answer = bank.world.api.get_as(&bank.boss, &format!("{path}?{query}")).await?;
            assert_eq!(answer.code(), code, "{path}?{query}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn nothing_but_a_whole_number_of_rupiah_within_bounds_is_adjusted() -> Result<()> {
    let bank = Bank::new().await?;
    let send = async |amount: &str| {
        let body = format!(
            r#"{{"user_id": "{}", "kind": "CREDIT", "amount": {amount}, "reason": "A test"}}"#,
            bank.ayu.id
        );
        let request = bank.world.api.request(Method::POST, "/admin/billing/adjustments");
        let request = request.bearer_auth(&bank.boss.access).header("idempotency-key", amount);
        bank.world.api.send(request.header("content-type", "application/json").body(body)).await
    };
    for (amount, code) in [
        ("0", "request.invalid"),
        ("-1", "request.invalid"),
        ("1000000001", "request.invalid"),
        ("9223372036854775807", "request.invalid"),
        ("9223372036854775808", "request.invalid"),
        ("100000000000000000000", "request.invalid"),
        ("1.5", "request.invalid"),
        ("1.0", "request.invalid"),
        ("1e3", "request.invalid"),
        ("\"1\"", "request.malformed"),
        ("null", "request.malformed"),
        ("true", "request.malformed"),
        ("[1]", "request.malformed"),
    ] {
        let answer = send(amount).await?;
        assert_eq!(answer.code(), code, "{amount}");
        assert_eq!(answer.body["errors"][0]["field"], "amount", "{amount}: {}", answer.body);
    }
    for amount in ["1", "1000000000"] {
        send(amount).await?.expect(StatusCode::CREATED)?;
    }
    assert_eq!(bank.holds(&bank.ayu).await?, (1_000_000_001, 0));

    Ok(())
}

#[tokio::test]
async fn ones_data_has_all_of_ones_transactions() -> Result<()> {
    let bank = Bank::new().await?;
    let many = format!(
        "insert into transactions (id, user_id, type, direction, amount, status, created_at, decided_at)
         select gen_random_uuid(), '{}', 'TOP_UP', 'CREDIT', 10000 + n, 'EXPIRED', now(), now() from generate_series(1, 1201) n",
        bank.ayu.id
    );
    bank.world.database.server.sql(&bank.world.database.name, &many)?;
    let export = bank.world.api.get_as(&bank.ayu, "/me/export").await?.expect(StatusCode::OK)?.body;
    let items = export["transactions"].as_array().into_iter().flatten();
    let amounts: std::collections::BTreeSet<_> = items.filter_map(|one| one["amount"].as_i64()).collect();
    assert_eq!((amounts.len(), &export["transactions_are_complete"]), (1201, &json!(true)));
    Ok(())
}

#[tokio::test]
async fn an_adjustment_has_a_key_a_reason_and_somebody_who_is_there() -> Result<()> {
    let bank = Bank::new().await?;
    let deleted = bank.world.user("gone").await?;
    let leave = json!({"action": "DELETE", "ids": [deleted.id]});
    bank.world
        .api
        .send_as(&bank.boss, Method::POST, "/admin/users/bulk", &leave)
        .await?
        .expect(StatusCode::OK)?;
    let with = |name: &str, value: Value| {
        let mut body = bank.order("CREDIT", 5);
        body[name] = value;
        body
    };
    for (body, code) in [
        (with("reason", json!("  x  ")), "request.invalid"),
        (with("reason", json!("x".repeat(501))), "request.invalid"),
        (with("reason", Value::Null), "request.malformed"),
        (with("description", json!("x".repeat(501))), "request.invalid"),
        (with("kind", json!("GIFT")), "request.malformed"),
        (with("currency", json!("USD")), "request.malformed"),
        (with("user_id", json!(Uuid::nil())), "request.invalid"),
        (with("user_id", json!(deleted.id)), "user.deleted"),
    ] {
        assert_eq!(adjust(&bank.world.api, &bank.boss, "other", &body).await?.code(), code, "{body}");
    }
    let (path, order) = ("/admin/billing/adjustments", bank.order("CREDIT", 5));
    let keyless = bank.world.api.send_as(&bank.boss, Method::POST, path, &order).await?;
    assert_eq!((keyless.status, keyless.code()), (StatusCode::BAD_REQUEST, "request.malformed"));
    assert_eq!(keyless.body["errors"][0]["field"], "Idempotency-Key");
    assert_eq!(bank.holds(&bank.ayu).await?, (0, 0));
    Ok(())
}

#[tokio::test]
async fn an_adjustment_happens_once_however_often_it_is_sent_and_stands_in_the_log() -> Result<()> {
    let bank = Bank::new().await?;
    let mut body = bank.order("CREDIT", 5_000);
    body["description"] = json!("Correction");
    let replica = bank.world.replica().await?;
    let apis = [&bank.world.api, &replica];
    let tries = (0..50).map(|nth| adjust(apis[nth % 2], &bank.boss, "one", &body));
    let answers = try_join_all(tries).await?;
    let (made, others): (Vec<Answer>, Vec<Answer>) =
        answers.into_iter().partition(|answer| answer.status == StatusCode::CREATED);
    let bodies: BTreeSet<String> = made.iter().map(|answer| answer.body.to_string()).collect();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert!(others.iter().all(|answer| answer.code() == "idempotency.in_flight"), "{others:?}");
    let fresh = made.iter().filter(|answer| answer.header("idempotency-replayed").is_empty()).count();
    assert_eq!((fresh, bank.holds(&bank.ayu).await?), (1, (5_000, 0)));

    let again = adjust(&replica, &bank.boss, "one", &body).await?.expect(StatusCode::CREATED)?;
    assert_eq!(again.header("idempotency-replayed"), "true");
    let other = adjust(&replica, &bank.boss, "one", &bank.order("CREDIT", 5_001)).await?;
    assert_eq!((other.status, other.code()), (StatusCode::UNPROCESSABLE_ENTITY, "idempotency.key_reused"));

    // What was answered is what is read afterwards, by whom it is shown to.
    let booked = bank.read(&bank.boss, again.header("location")).await?;
    assert_eq!((&booked["transaction"], &booked["user"]), (&again.body["transaction"], &again.body["user"]));
    let id = booked["transaction"]["id"].as_str().context("an id")?;
    assert_eq!(booked["entry"]["key"], format!("adjustment:{id}"));
    let own = bank.read(&bank.ayu, &format!("/wallet/transactions/{id}")).await?;
    assert_eq!((&own, &own["description"]), (&booked["transaction"], &json!("Correction")));
    let gift = adjust(&replica, &bank.boss, "gift", &bank.order("PROMOTION", 30)).await?;
    let gift = gift.expect(StatusCode::CREATED)?.body["transaction"].clone();
    assert_eq!((&gift["type"], &gift["promotion_amount"]), (&json!("PROMOTION"), &json!(30)));
    let path = format!("/wallet/transactions/{}", gift["number"].as_str().unwrap_or_default());
    assert_eq!(bank.read(&bank.ayu, &path).await?, gift);

    let log = bank.read(&bank.boss, "/admin/audit?action=wallet.adjust&sort=at").await?;
    let lines = log["items"].as_array().context("lines")?;
    assert_eq!(lines.len(), 2);
    let (first, number) = (&lines[0], &again.body["transaction"]["number"]);
    assert_eq!((&first["entity_id"], &first["actor_id"]), (&json!(bank.ayu.id), &json!(bank.boss.id)));
    assert_eq!(first["before"], json!({"cash": 0, "promotion": 0}));
    assert_eq!(first["after"], json!({"cash": 5_000, "promotion": 0, "transaction": number}));
    assert_eq!(first["reason"], "Paid in cash");
    Ok(())
}

#[tokio::test]
async fn no_more_is_taken_than_there_is_whoever_takes_it_at_once() -> Result<()> {
    let bank = Bank::new().await?;
    let (other, replica) = (bank.world.administrator("other").await?, bank.world.replica().await?);
    let debit = bank.order("DEBIT", 300);
    let nothing = adjust(&replica, &other, "first", &debit).await?.expect(StatusCode::CONFLICT)?;
    assert_eq!(nothing.code(), "wallet.insufficient_balance");
    adjust(&replica, &other, "credit", &bank.order("CREDIT", 3_100)).await?.expect(StatusCode::CREATED)?;
    adjust(&replica, &other, "gift", &bank.order("PROMOTION", 3_000)).await?.expect(StatusCode::CREATED)?;
    let tries = (0..40).map(async |nth: usize| {
        let (api, by) = ([&bank.world.api, &replica][nth % 2], [&bank.boss, &other][nth / 2 % 2]);
        adjust(api, by, &format!("debit {nth}"), &debit).await
    });
    let answers = try_join_all(tries).await?;
    let (done, refused): (Vec<Answer>, Vec<Answer>) =
        answers.into_iter().partition(|answer| answer.status == StatusCode::CREATED);
    assert_eq!((done.len(), refused.len()), (10, 30));
    for answer in refused {
        assert_eq!(answer.code(), "wallet.insufficient_balance");
        let detail = answer.body["detail"].as_str().unwrap_or_default();
        assert!(detail.contains("Rp 200 is missing"), "a hundred are left: {detail}");
    }
    assert_eq!(bank.holds(&bank.ayu).await?, (100, 3_000));
    let full = json!({"mode": "FULL"});
    let report =
        bank.world.api.send_as(&bank.boss, Method::POST, "/admin/billing/ledger/verify", &full).await?;
    assert_eq!(report.body["is_right"], true, "{}", report.body);
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_the_books_is_told_by_the_api_the_program_and_the_metrics() -> Result<()> {
    let bank = Bank::with_history().await?;
    let verify = async |mode: &str| {
        let path = "/admin/billing/ledger/verify";
        bank.world.api.send_as(&bank.boss, Method::POST, path, &json!({"mode": mode})).await
    };
    let right = verify("FULL").await?.expect(StatusCode::OK)?.body;
    assert_eq!((&right["is_right"], &right["differences"]), (&json!(true), &json!([])));
    assert_eq!((&right["customers"], &right["house"]["clearing"]), (&json!(50_000), &json!(-100_000)));
    assert_eq!(verify("SOME").await?.code(), "request.malformed");
    let (status, said) = bank.command(&["ledger", "verify", "--full"]).await?;
    assert_eq!(status, Some(0), "{said}");
    let (status, said) = bank.command(&["ledger", "checkpoint"]).await?;
    assert!(status == Some(0) && said.contains("up to transfer 8"), "{said}");
    let (status, said) = bank.command(&["ledger", "verify"]).await?;
    assert!(status == Some(0) && said.contains("from transfer 8 on"), "{said}");

    assert_eq!(differences_told_by(&bank.world.api).await?, 0);
    bank.tamper(
        "update transfers set amount = amount + 1 where version = 1 and debit = 1 and amount = 100000",
    )?;
    let wrong = verify("FULL").await?.expect(StatusCode::OK)?.body;
    let faults = wrong["differences"].as_array().context("differences")?;
    assert!(
        wrong["is_right"] == false && faults.iter().any(|one| one["fault"] == "ACCOUNT_DIFFERS"),
        "{wrong}"
    );
    let (status, said) = bank.command(&["ledger", "verify", "--full"]).await?;
    assert!(status == Some(1) && said.contains("DIFFERENCE AMOUNT_DIFFERS TXMP-101"), "{said}");

    // Of what a checkpoint covers an incremental verification sees what all together come to.
    bank.tamper("update accounts set balance = balance + 1 where kind = 'CASH'")?;
    let replica = bank.world.replica().await?;
    assert!(differences_told_by(&replica).await? > 0);
    let log = bank.read(&bank.boss, "/admin/audit?action=ledger.verify").await?;
    assert_eq!(log["items"].as_array().map(Vec::len), Some(2));
    Ok(())
}

#[tokio::test]
async fn a_verification_that_takes_too_long_says_what_to_do() -> Result<()> {
    let short = World::with(|settings| settings.http.request_timeout_seconds = 10).await?;
    let boss = short.administrator("boss").await?;
    let owner = PgPool::connect(&short.database.server.admin_url(&short.database.name)).await?;
    let mut held = owner.begin().await?;
    sqlx::query("lock table transfers in access exclusive mode").execute(&mut *held).await?;
    let mode = json!({"mode": "FULL"});
    let answer = short.api.send_as(&boss, Method::POST, "/admin/billing/ledger/verify", &mode).await?;
    assert_eq!((answer.status, answer.code()), (StatusCode::SERVICE_UNAVAILABLE, "timed_out"));
    assert!(answer.body["detail"].as_str().unwrap_or_default().contains("api-server ledger verify --full"));
    drop(held);
    Ok(())
}
