//! A world in which people can pay: with a stand-in for the payment gateway that keeps a book of its own.

use anyhow::{Context as _, Result, ensure};
use api_server::serve::Settings;
use e2e::midtrans::{Act, Method as Pays, Midtrans, Settings as Gateway};
use jiff::SignedDuration;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{Answer, Api, BOUND, SERVER_KEY, User, World, midtrans};

/// A world with a gateway.
pub struct Till {
    pub world: World,
    pub gateway: Midtrans,
}

/// A top-up as the API tells of it.
#[derive(Clone, Debug)]
pub struct TopUp {
    pub id: String,
    pub status: String,
    pub body: Value,
}

impl From<Value> for TopUp {
    fn from(body: Value) -> Self {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        Self { id: text("id"), status: text("status"), body }
    }
}

impl Till {
    pub async fn new() -> Result<Self> {
        Self::with(|_| {}).await
    }

    /// One with other settings of the API.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Result<Self> {
        let settings = Gateway { retry_factor: 1e-6, ..Gateway::new(SERVER_KEY) };
        let gateway = Midtrans::start(settings).await?;
        let url = gateway.url().to_owned();
        let world = World::with(|settings| {
            settings.midtrans = midtrans(Some(&url));
            change(settings);
        })
        .await?;
        gateway.set_notify(Some(Self::webhook(&world.api)));
        Ok(Self { world, gateway })
    }

    /// Where an API takes notifications.
    pub fn webhook(api: &Api) -> String {
        format!("{}/api/v1/webhooks/midtrans", api.base)
    }

    /// Lets time pass, here and there.
    pub fn advance(&self, by: SignedDuration) {
        self.world.clock.advance(by);
        self.gateway.advance(by.as_secs());
    }

    /// Asks for a top-up, with a key of its own.
    pub async fn ask(&self, user: &User, key: &str, body: &Value) -> Result<Answer> {
        let api = &self.world.api;
        let request = api.request(Method::POST, "/wallet/top-ups").bearer_auth(&user.access);
        api.send(request.header("idempotency-key", key).json(body)).await
    }

    /// A top-up that waits to be paid.
    pub async fn top_up(&self, user: &User, amount: i64) -> Result<TopUp> {
        let key = uuid::Uuid::new_v4().to_string();
        let answer = self.ask(user, &key, &json!({"amount": amount})).await?;
        Ok(answer.expect(StatusCode::CREATED)?.body.into())
    }

    /// The same, as it is now.
    pub async fn read(&self, user: &User, id: &str) -> Result<TopUp> {
        let answer = self.world.api.get_as(user, &format!("/wallet/top-ups/{id}")).await?;
        Ok(answer.expect(StatusCode::OK)?.body.into())
    }

    /// Calls one of its verbs.
    pub async fn verb(&self, user: &User, id: &str, verb: &str, body: &Value) -> Result<Answer> {
        self.world.api.send_as(user, Method::POST, &format!("/wallet/top-ups/{id}/{verb}"), body).await
    }

    /// The order of the last attempt to pay a top-up.
    pub fn order(&self, id: &str) -> Result<String> {
        let sql = format!(
            "select order_id from payment_attempts where top_up_id = '{id}' order by created_at desc, id desc limit 1"
        );
        let order = self.sql(&sql)?;
        ensure!(!order.is_empty(), "there is no such top-up");
        Ok(order)
    }

    /// Asks the database as somebody who may everything.
    pub fn sql(&self, sql: &str) -> Result<String> {
        Ok(self.world.database.server.sql(&self.world.database.name, sql)?.trim().to_owned())
    }

    /// The customer pays at the gateway.
    pub fn pays(&self, id: &str, method: Pays) -> Result<String> {
        let order = self.order(id)?;
        let done = self.gateway.act(&Act::pay(order, method)).map_err(|why| anyhow::anyhow!("{why:?}"))?;
        done.transaction_id.context("what is paid has a transaction")
    }

    /// Something else happens there.
    pub fn act(&self, act: &Act) -> Result<()> {
        self.gateway.act(act).map(drop).map_err(|why| anyhow::anyhow!("{act:?}: {why:?}"))
    }

    /// Waits until a top-up stands so.
    pub async fn comes(&self, user: &User, id: &str, status: &str) -> Result<TopUp> {
        let last = std::sync::Mutex::new(String::new());
        let what = format!("the top-up to be {status}");
        let waited = e2e::wait::until(&what, BOUND, async || {
            let top_up = self.read(user, id).await?;
            last.lock().unwrap().clone_from(&top_up.status);
            Ok((top_up.status == status).then_some(top_up))
        });
        waited.await.with_context(|| format!("it is {}", last.lock().unwrap()))
    }

    /// Waits until all that the gateway has told is told and looked at.
    pub async fn quiet(&self) -> Result<()> {
        self.gateway.idle().await;
        let waited = e2e::wait::until("all notifications to be looked at", BOUND, async || {
            let waiting = self.sql("select count(*) from payment_notifications where state = 'RECEIVED'")?;
            Ok((waiting == "0").then_some(()))
        });
        waited.await.with_context(|| {
            let left = "select received_at, attempts, next_attempt_at, last_error from payment_notifications where state = 'RECEIVED'";
            self.sql(left).unwrap_or_default()
        })
    }

    /// What is in somebody's wallet, in cash.
    pub fn cash(&self, user: &User) -> Result<i64> {
        let sql = format!(
            "select coalesce((select balance from accounts where user_id = '{}' and kind = 'CASH'), 0)",
            user.id
        );
        Ok(self.sql(&sql)?.parse()?)
    }

    /// What was found, in order.
    pub fn findings(&self) -> Result<Vec<String>> {
        let found = self.sql("select kind from payment_findings order by kind")?;
        Ok(found.lines().map(ToOwned::to_owned).collect())
    }
}
