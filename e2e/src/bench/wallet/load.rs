//! Clients that debit wallets one after the other, each over a connection of its own. The same ones for the API and for its floor.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::shop::{PATH, Wallet, debit};
use crate::bench::report::number;
use crate::midtrans::shuffle::next;

/// What is not counted in the beginning: such a part of what is.
const WARM_UP: u32 = 10;

/// Who is asked, and as whom.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) address: String,
    pub(super) token: String,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// Debits a second.
    pub(super) rate: f64,
    /// How long each took, sorted, in milliseconds.
    pub(super) took: Vec<f64>,
    /// How many were not counted in the beginning.
    pub(super) warming: usize,
    /// Answers that were no success.
    pub(super) failed: usize,
}

/// One client's connection.
struct Client {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
    token: HeaderValue,
}

impl Client {
    async fn connect(target: &Target) -> Result<Self> {
        let stream = TcpStream::connect(&target.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends with its sender.
        tokio::spawn(connection);
        Ok(Self { sender, host: target.address.parse()?, token: format!("Bearer {}", target.token).parse()? })
    }

    /// Debits a wallet by one rupiah, with a key of its own; the answer's status and body.
    async fn debit(&mut self, user: Uuid, key: Uuid) -> Result<(StatusCode, Bytes)> {
        let request = Request::post(PATH)
            .header(header::HOST, &self.host)
            .header(header::AUTHORIZATION, &self.token)
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", key.to_string())
            .body(Full::from(serde_json::to_vec(&debit(user))?))?;
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }
}

/// One debit, which must be done.
pub(super) async fn one(target: &Target, user: Uuid, key: Uuid) -> Result<()> {
    let (status, body) = Client::connect(target).await?.debit(user, key).await?;
    ensure!(status == StatusCode::CREATED, "a debit: {status}: {}", String::from_utf8_lossy(&body));
    Ok(())
}

/// So many clients debit wallets that are drawn, for that long.
pub(super) async fn run(
    target: &Target,
    wallets: &Arc<[Wallet]>,
    clients: usize,
    part: Duration,
) -> Result<Outcome> {
    let connected = try_join_all((0..clients).map(|_| Client::connect(target))).await?;
    let begun = Instant::now() + part / WARM_UP;
    let mut running = JoinSet::new();
    for (seed, client) in (1..).zip(connected) {
        running.spawn(work(client, Arc::clone(wallets), seed, begun, begun + part));
    }
    let mut all = Outcome::default();
    while let Some(one) = running.join_next().await {
        let one = one??;
        all.took.extend(one.took);
        all.warming += one.warming;
        all.failed += one.failed;
    }
    let done = all.took.len().saturating_sub(all.failed);
    all.rate = number(done) / begun.elapsed().as_secs_f64();
    all.took.sort_by(f64::total_cmp);
    Ok(all)
}

async fn work(
    mut client: Client,
    wallets: Arc<[Wallet]>,
    mut seed: u64,
    begun: Instant,
    end: Instant,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let count = u64::try_from(wallets.len())?;
    loop {
        let start = Instant::now();
        if start >= end {
            return Ok(outcome);
        }
        let drawn = usize::try_from(next(&mut seed) % count)?;
        let wallet = wallets.get(drawn).context("there are wallets")?;
        let (status, _) = client.debit(wallet.user, Uuid::now_v7()).await?;
        if start < begun {
            outcome.warming += 1;
        } else {
            outcome.took.push(start.elapsed().as_secs_f64() * 1000.0);
            outcome.failed += usize::from(status != StatusCode::CREATED);
        }
    }
}
