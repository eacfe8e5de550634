//! A merchant for tests: an address for notifications that keeps what comes, and a client of both interfaces.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::midtrans::{Midtrans, Settings, signature::sign};
use crate::wait;

pub const KEY: &str = "SB-Mid-server-TESTKEY";
const BOUND: Duration = Duration::from_mins(2);

#[derive(Default)]
pub struct Inbox {
    pub bodies: Mutex<Vec<Value>>,
    pub paths: Mutex<Vec<String>>,
    /// What is answered next; then 200.
    answers: Mutex<VecDeque<u16>>,
}

pub struct Merchant {
    pub inbox: Arc<Inbox>,
    pub url: String,
    pub http: reqwest::Client,
    _stop: DropGuard,
}

async fn take(
    State(inbox): State<Arc<Inbox>>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    assert_eq!(headers["content-type"], "application/json");
    inbox.paths.lock().unwrap().push(path.clone());
    if path == "moved" {
        return (StatusCode::TEMPORARY_REDIRECT, [("location", "/there")]).into_response();
    }
    inbox.bodies.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    let answer = inbox.answers.lock().unwrap().pop_front().unwrap_or(200);
    StatusCode::from_u16(answer).unwrap().into_response()
}

impl Merchant {
    /// One, and a gateway that knows its address.
    pub async fn with_gateway() -> (Self, Midtrans) {
        Self::with(|settings| settings).await
    }

    /// The same with other settings.
    pub async fn with(change: impl FnOnce(Settings) -> Settings) -> (Self, Midtrans) {
        let inbox = Arc::new(Inbox::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/{path}", any(take)).with_state(Arc::clone(&inbox));
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            stopped.run_until_cancelled(async { axum::serve(listener, router).await }).await
        });
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        let merchant = Self { inbox, url, http: http.build().unwrap(), _stop: stop.drop_guard() };
        let usual = Settings { notify: Some(format!("{}/own", merchant.url)), ..Settings::new(KEY) };
        let gateway = Midtrans::start(change(usual)).await.unwrap();
        (merchant, gateway)
    }

    /// The next notifications are answered so.
    pub fn answers(&self, codes: &[u16]) {
        self.inbox.answers.lock().unwrap().extend(codes);
    }

    pub async fn call(
        &self,
        gateway: &Midtrans,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> reqwest::Result<(u16, Value)> {
        let url = format!("{}{path}", gateway.url());
        let mut request = self.http.request(method.parse().unwrap(), url).basic_auth(KEY, Some(""));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let (status, bytes) = (answer.status().as_u16(), answer.bytes().await?);
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_else(|_| text())))
    }

    pub async fn get(&self, gateway: &Midtrans, path: &str) -> (u16, Value) {
        self.call(gateway, "GET", path, &[], None).await.unwrap()
    }

    pub async fn post(&self, gateway: &Midtrans, path: &str, body: &Value) -> (u16, Value) {
        self.call(gateway, "POST", path, &[], Some(body)).await.unwrap()
    }

    pub async fn create(&self, gateway: &Midtrans, body: &Value) -> (u16, Value) {
        self.post(gateway, "/snap/v1/transactions", body).await
    }

    /// Creates an order that is as plain as can be.
    pub async fn order(&self, gateway: &Midtrans, id: &str, gross: i64) -> String {
        let (status, answer) = self.create(gateway, &plain(id, gross)).await;
        assert_eq!(status, 201, "{answer}");
        answer["token"].as_str().unwrap().to_owned()
    }

    pub async fn status(&self, gateway: &Midtrans, id: &str) -> Value {
        let (status, body) = self.get(gateway, &format!("/v2/{id}/status")).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    /// All notifications once everything is delivered, in the order they came; each one well signed.
    pub async fn told(&self, gateway: &Midtrans) -> Vec<Value> {
        settle(gateway).await;
        let bodies = self.inbox.bodies.lock().unwrap().clone();
        for body in &bodies {
            assert!(is_signed(body), "{body}");
        }
        bodies
    }

    /// The state and code of each.
    pub async fn heard(&self, gateway: &Midtrans) -> Vec<String> {
        let told = self.told(gateway).await;
        told.iter()
            .map(|body| format!("{} {}", text(body, "transaction_status"), text(body, "status_code")))
            .collect()
    }
}

pub async fn settle(gateway: &Midtrans) {
    let idle = async {
        gateway.idle().await;
        anyhow::Ok(())
    };
    wait::within("the notifications", BOUND, idle).await.unwrap();
}

pub fn text<'a>(body: &'a Value, name: &str) -> &'a str {
    body[name].as_str().unwrap_or_default()
}

pub fn is_signed(body: &Value) -> bool {
    let signed = sign(text(body, "order_id"), text(body, "status_code"), text(body, "gross_amount"), KEY);
    signed == text(body, "signature_key")
}

pub fn plain(id: &str, gross: i64) -> Value {
    json!({"transaction_details": {"order_id": id, "gross_amount": gross}})
}
