//! One of the bank's clients: does one thing after the other, repeats with the same key what it got no answer to, and writes down what it
//! was told.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::bank::{Order, Work};
use super::caller::{Call, Person, Reply};
use super::history::{Line, Told, What};
use super::house::{House, REPLICAS};
use crate::midtrans::shuffle::next;
use crate::midtrans::{Act, Method, Verb};
use crate::wait;

/// How long it repeats something.
const REPEATS: Duration = Duration::from_mins(3);
/// The first so many wallets are everybody's favourites.
const HOT: usize = 3;
/// Of so many operations without an answer one is not repeated.
const GIVES_UP: u64 = 10;

/// A top-up that waits to be paid or called off.
#[derive(Clone, Debug)]
struct Open {
    order: Order,
    amount: i64,
}

/// One client.
#[derive(Debug)]
pub(super) struct Client<'a> {
    house: &'a House,
    work: &'a Work,
    number: usize,
    seed: u64,
    lines: Vec<Line>,
    open: Vec<Open>,
    paid: Vec<Open>,
    orders: Vec<Order>,
}

impl<'a> Client<'a> {
    pub(super) fn new(house: &'a House, work: &'a Work, number: usize, seed: u64) -> Self {
        let mut own = seed ^ number as u64;
        let seed = next(&mut own);
        Self { house, work, number, seed, lines: vec![], open: vec![], paid: vec![], orders: vec![] }
    }

    /// Works until nothing is left; what it was told, and the orders it knows of.
    pub(super) async fn run(mut self) -> Result<(Vec<Line>, Vec<Order>)> {
        while self.work.take() {
            self.step().await?;
            self.work.ended();
        }
        Ok((self.lines, self.orders))
    }

    fn draw(&mut self, bound: u64) -> u64 {
        next(&mut self.seed) % bound
    }

    fn amount(&mut self, most: u64) -> i64 {
        i64::try_from(1 + self.draw(most)).unwrap_or(1)
    }

    fn customer(&mut self) -> usize {
        let all = self.house.customers.len();
        let most = if self.draw(10) < 4 { HOT.min(all) } else { all };
        usize::try_from(self.draw(most as u64)).unwrap_or(0)
    }

    async fn step(&mut self) -> Result<()> {
        if let Some(open) = self.open.pop() {
            return if self.draw(5) == 0 { self.cancel(open).await } else { self.pay(open) };
        }
        match self.draw(100) {
            0..25 => self.adjust(What::Credit, 200_000).await,
            25..60 => self.adjust(What::Debit, 150_000).await,
            60..68 => self.adjust(What::Promotion, 50_000).await,
            68..82 => self.top_up().await,
            82..86 if !self.paid.is_empty() => self.refund(),
            _ => self.read().await,
        }
    }

    fn line(&self, what: What, customer: usize, amount: i64) -> Line {
        let key = format!("{}-{}-{what:?}", self.number, self.lines.len());
        let user = self.house.customers[customer].id.clone();
        Line { key, what, user, amount, told: Told::Unknown, tries: 0 }
    }

    /// Asks until it is known what came of it, unless it gives up.
    async fn ask(&mut self, line: &mut Line, person: &Person, call: &Call) -> Result<Reply> {
        let gives_up = self.draw(GIVES_UP) == 0;
        let (caller, number) = (&self.house.caller, self.number);
        wait::until("what came of an operation", REPEATS, async || {
            let reply = caller.call((number + line.tries) % REPLICAS, person, call).await;
            line.tries += 1;
            Ok((gives_up || reply != Reply::Unknown).then_some(reply))
        })
        .await
    }

    async fn adjust(&mut self, what: What, most: u64) -> Result<()> {
        let (customer, amount) = (self.customer(), self.amount(most));
        let mut line = self.line(what, customer, amount);
        let call = line.adjustment().context("it is an adjustment")?;
        let reply = self.ask(&mut line, &self.house.administrator, &call).await?;
        line.told = told(&reply, "/transaction/id");
        self.lines.push(line);
        Ok(())
    }

    async fn top_up(&mut self) -> Result<()> {
        let (customer, amount) = (self.customer(), 10_000 + self.amount(500_000));
        let mut line = self.line(What::TopUp, customer, amount);
        let call = Call::post("/wallet/top-ups", &line.key, json!({"amount": amount}));
        let reply = self.ask(&mut line, &self.house.customers[customer], &call).await?;
        line.told = told(&reply, "/transaction_id");
        self.lines.push(line);
        let Reply::Done(top_up) = reply else { return Ok(()) };
        let text = |at: &str| top_up.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
        let order = self.house.gateway.order_of(&text("/payment/token"));
        let id = order.with_context(|| format!("there is a page to pay at: {top_up}"))?;
        let order = Order { id, top_up: text("/id"), customer };
        self.orders.push(order.clone());
        self.open.push(Open { order, amount });
        Ok(())
    }

    fn pay(&mut self, open: Open) -> Result<()> {
        let methods = [Method::BcaVa, Method::Gopay, Method::OtherQris, Method::PermataVa];
        let method = methods[usize::try_from(self.draw(4))?];
        let line = self.line(What::Pay, open.order.customer, open.amount);
        self.act(line, &Act::pay(&open.order.id, method));
        self.paid.push(open);
        Ok(())
    }

    /// Something happens at the gateway, which answers at once.
    fn act(&mut self, line: Line, act: &Act) {
        let told = match self.house.gateway.act(act) {
            Ok(done) => Told::Done(done.transaction_id.unwrap_or_default()),
            Err(why) => Told::Refused(why.to_string()),
        };
        self.lines.push(Line { told, tries: 1, ..line });
    }

    fn refund(&mut self) -> Result<()> {
        let Some(paid) = self.paid.pop() else { return Ok(()) };
        let (verb, amount) = match self.draw(4) {
            0 => (Verb::Refund, paid.amount),
            1 => (Verb::Chargeback, paid.amount),
            2 => (Verb::Reverse, paid.amount),
            _ => (Verb::Refund, self.amount(u64::try_from(paid.amount)?)),
        };
        let line = self.line(What::Refund, paid.order.customer, amount);
        let act = Act::new(verb, &paid.order.id).forced();
        let act = if verb == Verb::Reverse { act } else { act.amount(amount) };
        self.act(line, &act);
        Ok(())
    }

    async fn cancel(&mut self, open: Open) -> Result<()> {
        let mut line = self.line(What::Cancel, open.order.customer, open.amount);
        let path = format!("/wallet/top-ups/{}/cancel", open.order.top_up);
        let call = Call { body: None, ..Call::post(path, &line.key, Value::Null) };
        let reply = self.ask(&mut line, &self.house.customers[open.order.customer], &call).await?;
        line.told = told(&reply, "/transaction_id");
        self.lines.push(line);
        Ok(())
    }

    async fn read(&mut self) -> Result<()> {
        let customer = self.customer();
        let mut line = self.line(What::Read, customer, 0);
        let reply = self.ask(&mut line, &self.house.customers[customer], &Call::get("/wallet")).await?;
        line.told = match &reply {
            Reply::Done(wallet) => {
                let rupiah = |name: &str| wallet[name].as_i64().context("a wallet holds rupiah");
                Told::Holds(rupiah("cash")?, rupiah("promotion")?)
            }
            _ => told(&reply, ""),
        };
        self.lines.push(line);
        Ok(())
    }
}

/// What a client was told; where an answer has its transaction.
fn told(reply: &Reply, at: &str) -> Told {
    match reply {
        Reply::Done(body) => {
            Told::Done(body.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned())
        }
        Reply::Refused(code) => Told::Refused(code.clone()),
        Reply::Unknown => Told::Unknown,
    }
}
