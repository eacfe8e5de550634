//! A mailbag: takes what the gateway tells, so that it is brought to the replicas later, in another order and more than once.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

type Letters = Arc<Mutex<Vec<Letter>>>;

/// A notification as it came.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The order it is about.
    pub order_id: String,
    /// The state that it tells.
    pub status: String,
    /// All of it.
    pub body: Bytes,
}

#[derive(Deserialize)]
struct Head {
    order_id: String,
    transaction_status: String,
}

/// The bag. Dropping it closes its port.
#[derive(Debug)]
pub struct Bag {
    letters: Letters,
    url: String,
    serving: JoinHandle<()>,
}

impl Bag {
    /// Opens one.
    pub async fn open() -> Result<Self> {
        let letters = Letters::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for the bag")?;
        let url = format!("http://{}/", listener.local_addr()?);
        let router = Router::new().route("/", post(take)).with_state(Arc::clone(&letters));
        // It ends with this program or with the bag; there is nobody to tell of an error.
        let serving = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { letters, url, serving })
    }

    /// Where the gateway is to tell it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Empties it.
    pub fn empty(&self) -> Vec<Letter> {
        std::mem::take(&mut self.letters.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Bag {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn take(State(letters): State<Letters>, body: Bytes) {
    if let Ok(Head { order_id, transaction_status: status }) = serde_json::from_slice(&body) {
        letters.lock().unwrap_or_else(PoisonError::into_inner).push(Letter { order_id, status, body });
    }
}
