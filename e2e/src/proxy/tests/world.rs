//! The fake API server, the client, and the proxy between them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, extract::State, response::IntoResponse};
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};

use crate::proxy::{ActorPort, CallLog, FaultProxy, ProxyConfig};

/// How long anything may take that should happen at once.
pub(super) const SOON: Duration = Duration::from_secs(10);
pub(super) const PODS: &str = "/api/v1/namespaces/a/pods";
pub(super) const POD: &str = "/api/v1/namespaces/a/pods/p";

/// A request as the API server saw it.
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// The API server's end of an open watch.
pub(super) struct Feed(mpsc::UnboundedSender<Result<Bytes, std::io::Error>>);

impl Feed {
    pub(super) fn send(&self, text: &str) {
        self.0.send(Ok(Bytes::copy_from_slice(text.as_bytes()))).unwrap();
    }

    pub(super) fn pod(&self, kind: &str, name: &str, version: u32) -> String {
        let meta =
            json!({ "namespace": "a", "name": name, "uid": name, "resourceVersion": version.to_string() });
        let event = format!("{}\n", json!({ "type": kind, "object": { "metadata": meta } }));
        self.send(&event);
        event
    }

    pub(super) fn break_off(&self) {
        self.0.send(Err(std::io::Error::other("killed"))).unwrap();
    }

    /// Waits until the other side has gone.
    pub(super) async fn gone(&self) {
        tokio::time::timeout(SOON, self.0.closed()).await.expect("the watch was not cancelled");
    }
}

#[derive(Clone)]
struct Api {
    seen: Arc<Mutex<Vec<Seen>>>,
    changes: watch::Sender<usize>,
    feeds: mpsc::UnboundedSender<Feed>,
    /// Kept by every call to `…/stuck` for as long as it is under way.
    stuck: mpsc::UnboundedSender<mpsc::Sender<()>>,
}

pub(super) struct World {
    pub(super) proxy: FaultProxy,
    pub(super) port: ActorPort,
    pub(super) client: Http,
    api: Api,
    feeds: mpsc::UnboundedReceiver<Feed>,
    stuck: mpsc::UnboundedReceiver<mpsc::Sender<()>>,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(|config| config).await
    }

    pub(super) async fn with(configure: impl FnOnce(ProxyConfig) -> ProxyConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = format!("http://{}", listener.local_addr().unwrap());
        let (feeds_sender, feeds) = mpsc::unbounded_channel();
        let (stuck_sender, stuck) = mpsc::unbounded_channel();
        let api = Api {
            seen: Arc::default(),
            changes: watch::Sender::new(0),
            feeds: feeds_sender,
            stuck: stuck_sender,
        };
        let router = Router::new().fallback(answer).with_state(api.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let proxy = FaultProxy::start(configure(ProxyConfig::new(upstream))).unwrap();
        let port = proxy.actor("operator").unwrap();
        let client = Http::new(&port.url);
        Self { proxy, port, client, api, feeds, stuck }
    }

    pub(super) fn log(&self) -> &CallLog {
        self.proxy.log()
    }

    /// Methods and paths the API server has seen.
    pub(super) fn seen(&self) -> Vec<String> {
        self.api.seen.lock().unwrap().iter().map(|it| format!("{} {}", it.method, it.uri.path())).collect()
    }

    pub(super) fn last_seen(&self) -> Seen {
        self.api.seen.lock().unwrap().pop().unwrap()
    }

    /// Waits until the API server has seen so many requests.
    pub(super) async fn wait_seen(&self, n: usize) {
        let mut changes = self.api.changes.subscribe();
        tokio::time::timeout(SOON, changes.wait_for(|seen| *seen >= n)).await.expect("not seen").unwrap();
    }

    /// Opens a watch, returning both ends.
    pub(super) async fn watch(&mut self, uri: &str) -> (Watcher, Feed) {
        let response = self.client.send("GET", uri, "").await.unwrap();
        assert_eq!(response.status(), 200);
        let feed = tokio::time::timeout(SOON, self.feeds.recv()).await.expect("no watch").unwrap();
        (Watcher { body: response.into_body() }, feed)
    }

    /// Waits for a call to `…/stuck`; what it returns tells when the API server gave the call up.
    pub(super) async fn stuck(&mut self) -> mpsc::Sender<()> {
        tokio::time::timeout(SOON, self.stuck.recv()).await.expect("no call got stuck").unwrap()
    }
}

async fn answer(
    State(api): State<Api>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> axum::response::Response {
    let version = {
        let mut seen = api.seen.lock().unwrap();
        seen.push(Seen { method: method.clone(), uri: uri.clone(), headers, body: body.clone() });
        api.changes.send_modify(|it| *it += 1);
        *api.changes.borrow()
    };
    if uri.path().ends_with("/stuck") {
        let (guard, _under_way) = mpsc::channel::<()>(1);
        api.stuck.send(guard).unwrap();
        return std::future::pending().await;
    }
    if uri.query().is_some_and(|it| it.contains("watch=true")) {
        let (sender, receiver) = mpsc::unbounded_channel();
        api.feeds.send(Feed(sender)).unwrap();
        let events = futures::stream::unfold(receiver, |mut it| async { Some((it.recv().await?, it)) });
        return ([("content-type", "application/json")], axum::body::Body::from_stream(events))
            .into_response();
    }
    let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
    let name = sent.pointer("/metadata/name").cloned().unwrap_or_else(|| json!("generated"));
    let object =
        json!({ "metadata": { "name": name, "uid": "uid-1", "resourceVersion": version.to_string() } });
    let status = if method == Method::POST { StatusCode::CREATED } else { StatusCode::OK };
    (status, axum::Json(object)).into_response()
}

/// A plain client that retries nothing.
#[derive(Clone)]
pub(super) struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
}

impl Http {
    pub(super) fn new(url: &str) -> Self {
        let mut builder = Client::builder(TokioExecutor::new());
        Self { client: builder.retry_canceled_requests(false).build_http(), url: url.to_owned() }
    }

    pub(super) fn http2(url: &str) -> Self {
        let mut builder = Client::builder(TokioExecutor::new());
        Self { client: builder.http2_only(true).build_http(), url: url.to_owned() }
    }

    pub(super) async fn send(
        &self,
        method: &str,
        uri: &str,
        body: &str,
    ) -> Result<Response<Incoming>, hyper_util::client::legacy::Error> {
        let request = http::Request::builder().method(method).uri(format!("{}{uri}", self.url));
        let request = request.header("authorization", "Bearer t").header("content-type", "application/json");
        let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap();
        tokio::time::timeout(SOON, self.client.request(request)).await.expect("no answer at all")
    }

    /// Status and body.
    pub(super) async fn call(&self, method: &str, uri: &str, body: &str) -> (u16, Value) {
        let response = self.send(method, uri, body).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    pub(super) async fn status(&self, method: &str, uri: &str) -> u16 {
        self.call(method, uri, "").await.0
    }

    /// A call whose answer is awaited elsewhere; `None` if the connection broke.
    pub(super) fn spawn(
        &self,
        method: &'static str,
        uri: &'static str,
    ) -> tokio::task::JoinHandle<Option<u16>> {
        let client = self.clone();
        tokio::spawn(async move { client.send(method, uri, "").await.ok().map(|it| it.status().as_u16()) })
    }
}

/// The client's end of an open watch.
pub(super) struct Watcher {
    body: Incoming,
}

impl Watcher {
    /// The next chunk; `None` at an orderly end.
    pub(super) async fn next(&mut self) -> Option<String> {
        self.try_next().await.expect("the watch broke")
    }

    pub(super) async fn try_next(&mut self) -> Result<Option<String>, hyper::Error> {
        let frame = tokio::time::timeout(SOON, self.body.frame()).await.expect("no event");
        let text = |frame: hyper::body::Frame<Bytes>| {
            String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
        };
        frame.transpose().map(|frame| frame.map(text))
    }

    /// Whether nothing is there to be read now.
    pub(super) fn is_silent(&mut self) -> bool {
        use futures::FutureExt as _;
        self.body.frame().now_or_never().is_none()
    }
}
