//! The checker on books made by hand: right ones, and each that is wrong in one way.

use super::{Held, Owners, Wrong, balances, held, history, payments};
use crate::midtrans::entry::{Attempt, Entry};
use crate::midtrans::{Method, Status};
use crate::money::books::{Account, Books, Link, Transaction};
use crate::money::history::{Line, Told, What};

/// A world of two wallets. Ani was given credit of 100, has paid 50 at the gateway and got 20 of it back, and 30 was taken; Budi was
/// promised 5.
struct World {
    lines: Vec<Line>,
    books: Books,
    gateway: Vec<Entry>,
}

fn line(key: &str, what: What, user: &str, amount: i64, told: Told) -> Line {
    Line { key: key.into(), what, user: user.into(), amount, told, tries: 1 }
}

fn transaction(id: &str, user: &str, kind: &str, moves: (i64, i64), texts: (&str, &str)) -> Transaction {
    let (cash, promotion) = moves;
    let text = ToOwned::to_owned;
    Transaction {
        id: text(id),
        user: text(user),
        kind: text(kind),
        amount: cash + promotion,
        status: "COMPLETED".into(),
        description: text(texts.0),
        key: text(texts.1),
        cash,
        promotion,
    }
}

fn links(account: i64, parts: &[i64]) -> Vec<Link> {
    let mut balance = 0;
    let mut link = |(delta, version): (&i64, i64)| {
        balance += delta;
        Link { account, version, delta: *delta, balance, takes_back: *delta == -20 }
    };
    parts.iter().zip(1..).map(&mut link).collect()
}

fn account(id: i64, user: &str, is_cash: bool, balance: i64, version: i64) -> Account {
    Account { id, user: user.into(), is_cash, balance, floor: 0, version }
}

impl World {
    fn new() -> Self {
        let done = |id: &str| Told::Done(id.into());
        let lines = vec![
            line("k1", What::Credit, "ani", 100, done("t1")),
            line("k2", What::Debit, "ani", 30, Told::Unknown),
            line("k3", What::Promotion, "budi", 5, done("t3")),
            line("k4", What::TopUp, "ani", 50, done("t4")),
            line("k5", What::Debit, "budi", 900, Told::Refused("wallet.insufficient_balance".into())),
            line("k6", What::Credit, "budi", 70, Told::Unknown),
            line("k7", What::Read, "ani", 0, Told::Holds(150, 0)),
        ];
        let transactions = vec![
            transaction("t1", "ani", "ADJUSTMENT", (100, 0), ("k1", "adjustment:t1")),
            transaction("t2", "ani", "ADJUSTMENT", (-30, 0), ("k2", "adjustment:t2")),
            transaction("t3", "budi", "PROMOTION", (0, 5), ("k3", "adjustment:t3")),
            transaction("t4", "ani", "TOP_UP", (50, 0), ("Top-up", "topup:midtrans:g1")),
            transaction("t5", "ani", "REVERSAL", (-20, 0), ("Given back", "reversal:midtrans:g1:r1")),
        ];
        let attempt = Attempt {
            transaction_id: "g1".into(),
            method: Method::Gopay,
            status: Status::PartialRefund,
            fraud: None,
            amount: 50,
            fee: 0,
            returned: 20,
            net: 30,
        };
        let order = Entry {
            order_id: "o1".into(),
            expected: 50,
            token: String::new(),
            net: 30,
            transactions: vec![attempt],
        };
        let books = Books {
            transactions,
            links: [links(1000, &[100, 50, -20, -30]), links(1003, &[5])].concat(),
            accounts: vec![
                account(1000, "ani", true, 100, 4),
                account(1001, "ani", false, 0, 0),
                account(1002, "budi", true, 0, 0),
                account(1003, "budi", false, 5, 1),
            ],
            clearing: 30,
        };
        Self { lines, books, gateway: vec![order] }
    }

    /// What is wrong, sorted.
    fn wrong(&self) -> Vec<Wrong> {
        let owners = Owners([("o1".to_owned(), "ani".to_owned())].into());
        let held: Held = held(&self.gateway, &owners);
        let mut wrong = balances(&self.books);
        wrong.extend(payments(&self.books, &self.gateway, &owners));
        wrong.extend(history(&self.lines, &self.books, &held));
        wrong.sort();
        wrong
    }

    fn has(&self, wanted: &Wrong) -> bool {
        let wrong = self.wrong();
        assert!(wrong.contains(wanted), "{wrong:?}");
        true
    }
}

#[test]
fn right_books_are_right_with_what_is_unknown_there_or_not() {
    assert_eq!(World::new().wrong(), []);
}

#[test]
fn what_was_acknowledged_and_is_gone_is_lost_though_the_books_agree_with_themselves() {
    let mut world = World::new();
    world.books.transactions.retain(|one| one.id != "t3");
    world.books.links.retain(|link| link.account != 1003);
    (world.books.accounts[3].balance, world.books.accounts[3].version) = (0, 0);
    assert_eq!(balances(&world.books), []);
    assert!(world.has(&Wrong::Lost("k3 (transaction t3)".into())));
    assert!(world.has(&Wrong::Wallet { user: "budi".into(), expected: 5, found: 0 }));
}

#[test]
fn what_was_done_twice_is_named_by_its_key() {
    let mut world = World::new();
    let again =
        Transaction { id: "t9".into(), key: "adjustment:t9".into(), ..world.books.transactions[0].clone() };
    world.books.transactions.push(again);
    assert!(world.has(&Wrong::Twice("k1".into(), 2)));
    let mut world = World::new();
    world.books.transactions.push(world.books.transactions[3].clone());
    assert!(world.has(&Wrong::Twice("topup:midtrans:g1".into(), 2)));
    assert!(world.has(&Wrong::Twice("payment g1".into(), 2)));
}

#[test]
fn a_balance_that_is_not_its_transfers_is_named() {
    let mut world = World::new();
    world.books.accounts[0].balance += 7;
    let expected = [
        Wrong::Balance { account: 1000, expected: 100, found: 107 },
        Wrong::Wallet { user: "ani".into(), expected: 100, found: 107 },
    ];
    assert_eq!(world.wrong(), expected);
}

#[test]
fn a_gap_a_fall_below_the_floor_and_half_an_entry_are_named() {
    let mut world = World::new();
    world.books.links[2].version = 9;
    assert!(world.has(&Wrong::Chain { account: 1000, version: 3 }));
    let mut world = World::new();
    world.books.accounts[1].floor = 1;
    assert!(world.has(&Wrong::Floor { account: 1001, version: 0 }));
    let mut world = World::new();
    world.books.links = [links(1000, &[-30, 100, 50, -20]), links(1003, &[5])].concat();
    assert!(world.has(&Wrong::Floor { account: 1000, version: 1 }));
    let mut world = World::new();
    world.books.transactions[1].key.clear();
    assert!(world.has(&Wrong::Half("transaction t2".into())));
}

#[test]
fn what_was_refused_or_nobody_asked_for_and_is_there_is_named() {
    let mut world = World::new();
    world.books.transactions.push(transaction(
        "t8",
        "budi",
        "ADJUSTMENT",
        (-900, 0),
        ("k5", "adjustment:t8"),
    ));
    assert!(world.has(&Wrong::Unmeant("k5".into())));
    world.books.transactions.push(transaction("t7", "budi", "ADJUSTMENT", (1, 0), ("k99", "adjustment:t7")));
    assert!(world.has(&Wrong::Unmeant("k99".into())));
    world.books.transactions.push(transaction(
        "t6",
        "ani",
        "TOP_UP",
        (9, 0),
        ("Top-up", "topup:midtrans:g7"),
    ));
    assert!(world.has(&Wrong::Unmeant("payment g7 of ani".into())));
    assert!(world.has(&Wrong::Unmeant("top-up t6".into())));
}

#[test]
fn what_differs_from_the_gateways_own_book_is_named() {
    let mut world = World::new();
    (world.gateway[0].net, world.gateway[0].transactions[0].net) = (50, 50);
    assert!(world.has(&Wrong::Differs { what: "payment g1".into(), expected: 50, found: 30 }));
    assert!(world.has(&Wrong::Clearing { expected: 50, found: 30 }));
    assert!(world.has(&Wrong::Wallet { user: "ani".into(), expected: 120, found: 100 }));
    world.books.transactions.retain(|one| !one.key.contains("g1"));
    assert!(world.has(&Wrong::Lost("payment g1".into())));
}

#[test]
fn a_wallet_that_was_shown_and_never_was_is_named() {
    let mut world = World::new();
    world.lines.push(line("k8", What::Read, "ani", 0, Told::Holds(149, 0)));
    assert_eq!(world.wrong(), [Wrong::Shown { user: "ani".into(), shown: 149 }]);
}
