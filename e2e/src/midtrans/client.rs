//! The control doors from afar: the same verbs as on the gateway itself.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use http::Method as Http;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::act::Act;
use super::control_body::{
    ClockBody, DeliveriesBody, ForgeBody, KeysBody, NotifyBody, ReleaseBody, RulesBody,
};
use super::courier::Release;
use super::doing::Done;
use super::entry::Entry;
use super::faults::Rule;
use super::forge::Forgery;

/// How long an answer may take; that of [`Control::idle`] waits for the notifications.
const ANSWER: Duration = Duration::from_mins(5);

/// A stand-in that runs somewhere else.
#[derive(Clone, Debug)]
pub struct Control {
    base_url: String,
    http: reqwest::Client,
}

impl Control {
    /// The one at this address.
    pub fn new(base_url: impl Into<String>) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(ANSWER).no_proxy().build()?;
        Ok(Self { base_url: base_url.into().trim_end_matches('/').to_owned(), http })
    }

    /// Makes something happen.
    pub async fn act(&self, act: &Act) -> Result<Done> {
        let mut body = serde_json::to_value(act)?;
        let fields = body.as_object_mut().context("an act is an object")?;
        let verb = fields.remove("verb").unwrap_or_default();
        self.send(Http::POST, verb.as_str().unwrap_or_default(), Some(&body)).await
    }

    /// The orders are paid by their methods; what was refused.
    pub async fn pay_many(&self, acts: &[Act]) -> Result<Vec<String>> {
        let mut answer: Value = self.send(Http::POST, "pay_many", Some(&json!(acts))).await?;
        Ok(serde_json::from_value(answer["refused"].take())?)
    }

    /// Sends what the dashboard's test button sends; the made-up order.
    pub async fn pay_other(&self) -> Result<String> {
        let answer: Value = self.send(Http::POST, "pay_other", None).await?;
        Ok(answer["order_id"].as_str().unwrap_or_default().to_owned())
    }

    /// Adds rules, all or none.
    pub async fn add_rules(&self, rules: Vec<Rule>) -> Result<()> {
        self.send(Http::POST, "rules", Some(&json!(RulesBody { rules }))).await
    }

    /// Takes all rules away.
    pub async fn clear_rules(&self) -> Result<()> {
        self.send(Http::DELETE, "rules", None).await
    }

    /// Lets everything go that is held; how many.
    pub async fn release(&self, order: Release) -> Result<u64> {
        let answer: Value = self.send(Http::POST, "release", Some(&json!(ReleaseBody { order }))).await?;
        Ok(answer["released"].as_u64().unwrap_or_default())
    }

    /// Sends a notification that isn't true.
    pub async fn forge(&self, order_id: &str, kind: Forgery) -> Result<()> {
        let body = ForgeBody { order_id: order_id.to_owned(), kind };
        self.send(Http::POST, "forge", Some(&json!(body))).await
    }

    /// Moves its clock ahead.
    pub async fn advance(&self, seconds: i64) -> Result<()> {
        self.clock(ClockBody { advance_seconds: Some(seconds), set: None }).await
    }

    /// Sets its clock.
    pub async fn set_clock(&self, now: Timestamp) -> Result<()> {
        self.clock(ClockBody { advance_seconds: None, set: Some(now) }).await
    }

    async fn clock(&self, body: ClockBody) -> Result<()> {
        self.send::<Value>(Http::POST, "clock", Some(&json!(body))).await.map(drop)
    }

    /// From now on these keys; the first one signs.
    pub async fn set_keys(&self, server_key: &str, second_key: Option<&str>) -> Result<()> {
        let second_key = second_key.map(str::to_owned);
        let body = KeysBody { server_key: server_key.to_owned(), second_key };
        self.send(Http::POST, "keys", Some(&json!(body))).await
    }

    /// Where notifications go that say nothing else.
    pub async fn set_notify(&self, url: Option<&str>) -> Result<()> {
        let body = NotifyBody { url: url.map(str::to_owned) };
        self.send(Http::POST, "notify", Some(&json!(body))).await
    }

    /// All orders, by id.
    pub async fn book(&self) -> Result<Vec<Entry>> {
        self.send(Http::GET, "book", None).await
    }

    /// One order.
    pub async fn entry(&self, order_id: &str) -> Result<Entry> {
        self.send(Http::GET, &format!("book/{order_id}"), None).await
    }

    /// What the merchant really holds, in rupiah, without fees.
    pub async fn total(&self) -> Result<i64> {
        let answer: Value = self.send(Http::GET, "book/total", None).await?;
        answer["net"].as_i64().context("no total")
    }

    /// All tries to deliver a notification, from a place on, and how many are to come.
    pub async fn deliveries(&self, from: usize) -> Result<DeliveriesBody> {
        self.send(Http::GET, &format!("deliveries?from={from}"), None).await
    }

    /// Returns when no notification is under way and none will be tried again.
    pub async fn idle(&self) -> Result<()> {
        self.send(Http::GET, "idle", None).await
    }

    /// How often what was called.
    pub async fn requests(&self) -> Result<BTreeMap<String, u64>> {
        self.send(Http::GET, "requests", None).await
    }

    async fn send<T: DeserializeOwned>(&self, method: Http, path: &str, body: Option<&Value>) -> Result<T> {
        let url = format!("{}/control/{path}", self.base_url);
        let request = self.http.request(method, &url);
        let request = if let Some(body) = body { request.json(body) } else { request };
        let answer = request.send().await.with_context(|| format!("no answer from {url}"))?;
        let (status, bytes) = (answer.status(), answer.bytes().await?);
        if !status.is_success() {
            bail!("{url}: {status}: {}", String::from_utf8_lossy(&bytes));
        }
        // An answer without a body reads as null.
        let bytes = if bytes.is_empty() { &b"null"[..] } else { &bytes };
        serde_json::from_slice(bytes).with_context(|| format!("the answer of {url} can't be read"))
    }
}
