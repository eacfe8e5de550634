//! Calls to the replicas as somebody who is logged in. What gets no answer, or one that tells nothing, may have happened or not.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::{TryStreamExt as _, stream};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::house::REPLICAS;
use crate::people::PASSWORD;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_mins(1);
/// How many log in at once.
const AT_ONCE: usize = 8;

/// Somebody with an account.
#[derive(Debug)]
pub struct Person {
    /// The id.
    pub id: String,
    /// The address.
    pub email: String,
    access: Mutex<String>,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path below `/api/v1`.
    pub path: String,
    /// The key by which a repeat is known.
    pub key: Option<String>,
    /// The body.
    pub body: Option<Value>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// It is done.
    Done(Value),
    /// It is refused, by this code; nothing has happened.
    Refused(String),
    /// It may have happened.
    Unknown,
}

/// Calls the replicas over connections that are kept.
#[derive(Clone, Debug)]
pub struct Caller {
    http: reqwest::Client,
    bases: [String; REPLICAS],
}

impl Person {
    /// Somebody with that address.
    pub fn new(email: impl Into<String>) -> Self {
        Self { id: String::new(), email: email.into(), access: Mutex::default() }
    }

    fn access(&self) -> String {
        self.access.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Call {
    /// Reads something.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), key: None, body: None }
    }

    /// Makes something, once.
    pub fn post(path: impl Into<String>, key: &str, body: Value) -> Self {
        Self { method: Method::POST, path: path.into(), key: Some(key.to_owned()), body: Some(body) }
    }
}

impl Caller {
    /// Calls what listens at those ports.
    pub fn new(ports: [u16; REPLICAS]) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(ANSWER).no_proxy().build()?;
        Ok(Self { http, bases: ports.map(|port| format!("http://127.0.0.1:{port}/api/v1")) })
    }

    /// Where a replica takes notifications.
    pub fn webhook(&self, replica: usize) -> String {
        format!("{}/webhooks/midtrans", self.bases[replica])
    }

    /// Brings a notification to a replica; the status of its answer.
    pub async fn notify(&self, replica: usize, body: Vec<u8>) -> Result<StatusCode> {
        let request = self.http.post(self.webhook(replica)).header("content-type", "application/json");
        Ok(request.body(body).send().await?.status())
    }

    /// Calls a replica. Whoever's token is over logs in again.
    pub async fn call(&self, replica: usize, person: &Person, call: &Call) -> Reply {
        let mut said = self.send(replica, person, call).await;
        if said.as_ref().is_ok_and(|(status, _)| *status == StatusCode::UNAUTHORIZED) {
            if self.log_in(replica, person).await.is_err() {
                return Reply::Unknown;
            }
            said = self.send(replica, person, call).await;
        }
        let Ok((status, body)) = said else { return Reply::Unknown };
        let code = body["code"].as_str().unwrap_or_default();
        if status.is_success() {
            Reply::Done(body)
        } else if !status.is_client_error() || code.ends_with(".in_flight") {
            Reply::Unknown
        } else {
            Reply::Refused(if code.is_empty() { status.to_string() } else { code.to_owned() })
        }
    }

    async fn send(&self, replica: usize, person: &Person, call: &Call) -> Result<(StatusCode, Value)> {
        let Call { method, path, key, body } = call;
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.bases[replica]));
        request = request.bearer_auth(person.access());
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let (status, bytes) = (answer.status(), answer.bytes().await?);
        Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }

    async fn log_in(&self, replica: usize, person: &Person) -> Result<()> {
        let body = json!({"email": person.email, "password": PASSWORD});
        let url = format!("{}/auth/login", self.bases[replica]);
        let answer: Value = self.http.post(url).json(&body).send().await?.json().await?;
        let access = answer.pointer("/tokens/access_token").and_then(Value::as_str);
        let access = access.with_context(|| format!("{} can't log in: {answer}", person.email))?;
        access.clone_into(&mut person.access.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    /// Logs people in, at each replica some.
    pub async fn log_in_all<'a>(&self, people: impl Iterator<Item = &'a Person>) -> Result<()> {
        let people = stream::iter(people.enumerate().map(Ok::<_, anyhow::Error>));
        people.try_for_each_concurrent(AT_ONCE, |(n, person)| self.log_in(n % REPLICAS, person)).await
    }

    /// Registers somebody.
    pub async fn register(&self, person: &Person) -> Result<()> {
        let body = json!({"email": person.email, "password": PASSWORD, "name": "Somebody", "language": "EN"});
        let url = format!("{}/auth/register", self.bases[0]);
        let status = self.http.post(url).json(&body).send().await?.status();
        ensure!(status.is_success(), "{} can't register: {status}", person.email);
        Ok(())
    }
}
