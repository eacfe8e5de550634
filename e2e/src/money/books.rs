//! The books as the checker reads them: by the superuser, past everything that the API says of them.

use std::str::FromStr;

use anyhow::{Context as _, Result};

use super::house::House;

/// Every transaction with its entry and what it moved.
const TRANSACTIONS: &str = "
    with moved as (
        select f.entry_id, sum(case when f.credit >= 1000 then f.amount else -f.amount end) filter (where a.kind = 'CASH') as cash,
               sum(case when f.credit >= 1000 then f.amount else -f.amount end) filter (where a.kind = 'PROMOTION') as promotion
        from transfers f left join accounts a on a.id = f.account_id group by f.entry_id
    )
    select coalesce(t.id, e.id), t.user_id, coalesce(t.type, e.kind), case t.direction when 'CREDIT' then t.amount else -t.amount end,
           t.status, t.description, e.key, coalesce(m.cash, 0), coalesce(m.promotion, 0)
    from transactions t full join entries e on e.id = t.id left join moved m on m.entry_id = coalesce(t.id, e.id)";
/// Every transfer, as its customer's account has it.
const LINKS: &str = "
    select f.account_id, f.version, case when f.credit >= 1000 then f.amount else -f.amount end, f.balance,
           coalesce(e.kind, '') in ('REVERSAL', 'CHARGEBACK')
    from transfers f left join entries e on e.id = f.entry_id order by f.account_id, f.version, f.id";
const ACCOUNTS: &str =
    "select id, user_id, kind = 'CASH', balance, floor, version from accounts where id >= 1000 order by id";
const CLEARING: &str = "
    select coalesce(sum(case when debit = 1 then amount else -amount end), 0) from transfers where 1 in (debit, credit)";

/// A transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// Its id.
    pub id: String,
    /// Whose.
    pub user: String,
    /// Of what.
    pub kind: String,
    /// What it means to do to the wallet, in rupiah.
    pub amount: i64,
    /// How it stands.
    pub status: String,
    /// What people read.
    pub description: String,
    /// The key of its entry; empty: there is none.
    pub key: String,
    /// What it did to the cash.
    pub cash: i64,
    /// What it did to the promotion.
    pub promotion: i64,
}

/// A transfer in its account's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The account.
    pub account: i64,
    /// Its place, from 1 on.
    pub version: i64,
    /// What it did.
    pub delta: i64,
    /// What was there afterwards.
    pub balance: i64,
    /// Whether it takes what need not be there.
    pub takes_back: bool,
}

/// An account of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: i64,
    /// Whose.
    pub user: String,
    /// Whether it holds what was paid in; else what was given.
    pub is_cash: bool,
    /// What is in it.
    pub balance: i64,
    /// What it can't fall below.
    pub floor: i64,
    /// How many transfers it had.
    pub version: i64,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// In no order.
    pub transactions: Vec<Transaction>,
    /// By account and version.
    pub links: Vec<Link>,
    /// By id.
    pub accounts: Vec<Account>,
    /// What the gateway owes us by our books.
    pub clearing: i64,
}

/// The columns of a row.
struct Columns<'a>(std::str::Split<'a, char>);

impl<'a> Columns<'a> {
    fn of(line: &'a str) -> Self {
        Self(line.split('|'))
    }

    fn text(&mut self) -> Result<String> {
        self.0.next().map(str::to_owned).context("a column is missing")
    }

    fn number<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(&mut self) -> Result<T> {
        let text = self.text()?;
        text.parse().with_context(|| format!("{text:?} is no number"))
    }

    fn is_so(&mut self) -> Result<bool> {
        Ok(self.text()? == "t")
    }
}

impl Books {
    /// Reads them. Nobody may write meanwhile.
    pub async fn read(house: &House) -> Result<Self> {
        let rows = |text: String| text.lines().map(ToOwned::to_owned).collect::<Vec<_>>();
        let transactions = rows(house.sql(TRANSACTIONS).await?);
        let links = rows(house.sql(LINKS).await?);
        let accounts = rows(house.sql(ACCOUNTS).await?);
        Ok(Self {
            transactions: transactions.iter().map(|line| transaction(line)).collect::<Result<_>>()?,
            links: links.iter().map(|line| link(line)).collect::<Result<_>>()?,
            accounts: accounts.iter().map(|line| account(line)).collect::<Result<_>>()?,
            clearing: house.sql(CLEARING).await?.trim().parse()?,
        })
    }
}

fn transaction(line: &str) -> Result<Transaction> {
    let mut columns = Columns::of(line);
    Ok(Transaction {
        id: columns.text()?,
        user: columns.text()?,
        kind: columns.text()?,
        amount: columns.number()?,
        status: columns.text()?,
        description: columns.text()?,
        key: columns.text()?,
        cash: columns.number()?,
        promotion: columns.number()?,
    })
}

fn link(line: &str) -> Result<Link> {
    let mut columns = Columns::of(line);
    Ok(Link {
        account: columns.number()?,
        version: columns.number()?,
        delta: columns.number()?,
        balance: columns.number()?,
        takes_back: columns.is_so()?,
    })
}

fn account(line: &str) -> Result<Account> {
    let mut columns = Columns::of(line);
    Ok(Account {
        id: columns.number()?,
        user: columns.text()?,
        is_cash: columns.is_so()?,
        balance: columns.number()?,
        floor: columns.number()?,
        version: columns.number()?,
    })
}
