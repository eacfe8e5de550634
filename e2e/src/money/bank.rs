//! The bank: clients who move money at two replicas while these and PostgreSQL are killed, and what they were told.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::future::{try_join, try_join_all};
use tokio::sync::watch;
use tokio::time::sleep;

use super::books::Books;
use super::caller::{Call, Reply};
use super::checker::{self, Owners, Wrong};
use super::client::Client;
use super::history::{Line, Told};
use super::house::House;
use crate::story::Story;
use crate::wait;

/// The longest time between two kills.
const EVERY: Duration = Duration::from_secs(10);
/// How long it may take until all that was told is looked at.
const SETTLES: Duration = Duration::from_mins(5);

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many operations.
    pub operations: usize,
    /// By how many clients.
    pub clients: usize,
    /// How many kills there are at least, spread over the work; none: nothing is killed.
    pub kills: usize,
    /// The same for the same choices.
    pub seed: u64,
}

/// How it went.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How many operations.
    pub operations: usize,
    /// How many of them were done, refused, and unknown to the end.
    pub told: [usize; 3],
    /// How many were asked for more than once, with the same key.
    pub repeated: usize,
    /// How often a replica was killed.
    pub replicas_killed: usize,
    /// How often PostgreSQL was.
    pub postgres_killed: usize,
    /// How long the operations took.
    pub took: Duration,
}

impl Outcome {
    /// Operations a second.
    pub fn rate(&self) -> String {
        let count = f64::from(u32::try_from(self.operations).unwrap_or(u32::MAX));
        format!("{:.0} operations a second, kills included", count / self.took.as_secs_f64())
    }
}

/// An order at the gateway: its top-up, and whose it is.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) id: String,
    pub(super) top_up: String,
    pub(super) customer: usize,
}

/// What clients share: how much is left, and how much is done.
#[derive(Debug)]
pub(super) struct Work {
    left: AtomicUsize,
    done: watch::Sender<usize>,
}

impl Work {
    /// Takes an operation, if any is left.
    pub(super) fn take(&self) -> bool {
        self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok()
    }

    /// One is over.
    pub(super) fn ended(&self) {
        self.done.send_modify(|done| *done += 1);
    }
}

/// What a run has left: what clients were told, and whose orders there are.
#[derive(Debug)]
pub struct Run {
    /// How it went.
    pub outcome: Outcome,
    /// What each client was told.
    pub lines: Vec<Line>,
    orders: Vec<Order>,
}

impl Run {
    /// Does it, until everything the gateway told has arrived.
    pub async fn play(house: &House, plan: Plan, story: Story) -> Result<Self> {
        let work = Work { left: AtomicUsize::new(plan.operations), done: watch::Sender::new(0) };
        let begun = Instant::now();
        let clients = (0..plan.clients).map(|number| Client::new(house, &work, number, plan.seed).run());
        let (ended, killed) = try_join(try_join_all(clients), kill(house, &work, plan, story)).await?;
        let mut outcome = Outcome { operations: plan.operations, took: begun.elapsed(), ..killed };
        let (lines, orders): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
        let (lines, orders): (Vec<Line>, Vec<Order>) = (lines.concat(), orders.concat());
        for line in &lines {
            let place = match line.told {
                Told::Done(_) | Told::Holds(..) => 0,
                Told::Refused(_) => 1,
                Told::Unknown => 2,
            };
            outcome.told[place] += 1;
            outcome.repeated += usize::from(line.tries > 1);
        }
        let run = Self { outcome, lines, orders };
        run.arrive(house).await?;
        Ok(run)
    }

    /// All that the gateway told has arrived. What a killed replica was looking at is looked at again after two minutes: here at once.
    /// What it told nobody, since nobody was there as often as it tried, the customer asks for.
    async fn arrive(&self, house: &House) -> Result<()> {
        house.gateway.idle().await;
        house
            .sql("update payment_notifications set next_attempt_at = now() where state = 'RECEIVED'")
            .await?;
        house.settles(SETTLES).await?;
        let mut heard = HashMap::<(String, String, String), bool>::new();
        for one in house.gateway.deliveries(0) {
            let told = (one.order_id, one.transaction_id, one.transaction_status);
            *heard.entry(told).or_default() |= one.answer == Some(200);
        }
        let orders: HashMap<&str, &Order> =
            self.orders.iter().map(|order| (order.id.as_str(), order)).collect();
        for ((order_id, ..), _) in heard.into_iter().filter(|(_, heard)| !heard) {
            let order = orders.get(order_id.as_str()).context("only known orders are told of")?;
            let call = Call {
                method: http::Method::POST,
                ..Call::get(format!("/wallet/top-ups/{}/sync", order.top_up))
            };
            wait::until("the gateway to be asked", SETTLES, async || {
                let reply = house.caller.call(0, &house.customers[order.customer], &call).await;
                Ok(matches!(reply, Reply::Done(_)).then_some(()))
            })
            .await?;
        }
        Ok(())
    }

    /// Holds against each other what was told, what is written, and what the gateway has.
    pub async fn check(&self, house: &House) -> Result<Vec<Wrong>> {
        let books = Books::read(house).await?;
        let gateway = house.gateway.book();
        let owner = |order: &Order| (order.id.clone(), house.customers[order.customer].id.clone());
        let owners = Owners(self.orders.iter().map(owner).collect());
        let mut wrong = checker::balances(&books);
        wrong.extend(checker::payments(&books, &gateway, &owners));
        wrong.extend(checker::history(&self.lines, &books, &checker::held(&gateway, &owners)));
        Ok(wrong)
    }

    /// Writes what clients were told, a line each.
    pub fn write(&self, path: &Path) -> Result<()> {
        let lines = self.lines.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        fs::write(path, lines.join("\n")).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Kills one of them every ten seconds, or more often where the work is shorter, until it is done.
async fn kill(house: &House, work: &Work, plan: Plan, story: Story) -> Result<Outcome> {
    let (mut killed, mut done) = (Outcome::default(), work.done.subscribe());
    if plan.kills == 0 {
        return Ok(killed);
    }
    let share = plan.operations / (plan.kills + 1);
    for n in 0.. {
        let next = (*done.borrow_and_update() + share).min(plan.operations);
        tokio::select! {
            reached = done.wait_for(|done| *done >= next) => drop(reached?),
            () = sleep(EVERY) => {}
        }
        if *done.borrow() >= plan.operations {
            break;
        }
        if n % 2 == 1 {
            house.kill_postgres().await?;
            killed.postgres_killed += 1;
        } else {
            house.kill_replica(n / 2 % 2).await?;
            killed.replicas_killed += 1;
        }
        story.step(format!("{} operations, {} kills", *done.borrow(), n + 1));
    }
    Ok(killed)
}
