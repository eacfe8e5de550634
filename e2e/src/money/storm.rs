//! The storm of notifications: payments of many customers at the gateway, each told several times, in any order, late, past another state,
//! with forgeries among them, to both replicas in turn. In the end every wallet is what the gateway's own book says.

mod fate;
mod outcome;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::{Method, StatusCode};
use serde_json::json;

use super::bag::{Bag, Letter};
use super::books::Books;
use super::caller::{Call, Reply};
use super::checker::{self, Owners, Wrong};
use super::house::{House, REPLICAS};
use crate::midtrans::shuffle::{next, shuffle};
use crate::story::Story;
use crate::wait;
use fate::{FORGERIES, Fate};
pub use outcome::Outcome;

/// How many requests and notifications are under way at once.
const AT_ONCE: usize = 32;
/// Payments of one customer in a wave: fewer than may be pending.
const OF_EACH: usize = 15;
/// Of so many payments one is forged.
const FORGED: usize = 20;
/// How long the replicas may take over the notifications of a wave.
const WAVE: Duration = Duration::from_mins(20);

/// A payment.
#[derive(Clone, Debug)]
struct Payment {
    order_id: String,
    /// The id of its top-up.
    top_up: String,
    customer: usize,
    fate: Fate,
}

/// A storm that goes on.
#[derive(Debug)]
pub struct Storm<'a> {
    house: &'a House,
    bag: Bag,
    seed: u64,
    owners: Owners,
    outcome: Outcome,
}

impl<'a> Storm<'a> {
    /// One that is the same for the same seed, but for the ids.
    pub async fn new(house: &'a House, seed: u64) -> Result<Self> {
        let bag = Bag::open().await?;
        house.gateway.set_notify(Some(bag.url().to_owned()));
        Ok(Self { house, bag, seed, owners: Owners::default(), outcome: Outcome::default() })
    }

    /// So many payments, a wave after the other.
    pub async fn blow(mut self, payments: usize, story: Story) -> Result<(Outcome, Vec<Wrong>)> {
        while self.outcome.payments < payments {
            let most = self.house.customers.len() * OF_EACH;
            self.wave(most.min(payments - self.outcome.payments)).await?;
            // Where nothing is kept there is no vacuum by itself either.
            self.house.sql("vacuum (analyze)").await?;
            story.step(format!("{} payments", self.outcome.payments));
        }
        let wrong = self.check().await?;
        Ok((self.outcome, wrong))
    }

    async fn wave(&mut self, count: usize) -> Result<()> {
        let begun = Instant::now();
        let first = self.outcome.payments;
        let made = stream::iter(first..first + count).map(|n| self.make(n)).buffer_unordered(AT_ONCE);
        let payments: Vec<Payment> = made.try_collect().await?;
        self.outcome.making += begun.elapsed();
        for Payment { order_id, customer, .. } in &payments {
            self.owners.0.insert(order_id.clone(), self.house.customers[*customer].id.clone());
        }
        let begun = Instant::now();
        for payment in &payments {
            self.act(payment, payment.fate.first())?;
        }
        let (late, soon) = self.told(&payments).await?;
        self.bring(soon).await?;
        for payment in &payments {
            self.act(payment, payment.fate.then())?;
        }
        let (later, soon) = self.told(&payments).await?;
        let forged = self.forge(&payments).await?;
        self.outcome.late += late.len() + later.len();
        self.bring([soon, forged].concat()).await?;
        self.bring([later, late].concat()).await?;
        self.house.settles(WAVE).await?;
        self.call_off(&payments).await?;
        self.outcome.telling += begun.elapsed();
        self.outcome.payments += payments.len();
        Ok(())
    }

    /// Makes a payment through the API.
    async fn make(&self, n: usize) -> Result<Payment> {
        let (customer, mut seed) = (n % self.house.customers.len(), self.seed ^ n as u64);
        let fate = Fate::drawn(next(&mut seed) % 100);
        let amount = 10_000 + next(&mut seed) % 2_000_000;
        let call = Call::post("/wallet/top-ups", &format!("storm-{n}"), json!({"amount": amount}));
        let person = &self.house.customers[customer];
        let made = wait::until("a payment to be made", WAVE, async || {
            let reply = self.house.caller.call(n % REPLICAS, person, &call).await;
            Ok((reply != Reply::Unknown).then_some(reply))
        });
        let top_up = match made.await? {
            Reply::Done(top_up) => top_up,
            other => bail!("payment {n} of {} is not made: {other:?}", person.email),
        };
        let token = top_up.pointer("/payment/token").and_then(|token| token.as_str());
        let order_id = token.and_then(|token| self.house.gateway.order_of(token));
        let id = top_up.pointer("/id").and_then(|id| id.as_str()).context("a top-up has an id")?.to_owned();
        Ok(Payment { order_id: order_id.context("there is a page to pay at")?, top_up: id, customer, fate })
    }

    /// Customers call off what they did not come to pay: otherwise it could be tried again for a day, and nobody begins new ones beside too
    /// many of these.
    async fn call_off(&self, payments: &[Payment]) -> Result<()> {
        let left = payments.iter().filter(|payment| payment.fate.may_be_left_unpaid());
        let call_off = |payment: &Payment| {
            let (person, path) = (
                &self.house.customers[payment.customer],
                format!("/wallet/top-ups/{}/cancel", payment.top_up),
            );
            let call =
                Call { method: Method::POST, path, key: Some(format!("off-{}", payment.top_up)), body: None };
            async move {
                let done = wait::until("a top-up to be called off", WAVE, async || {
                    let reply = self.house.caller.call(0, person, &call).await;
                    Ok((reply != Reply::Unknown).then_some(reply))
                });
                // One that was credited, and taken back, is no longer to be called off.
                done.await?;
                anyhow::Ok(())
            }
        };
        let calls: Vec<_> = left.map(call_off).collect();
        stream::iter(calls).buffer_unordered(AT_ONCE).try_collect::<()>().await
    }

    fn act(&self, payment: &Payment, acts: Vec<fate::Step>) -> Result<()> {
        for step in acts {
            let act = step.on(&payment.order_id);
            self.house.gateway.act(&act).map_err(|why| anyhow::anyhow!("{act:?}: {why}"))?;
        }
        Ok(())
    }

    /// What was told since, each from one to five times: what is to come late, and the rest.
    async fn told(&mut self, payments: &[Payment]) -> Result<(Vec<Letter>, Vec<Letter>)> {
        self.house.gateway.idle().await;
        let fates: HashMap<&str, Fate> =
            payments.iter().map(|payment| (payment.order_id.as_str(), payment.fate)).collect();
        let (mut late, mut soon) = (Vec::new(), Vec::new());
        for letter in self.bag.empty() {
            let fate = fates.get(letter.order_id.as_str()).context("only this wave's payments are told")?;
            let place = if fate.is_late(&letter.status) { &mut late } else { &mut soon };
            let copies = 1 + next(&mut self.seed) % 5;
            place.extend((0..copies).map(|_| letter.clone()));
        }
        shuffle(&mut late, next(&mut self.seed));
        shuffle(&mut soon, next(&mut self.seed));
        Ok((late, soon))
    }

    /// Forgeries of every kind.
    async fn forge(&mut self, payments: &[Payment]) -> Result<Vec<Letter>> {
        let kinds = FORGERIES.iter().cycle();
        for (payment, kind) in payments.iter().step_by(FORGED).zip(kinds) {
            let made = self.house.gateway.forge(&payment.order_id, *kind);
            made.or_else(|_| self.house.gateway.forge(&payment.order_id, FORGERIES[0]))?;
        }
        self.house.gateway.idle().await;
        let forged = self.bag.empty();
        self.outcome.forged.0 += forged.len();
        Ok(forged)
    }

    /// Brings notifications to the replicas in turn, each until it is taken or refused: a replica that can't keep it now says so.
    async fn bring(&mut self, letters: Vec<Letter>) -> Result<()> {
        self.outcome.notifications += letters.len();
        let caller = &self.house.caller;
        let bring = |(n, letter): (usize, Letter)| async move {
            wait::until("a notification to be taken", WAVE, async || {
                let status = caller.notify(n % REPLICAS, letter.body.to_vec()).await?;
                Ok((status != StatusCode::SERVICE_UNAVAILABLE).then_some(status))
            })
            .await
        };
        let brought = stream::iter(letters.into_iter().enumerate()).map(bring).buffer_unordered(AT_ONCE);
        let answers: Vec<StatusCode> = brought.try_collect().await?;
        let refused = answers.iter().filter(|status| **status == StatusCode::FORBIDDEN).count();
        let taken = answers.iter().filter(|status| **status == StatusCode::OK).count();
        ensure!(taken + refused == answers.len(), "a notification is neither taken nor refused");
        self.outcome.forged.1 += refused;
        Ok(())
    }

    /// Our books by themselves, against the gateway's, and what both replicas show of each wallet.
    async fn check(&self) -> Result<Vec<Wrong>> {
        self.house.verify().await?;
        let books = Books::read(self.house).await?;
        let gateway = self.house.gateway.book();
        let mut wrong = checker::balances(&books);
        wrong.extend(checker::payments(&books, &gateway, &self.owners));
        let held = checker::held(&gateway, &self.owners);
        let read = Call::get("/wallet");
        for person in &self.house.customers {
            for replica in 0..REPLICAS {
                let Reply::Done(wallet) = self.house.caller.call(replica, person, &read).await else {
                    bail!("{} can't be shown a wallet", person.email);
                };
                let (user, found) = (person.id.clone(), wallet["cash"].as_i64().unwrap_or(i64::MIN));
                let expected = held.0.get(&user).copied().unwrap_or_default();
                if expected != found {
                    wrong.push(Wrong::Wallet { user, expected, found });
                }
            }
        }
        Ok(wrong)
    }
}
