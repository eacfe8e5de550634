//! A year of several customers by the simulated clock: all that can happen to payments, by dice that fall the same at every run, with a
//! gateway that forgets to tell of some of it. In the end all books agree; and five differences that are planted are each named.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use api_server::ledger::verify::{Fault, Scope};
use api_server::ledger::{PostError, checkpoint};
use api_server::payments::midtrans::Status as Told;
use api_server::payments::settle::{self, Answer, Source};
use api_server::payments::{comparison, reconcile};
use api_server::state::State;
use e2e::midtrans::{Act, Fault as Wrong, Method as Pays, On, Rule, Verb};
use jiff::{SignedDuration, Timestamp};
use sqlx::PgPool;
use uuid::Uuid;

use crate::ledger::Dice;
use crate::payments_books::{seen, spend};
use crate::till::Till;
use crate::world::{BOUND, User};

const METHODS: [Pays; 8] = [
    Pays::BcaVa,
    Pays::PermataVa,
    Pays::Echannel,
    Pays::Indomaret,
    Pays::OtherQris,
    Pays::Gopay,
    Pays::Shopeepay,
    Pays::CreditCard,
];

/// A year under way.
struct Year {
    till: Till,
    state: Arc<State>,
    db: PgPool,
    users: Vec<User>,
    dice: Dice,
    /// Orders that were begun.
    orders: Vec<String>,
    spent: i64,
    purchases: usize,
}

impl Year {
    async fn new(customers: usize, seed: u64) -> Result<Self> {
        let till = Till::new().await?;
        let mut users = Vec::new();
        for n in 0..customers {
            users.push(till.world.user(&format!("user{n}")).await?);
        }
        let (state, db, dice) = (till.state()?, till.db().await?, Dice(seed));
        Ok(Self { till, state, db, users, dice, orders: Vec::new(), spent: 0, purchases: 0 })
    }

    fn roll(&mut self, sides: usize) -> Result<usize> {
        Ok(usize::try_from(self.dice.roll(u64::try_from(sides)?))?)
    }

    /// One of the last orders.
    fn order(&mut self) -> Result<Option<String>> {
        let recent = self.orders.len().min(12);
        let back = 1 + self.roll(recent.max(1))?;
        Ok(self.orders.len().checked_sub(back).map(|at| self.orders[at].clone()))
    }

    /// Something is done to an order; it may be that it can't be.
    fn attempt(&self, act: &Act) {
        drop(self.till.gateway.act(act));
    }

    /// One thing happens.
    async fn happens(&mut self) -> Result<()> {
        match self.roll(16)? {
            0..=4 => self.pays().await,
            5 => self.thinks_better_of_it().await,
            6 => self.begins().await.map(drop),
            7 | 8 => self.goes_back(Verb::Refund),
            9 => self.goes_back(Verb::Chargeback),
            10 => self.some_order(Verb::Reverse),
            11 => self.some_order(Verb::LateSettle),
            12 => self.some_order(Verb::SecondPayment),
            13 => self.is_captured_and_voided().await,
            _ => self.spends().await,
        }
    }

    /// Somebody begins a top-up: the customer, and the top-up's id.
    async fn begins(&mut self) -> Result<(User, String)> {
        let who = self.roll(self.users.len())?;
        let user = self.till.anew(&self.users[who]).await?;
        let amount = 10_000 + i64::try_from(self.roll(90_000)?)?;
        let id = self.till.top_up(&user, amount).await?.id;
        self.orders.push(self.till.order(&id)?);
        Ok((user, id))
    }

    /// A sixth of all payments nobody tells of.
    async fn pays(&mut self) -> Result<()> {
        let (_, id) = self.begins().await?;
        let method = METHODS[self.roll(METHODS.len())?];
        let is_untold = self.roll(6)? == 0;
        self.untold(is_untold)?;
        self.till.pays(&id, method)?;
        self.till.gateway.clear_rules();
        Ok(())
    }

    fn untold(&self, is_untold: bool) -> Result<()> {
        let rules = if is_untold { vec![Rule::new(On::Notification, Wrong::Drop)] } else { Vec::new() };
        Ok(self.till.gateway.add_rules(rules)?)
    }

    async fn thinks_better_of_it(&mut self) -> Result<()> {
        let (user, id) = self.begins().await?;
        let order = self.till.order(&id)?;
        if self.roll(2)? == 0 {
            self.attempt(&Act::new(Verb::Pick, &order));
            self.till.quiet().await?;
        }
        let answer = self.till.verb(&user, &id, "cancel", &serde_json::json!({})).await?;
        answer.expect(reqwest::StatusCode::OK)?;
        if self.roll(3)? == 0 {
            self.attempt(&Act::new(Verb::LateSettle, &order).forced());
        }
        Ok(())
    }

    fn goes_back(&mut self, verb: Verb) -> Result<()> {
        let Some(order) = self.order()? else { return Ok(()) };
        let act = Act::new(verb, order);
        let part = i64::try_from(1 + self.roll(20_000)?)?;
        let act = if self.roll(3)? == 0 { act } else { act.amount(part) };
        let is_untold = self.roll(6)? == 0;
        self.untold(is_untold)?;
        self.attempt(&act);
        self.till.gateway.clear_rules();
        Ok(())
    }

    fn some_order(&mut self, verb: Verb) -> Result<()> {
        if let Some(order) = self.order()? {
            self.attempt(&Act::new(verb, order));
        }
        Ok(())
    }

    async fn is_captured_and_voided(&mut self) -> Result<()> {
        let (_, id) = self.begins().await?;
        let order = self.till.order(&id)?;
        self.till.act(&Act::pay(&order, Pays::CreditCard).captured())?;
        if self.roll(2)? == 0 {
            self.till.quiet().await?;
        }
        let verb = if self.roll(2)? == 0 { Verb::Void } else { Verb::Settle };
        self.till.act(&Act::new(verb, &order))
    }

    /// Somebody buys something, if there is the money and nothing is owed.
    async fn spends(&mut self) -> Result<()> {
        let (who, amount) = (self.roll(self.users.len())?, 1 + self.roll(60_000)?);
        let amount = i64::try_from(amount)?;
        match spend(&self.db, &self.till.world.clock, &self.users[who], amount).await? {
            Ok(()) => {
                self.spent += amount;
                self.purchases += 1;
                Ok(())
            }
            Err(PostError::Frozen { .. } | PostError::Insufficient { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Days pass: what is due meanwhile is asked about.
    async fn passes(&mut self, days: i64) -> Result<()> {
        self.till.quiet().await?;
        self.till.advance(SignedDuration::from_hours(24 * days));
        self.till.quiet().await?;
        while reconcile::ask_due(&self.state).await? > 0 {}
        self.till.quiet().await
    }

    /// All is compared, and all agrees.
    async fn is_compared(&self) -> Result<()> {
        let compared = comparison::compare(&self.state, Timestamp::UNIX_EPOCH).await?;
        assert_eq!(compared.unanswered, 0, "{compared:?}");
        self.till.agrees(self.spent).await?;
        checkpoint::write(&self.db, self.till.world.clock.now()).await?;
        assert_eq!(self.till.verify(Scope::Incremental).await?.differences, []);
        let nothing_new = comparison::compare(&self.state, Timestamp::UNIX_EPOCH).await?;
        assert_eq!(nothing_new.differing, 0, "{nothing_new:?}");
        Ok(())
    }

    /// The findings about a thing.
    fn found(&self, subject: &str) -> Result<String> {
        self.till.sql(&format!("select kind from payment_findings where subject = '{subject}' order by kind"))
    }

    /// Changes the books past everything that keeps them.
    fn tamper(&self, sql: &str) -> Result<()> {
        let sql = format!("begin; set local session_replication_role = replica; {sql}; commit");
        self.till.sql(&sql).map(drop)
    }

    /// Tampers, has a full verification say what is wrong, and undoes it.
    async fn is_named(&self, sql: &str, undo: &str, fault: Fault) -> Result<()> {
        self.tamper(sql)?;
        let faults = self.till.faults().await?;
        assert!(faults.contains(&fault), "{sql}: {faults:?}");
        self.tamper(undo)?;
        assert_eq!(self.till.faults().await?, [], "{undo}");
        Ok(())
    }
}

#[tokio::test]
async fn after_a_year_of_everything_all_books_agree_and_what_is_planted_is_named() -> Result<()> {
    let is_full = std::env::var_os("NAKHODA_PROVE").is_some();
    let (customers, step, actions) = if is_full { (20, 1, 12) } else { (4, 6, 4) };
    let mut year = Year::new(customers, 2026).await?;
    let mut days = 0;
    while days < 365 {
        for _ in 0..actions {
            year.happens().await?;
        }
        year.passes(step).await?;
        days += step;
        if days % 60 == 0 {
            year.is_compared().await.with_context(|| format!("after {days} days"))?;
        }
    }
    year.passes(3).await?;
    year.is_compared().await?;
    assert_eq!(year.till.verify(Scope::Full).await?.differences, []);
    e2e::wait::until("what nobody paid to be over", BOUND, async || {
        let pending = year.till.sql("select count(*) from transactions where status = 'PENDING'")?;
        Ok((pending == "0").then_some(()))
    })
    .await?;
    assert!(year.purchases > 10 && year.till.gateway.total() > year.spent);
    let found: BTreeSet<String> = year.till.findings()?.into_iter().collect();
    let expected =
        ["LATE_SETTLEMENT", "MISSED_NOTIFICATION", "REVERSED", "SECOND_PAYMENT"].map(ToOwned::to_owned);
    assert!(found.is_superset(&BTreeSet::from(expected)), "{found:?}");
    assert!(!found.contains("UNKNOWN_TO_GATEWAY") && !found.contains("AMOUNT_DIFFERS"), "{found:?}");
    comparison_names_what_is_planted(&mut year).await?;
    verification_names_what_is_planted(&year).await
}

async fn comparison_names_what_is_planted(year: &mut Year) -> Result<()> {
    // Paid, and nobody told.
    let (_, id) = year.begins().await?;
    year.untold(true)?;
    let untold = year.till.pays(&id, Pays::BcaVa)?;
    // Credited, and the gateway knows nothing of it.
    let (_, id) = year.begins().await?;
    let order = year.till.order(&id)?;
    let amount = year.till.sql(&format!("select amount from payment_attempts where order_id = '{order}'"))?;
    let seen = seen(&order, "ghost", Told::Settlement, amount.parse()?)?;
    let ghost = Answer { seen, asked_at: year.state.clock.now() };
    let attempt = Uuid::try_parse(order.trim_start_matches("tu-"))?;
    settle::book(&year.state, attempt, &ghost, Source::Told).await?;
    // Until then a notification may still be on its way.
    year.till.advance(SignedDuration::from_mins(6));
    let since = year.till.world.clock.now().checked_sub(SignedDuration::from_hours(1))?;
    // The daily one may have been at it before; what is named is named once.
    let compared = comparison::compare(&year.state, since).await?;
    assert!(compared.differing > 0, "{compared:?}");
    assert_eq!(year.found(&untold)?, "MISSED_NOTIFICATION");
    assert_eq!(year.found("ghost")?, "UNKNOWN_TO_GATEWAY");
    Ok(())
}

async fn verification_names_what_is_planted(year: &Year) -> Result<()> {
    let cash = "(select min(id) from accounts where kind = 'CASH' and balance > 1000)";
    let balance = |sign: &str| format!("update accounts set balance = balance {sign} 7 where id = {cash}");
    year.is_named(&balance("+"), &balance("-"), Fault::AccountDiffers).await?;
    let transfer = |sign: &str| {
        format!(
            "update transfers set amount = amount {sign} 7 where id = (select min(id) + 20 from transfers)"
        )
    };
    year.is_named(&transfer("+"), &transfer("-"), Fault::AmountDiffers).await?;
    let number = "(select min(number) from transactions where status = 'EXPIRED')";
    let number = year.till.sql(&format!("select {number}"))?;
    let status = |to: &str| format!("update transactions set status = '{to}' where number = {number}");
    year.is_named(&status("COMPLETED"), &status("EXPIRED"), Fault::EntryMissing).await
}
