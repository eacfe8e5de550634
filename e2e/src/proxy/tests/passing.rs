//! What passes undisturbed.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    sync::Arc,
    thread::JoinHandle,
};

use rustls::pki_types::PrivateKeyDer;

use super::world::{Http, POD, PODS, SOON, World};
use crate::proxy::{FaultProxy, Mark, Matcher, Outcome, ProxyConfig, ProxyError, Unreachable};

#[tokio::test]
async fn credentials_query_and_body_reach_the_api_server_unchanged() {
    let world = World::new().await;
    world
        .client
        .call("PATCH", "/api/v1/namespaces/a/pods/p?fieldManager=m%20n&force=true", "{\"a\":1}")
        .await;
    let seen = world.last_seen();
    assert_eq!(seen.uri, "/api/v1/namespaces/a/pods/p?fieldManager=m%20n&force=true");
    assert_eq!(seen.headers["authorization"], "Bearer t");
    assert_eq!(seen.headers["content-type"], "application/json");
    assert_eq!(seen.body, "{\"a\":1}");
    assert_ne!(seen.headers["host"], world.port.address.to_string());
}

#[tokio::test]
async fn a_token_is_lent_to_calls_that_bring_none() {
    let world = World::new().await;
    let kubectl = world.proxy.actor_with_token("kubectl", "lent").unwrap();
    let client = Http::new(&kubectl.url);
    client.status("GET", POD).await;
    assert_eq!(world.last_seen().headers["authorization"], "Bearer t");
    let bare = tokio::net::TcpStream::connect(kubectl.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut { bare }, b"GET /version HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    world.wait_seen(2).await;
    assert_eq!(world.last_seen().headers["authorization"], "Bearer lent");
}

#[tokio::test]
async fn a_call_given_up_by_the_actor_is_given_up_by_the_proxy() {
    let mut world = World::new().await;
    let call = world.client.spawn("GET", "/api/v1/namespaces/a/pods/stuck");
    let stuck = world.stuck().await;
    assert!(!stuck.is_closed());
    call.abort();
    tokio::time::timeout(SOON, stuck.closed()).await.expect("the API server still works on it");
    let call = world.log().wait_for_call(Mark::START, &Matcher::any(), SOON).await.unwrap();
    assert_eq!(call.outcome, Outcome::Abandoned);
}

#[tokio::test]
async fn http2_without_tls_is_understood() {
    let world = World::new().await;
    assert_eq!(Http::http2(&world.port.url).status("GET", POD).await, 200);
}

#[tokio::test]
async fn a_cut_ends_calls_over_http2_too() {
    let mut world = World::new().await;
    let call = Http::http2(&world.port.url).spawn("GET", "/api/v1/namespaces/a/pods/stuck");
    let stuck = world.stuck().await;
    world.port.cut();
    assert_eq!(call.await.unwrap(), None);
    tokio::time::timeout(SOON, stuck.closed()).await.expect("the API server still works on it");
}

#[tokio::test]
async fn an_absent_api_server_is_a_bad_gateway_or_a_reset() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = ProxyConfig::new(format!("http://{nobody}"));
    let proxy = FaultProxy::start(config.clone()).unwrap();
    let (status, body) = Http::new(&proxy.actor("a").unwrap().url).call("GET", POD, "").await;
    assert_eq!((status, &body["kind"]), (502, &"Status".into()));
    assert_eq!(proxy.log().calls(Mark::START, &Matcher::any())[0].outcome, Outcome::UpstreamFailed);

    let proxy = FaultProxy::start(config.unreachable(Unreachable::Reset)).unwrap();
    assert!(Http::new(&proxy.actor("a").unwrap().url).send("GET", POD, "").await.is_err());
}

#[tokio::test]
async fn dropping_the_proxy_cuts_everything() {
    let mut world = World::new().await;
    let (mut watcher, feed) = world.watch("/api/v1/pods?watch=true").await;
    let World { proxy, client, .. } = world;
    drop(proxy);
    assert!(watcher.try_next().await.is_err());
    feed.gone().await;
    assert!(client.send("POST", PODS, "").await.is_err());
}

#[tokio::test]
async fn the_api_server_is_reached_over_tls_by_its_own_ca_alone() {
    let server = TlsServer::start();
    let url = format!("https://{}", server.address);
    let stranger = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let proxy = FaultProxy::start(ProxyConfig::new(&url).ca_pem(stranger.cert.pem())).unwrap();
    assert_eq!(Http::new(&proxy.actor("a").unwrap().url).status("GET", POD).await, 502);

    let proxy = FaultProxy::start(ProxyConfig::new(&url).ca_pem(server.ca_pem.clone())).unwrap();
    assert_eq!(Http::new(&proxy.actor("a").unwrap().url).status("GET", POD).await, 200);
    server.thread.join().unwrap();
}

#[test]
fn a_ca_or_an_address_that_cannot_be_used_is_refused_at_once() {
    let start = |config| FaultProxy::start(config).map(drop);
    assert!(matches!(start(ProxyConfig::new("127.0.0.1:6443")), Err(ProxyError::BadUpstream(_))));
    assert!(matches!(start(ProxyConfig::new("https://a").ca_pem("nonsense")), Err(ProxyError::NoCa)));
}

/// Refuses one stranger, then answers one request over TLS.
struct TlsServer {
    address: std::net::SocketAddr,
    ca_pem: String,
    thread: JoinHandle<()>,
}

impl TlsServer {
    fn start() -> Self {
        let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = Arc::new(builder.with_single_cert(vec![certified.cert.der().clone()], key).unwrap());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || while !serve(&listener, &config) {});
        Self { address, ca_pem: certified.cert.pem(), thread }
    }
}

/// Whether a request came and was answered.
fn serve(listener: &std::net::TcpListener, config: &Arc<rustls::ServerConfig>) -> bool {
    let (socket, _) = listener.accept().unwrap();
    let session = rustls::ServerConnection::new(Arc::clone(config)).unwrap();
    let mut stream = BufReader::new(rustls::StreamOwned::new(session, socket));
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if !matches!(stream.read_line(&mut line), Ok(1..)) {
            return false;
        }
    }
    stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
    true
}
