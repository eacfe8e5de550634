//! What holds whatever was done: the wallets, the gateway's own book and ours say the same. And somebody who pays, to tell stories of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use api_server::clock::Clock;
use api_server::ledger::verify::{self, Fault, Report, Scope};
use api_server::ledger::{self, Direction, House, Kind, PostError, Posting};
use api_server::money::Rupiah;
use api_server::payments::midtrans::notification::signature;
use api_server::payments::midtrans::{Observed, Status as Told};
use api_server::serve::Settings;
use api_server::state::State;
use api_server::wallet::{self, New, Status};
use e2e::midtrans::{Act, Method as Pays, Verb};
use jiff::SignedDuration;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::till::Till;
use crate::world::{Answer, Api, BOUND, PASSWORD, SERVER_KEY, User, midtrans};

/// How long one statement of a verification may take.
const LONG: Duration = Duration::from_mins(1);

impl Till {
    /// One more replica that knows the gateway.
    pub async fn replica(&self) -> Result<Api> {
        self.world.replica_with(self.settings()).await
    }

    /// What a replica has, for calls that no route makes.
    pub fn state(&self) -> Result<Arc<State>> {
        self.world.state_with(self.settings())
    }

    fn settings(&self) -> impl FnOnce(&mut Settings) + use<> {
        let url = self.gateway.url().to_owned();
        move |settings| settings.midtrans = midtrans(Some(&url))
    }

    /// Somebody logs in anew, for no access lasts for days; nor does a key, and a new one is known everywhere only after a while.
    pub async fn anew(&self, user: &User) -> Result<User> {
        e2e::wait::until("an access that counts", BOUND, async || {
            let user = self.world.log_in(&user.email, PASSWORD).await?;
            let answer = self.world.api.get_as(&user, "/wallet/payment-methods").await?;
            Ok((answer.status == StatusCode::OK).then_some(user))
        })
        .await
    }

    /// The database, as the application's role.
    pub async fn db(&self) -> Result<PgPool> {
        Ok(PgPool::connect(&self.world.database.url()).await?)
    }

    /// Posts a notification's body as it stands.
    pub async fn notify(&self, body: impl Into<reqwest::Body>) -> Result<Answer> {
        let request = self.world.api.request(Method::POST, "/webhooks/midtrans");
        self.world.api.send(request.header("content-type", "application/json").body(body)).await
    }

    /// Takes the database away from everybody, or gives it back.
    pub fn database_is_away(&self, away: bool) -> Result<()> {
        let (server, name) = (&self.world.database.server, &self.world.database.name);
        server.sql("postgres", &format!("alter database {name} allow_connections {}", !away))?;
        let all = format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
        if away { server.sql("postgres", &all).map(drop) } else { Ok(()) }
    }

    /// How often a rule of the moment has yet to act; a rule that has no bound counts as one.
    pub fn faults_left(&self) -> u64 {
        self.gateway.rules().iter().map(|rule| rule.count.unwrap_or(1)).sum()
    }

    /// Somebody buys something.
    pub async fn spend(&self, user: &User, amount: i64) -> Result<Result<(), PostError>> {
        spend(&self.db().await?, &self.world.clock, user, amount).await
    }

    /// What the books' verification says.
    pub async fn verify(&self, scope: Scope) -> Result<Report> {
        Ok(verify::verify(&self.db().await?, scope, LONG).await?)
    }

    /// What a full verification names.
    pub async fn faults(&self) -> Result<Vec<Fault>> {
        Ok(self.verify(Scope::Full).await?.differences.into_iter().map(|one| one.fault).collect())
    }

    /// Wallets, the gateway's book and ours say the same, and nothing is left to be looked at. `spent` is what was bought.
    pub async fn agrees(&self, spent: i64) -> Result<()> {
        self.quiet().await?;
        let cash = self.sql("select coalesce(sum(balance), 0) from accounts where kind = 'CASH'")?;
        let (held, total) = (cash.parse::<i64>()? + spent, self.gateway.total());
        ensure!(held == total, "the wallets and what was spent are {held}, and the gateway holds {total}");
        let ours = self.by_order()?;
        for entry in self.gateway.book() {
            let held = ours.get(&entry.order_id).copied().context("an order that is not ours")?;
            ensure!(held == entry.net, "{}: {held} here, {} there", entry.order_id, entry.net);
        }
        let report = self.verify(Scope::Full).await?;
        ensure!(report.differences.is_empty(), "{:?}", report.differences);
        Ok(())
    }

    /// What each order has brought.
    fn by_order(&self) -> Result<BTreeMap<String, i64>> {
        let rows = self.sql(
            "select a.order_id, coalesce(sum(p.credited - p.taken_back), 0)
             from payment_attempts a left join gateway_payments p on p.attempt_id = a.id group by 1",
        )?;
        let read = |row: &str| {
            let (order, sum) = row.split_once('|').context("two columns")?;
            Ok((order.to_owned(), sum.parse()?))
        };
        rows.lines().map(read).collect()
    }
}

/// The body of a notification that the gateway might have sent.
pub fn signed(order: &str, code: &str, gross: &str, status: &str, transaction: &str) -> Value {
    json!({
        "order_id": order, "status_code": code, "gross_amount": gross, "transaction_status": status,
        "transaction_id": transaction, "payment_type": "bank_transfer", "currency": "IDR",
        "signature_key": signature(order, code, gross, SERVER_KEY),
    })
}

/// As the gateway would say it of a payment of an order, if it did.
pub fn seen(order: &str, transaction: &str, status: Told, amount: i64) -> Result<Observed> {
    Ok(Observed {
        order_id: order.to_owned(),
        transaction_id: transaction.to_owned(),
        status,
        fraud: None,
        gross: Rupiah::new(amount)?,
        original: None,
        currency: "IDR".to_owned(),
        payment_type: "bank_transfer".to_owned(),
        status_code: "200".to_owned(),
        transaction_time: None,
        settled_at: None,
        expires_at: None,
        refunds: Vec::new(),
        refund_amount: None,
        issuer: None,
        bank: None,
        store: None,
        custom_field1: None,
    })
}

/// Somebody buys something for so much.
pub async fn spend(db: &PgPool, clock: &Clock, user: &User, amount: i64) -> Result<Result<(), PostError>> {
    let (user_id, now) = (Uuid::try_parse(&user.id)?, clock.now());
    let mut tx = db.begin().await?;
    let (locked, amount) = (ledger::lock(&mut tx, user_id, now).await?, Rupiah::new(amount)?);
    let moves = match locked.spend(amount, House::Revenue) {
        Ok(moves) => moves,
        Err(refused) => return Ok(Err(refused)),
    };
    let new = New::of(user_id, Kind::Purchase, Direction::Debit, amount, "An app");
    let (id, number) = wallet::open(&mut tx, &new, now).await?;
    let key = number.to_string();
    let posting = Posting { kind: Kind::Purchase, key: &key, transaction_id: id, moves: &moves };
    ledger::post(&mut tx, &locked, &posting, now).await?;
    wallet::decide(&mut tx, id, Status::Completed, now).await?;
    tx.commit().await?;
    Ok(Ok(()))
}

/// Somebody who pays.
pub struct Story {
    pub till: Till,
    pub ayu: User,
    pub spent: i64,
}

impl Story {
    pub async fn new() -> Result<Self> {
        let till = Till::new().await?;
        let ayu = till.world.user("ayu").await?;
        Ok(Self { till, ayu, spent: 0 })
    }

    /// A top-up that waits to be paid: its id.
    pub async fn begins(&self, amount: i64) -> Result<String> {
        Ok(self.till.top_up(&self.ayu, amount).await?.id)
    }

    /// One that is paid.
    pub async fn paid(&self, amount: i64, method: Pays) -> Result<String> {
        let id = self.begins(amount).await?;
        self.till.pays(&id, method)?;
        self.till.comes(&self.ayu, &id, "COMPLETED").await?;
        Ok(id)
    }

    /// Something happens at the gateway to the last order of a top-up.
    pub fn happens(&self, id: &str, verb: Verb) -> Result<()> {
        self.till.act(&Act::new(verb, self.till.order(id)?))
    }

    /// The same, with an amount.
    pub fn goes_back(&self, id: &str, verb: Verb, amount: i64) -> Result<()> {
        self.till.act(&Act::new(verb, self.till.order(id)?).amount(amount))
    }

    /// Something is bought.
    pub async fn spends(&mut self, amount: i64) -> Result<()> {
        self.till.spend(&self.ayu, amount).await??;
        self.spent += amount;
        Ok(())
    }

    /// Once all is told: how the top-up stands, what is in the wallet, and that all books agree.
    pub async fn stands(&self, id: &str, status: &str, cash: i64) -> Result<()> {
        self.till.agrees(self.spent).await?;
        let top_up = self.till.read(&self.ayu, id).await?;
        ensure!(top_up.status == status, "{} in the place of {status}", top_up.status);
        let held = self.till.cash(&self.ayu)?;
        ensure!(held == cash, "{held} in the place of {cash}");
        Ok(())
    }

    /// Calls one of a top-up's verbs that succeeds.
    pub async fn does(&self, id: &str, verb: &str) -> Result<Value> {
        Ok(self.till.verb(&self.ayu, id, verb, &json!({})).await?.expect(StatusCode::OK)?.body)
    }

    /// Lets time pass, and logs in anew.
    pub async fn later(&mut self, by: SignedDuration) -> Result<()> {
        self.till.advance(by);
        self.ayu = self.till.anew(&self.ayu).await?;
        Ok(())
    }

    /// The mails about top-ups that were written, in order.
    pub fn mails(&self) -> Result<Vec<String>> {
        let sql = format!(
            "select kind from emails where user_id = '{}' and kind like 'TOP_UP%' order by created_at, id",
            self.ayu.id
        );
        Ok(self.till.sql(&sql)?.lines().map(ToOwned::to_owned).collect())
    }

    /// All transactions, in order: type, status and amount.
    pub fn transactions(&self) -> Result<Vec<String>> {
        let sql = format!(
            "select type || ' ' || status || ' ' || amount from transactions where user_id = '{}' order by number",
            self.ayu.id
        );
        Ok(self.till.sql(&sql)?.lines().map(ToOwned::to_owned).collect())
    }
}
