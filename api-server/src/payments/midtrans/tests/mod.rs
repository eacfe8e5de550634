//! The client against a scripted Midtrans, and what it reads.

mod client;
mod signed;
mod told;

use super::*;
use crate::money::Rupiah;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse as _, Response},
};
use clap::Parser;
use http::{StatusCode, Uri};
use std::{collections::VecDeque, sync::Mutex};
use tokio::net::TcpListener;

/// The settings as the program reads them.
#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    midtrans: config::Midtrans,
}

fn settings(more: &[&str]) -> config::Midtrans {
    let key = ["test", "--midtrans-server-key", "SB-Mid-server-TESTKEY"];
    Cli::parse_from(key.iter().chain(more)).midtrans
}

fn rupiah(amount: i64) -> Rupiah {
    Rupiah::new(amount).unwrap()
}

/// What the client sent.
#[derive(Clone, Debug)]
struct Sent {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// One answer.
enum Scripted {
    /// HTTP's status, and a body.
    Says(u16, String),
    /// It never comes.
    Hangs,
}

/// A Midtrans that answers what it is told to, one after the other.
#[derive(Default)]
struct Gateway {
    answers: Mutex<VecDeque<Scripted>>,
    sent: Mutex<Vec<Sent>>,
}

async fn answer(
    State(gateway): State<Arc<Gateway>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    gateway.sent.lock().unwrap().push(Sent { method, path: uri.path().to_owned(), headers, body });
    let next = gateway.answers.lock().unwrap().pop_front().expect("one more call than answers");
    match next {
        Scripted::Says(status, body) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        Scripted::Hangs => std::future::pending().await,
    }
}

impl Gateway {
    /// One with these answers, and a client of it.
    async fn start(answers: impl IntoIterator<Item = Scripted>, more: &[&str]) -> (Arc<Self>, Client) {
        let gateway =
            Arc::new(Self { answers: Mutex::new(answers.into_iter().collect()), ..Self::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&gateway));
        tokio::spawn(axum::serve(listener, routes).into_future());
        (gateway, client_of(&address.to_string(), more))
    }

    fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }
}

fn client_of(address: &str, more: &[&str]) -> Client {
    let (snap, core) = (format!("http://{address}/snap/v1/"), format!("http://{address}"));
    let here = ["--midtrans-snap-url", &snap, "--midtrans-core-url", &core];
    let all: Vec<_> = here.into_iter().chain(more.iter().copied()).collect();
    Client::new(&settings(&all)).unwrap().unwrap()
}

/// An answer.
fn says(status: u16, body: &str) -> Scripted {
    Scripted::Says(status, body.to_owned())
}
