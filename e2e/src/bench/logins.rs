//! What a flood of logins does to everybody else: the API server, as it is shipped, with PostgreSQL, and people who log in and read
//! while guesses come in at ten times the rate at which passwords can be hashed.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::StreamExt as _;
use futures::stream;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::footprint::Footprint;
use super::report::{Figure, Machine};
use crate::people::{PASSWORD, People, Start, Where};
use crate::story::Story;

/// People who log in.
const PEOPLE: usize = 16;
/// How many of them log in at the same time where the rate of hashes is taken.
const AT_ONCE: usize = 4;
/// Reads a second by people who are logged in.
const READS: f64 = 50.0;
/// How much faster than passwords can be hashed the guesses come: so many for each login.
const FLOOD: u32 = 10;
/// Requests that may be under way at once; an attacker's sockets have an end too.
const MOST: usize = 4000;

/// How it is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How long each part takes.
    pub part: Duration,
}

/// A client that comes from as many addresses as it likes.
#[derive(Clone)]
struct Caller {
    http: Client<HttpConnector, Full<Bytes>>,
    base: Arc<str>,
    addresses: Arc<AtomicU32>,
}

/// What came of calls.
#[derive(Debug, Default)]
struct Outcome {
    accepted: AtomicU32,
    refused: AtomicU32,
    turned_away: AtomicU32,
    turned_away_in_silence: AtomicU32,
    failed: AtomicU32,
}

impl Caller {
    async fn call(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<(StatusCode, bool)> {
        let address =
            Ipv4Addr::from(0x0a00_0000 + self.addresses.fetch_add(257, Ordering::Relaxed) % (1 << 24));
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/api/v1{path}", self.base))
            .header("x-forwarded-for", address.to_string());
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let sent = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
        let answer = self.http.request(request.body(Full::new(sent.into()))?).await?;
        let (status, says_when) = (answer.status(), answer.headers().contains_key("retry-after"));
        answer.into_body().collect().await?;
        Ok((status, says_when))
    }

    async fn log_in(&self, email: &str, password: &str, outcome: &Outcome) {
        let body = json!({"email": email, "password": password});
        let one = match self.call("POST", "/auth/login", None, Some(&body)).await {
            Ok((StatusCode::OK, _)) => &outcome.accepted,
            Ok((StatusCode::UNAUTHORIZED, _)) => &outcome.refused,
            Ok((StatusCode::TOO_MANY_REQUESTS, true)) => &outcome.turned_away,
            Ok((StatusCode::TOO_MANY_REQUESTS, false)) => &outcome.turned_away_in_silence,
            Ok(_) | Err(_) => &outcome.failed,
        };
        one.fetch_add(1, Ordering::Relaxed);
    }

    /// Calls that are begun so many times a second, whether those before have ended or not, until the time is over.
    async fn at_rate<F>(rate: f64, part: Duration, mut call: impl FnMut(u32) -> F) -> Vec<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (mut running, mut done, begun) = (JoinSet::new(), Vec::new(), Instant::now());
        let mut ticks = interval(Duration::from_millis(5));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut count, pause) = (0, Duration::from_secs_f64(1.0 / rate));
        while begun.elapsed() < part {
            ticks.tick().await;
            while pause * count < begun.elapsed() {
                count += 1;
                if running.len() < MOST {
                    // Spread, so that not many come at the same moment.
                    let (later, call) = (Duration::from_millis(u64::from(count) * 7919 % 23), call(count));
                    running.spawn(async move {
                        sleep(later).await;
                        call.await
                    });
                }
            }
            while let Some(Ok(one)) = running.try_join_next() {
                done.push(one);
            }
        }
        done.extend(running.join_all().await);
        done
    }

    /// How long reads took, sorted, in milliseconds.
    async fn reads(&self, tokens: Arc<[String]>, part: Duration) -> Result<Vec<f64>> {
        let took = Self::at_rate(READS, part, |count| {
            let (caller, tokens) = (self.clone(), Arc::clone(&tokens));
            async move {
                let nth = usize::try_from(count).unwrap_or_default() % tokens.len();
                let begun = Instant::now();
                let (status, _) =
                    caller.call("GET", "/me", tokens.get(nth).map(String::as_str), None).await?;
                ensure!(status == StatusCode::OK, "GET /me: {status}");
                Ok(begun.elapsed().as_secs_f64() * 1000.0)
            }
        })
        .await;
        let mut took: Vec<f64> = took.into_iter().collect::<Result<_>>()?;
        took.sort_by(f64::total_cmp);
        Ok(took)
    }
}

/// What so many of a hundred do not exceed.
fn percentile(sorted: &[f64], hundredths: usize) -> f64 {
    let place = sorted.len() * hundredths / 100;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// What was measured.
struct Measured {
    part: Duration,
    /// Logins a second without a flood.
    hashes: f64,
    /// How long reads took without a flood and during it, sorted, in milliseconds.
    idle: Vec<f64>,
    busy: Vec<f64>,
    guesses: Arc<Outcome>,
    logins: Arc<Outcome>,
    /// Memory before the flood, and beyond that at most, in bytes.
    resident: u64,
    growth: u64,
}

/// Measures, in `dir`, and returns the table for people.
pub async fn run(program: &Path, dir: &Path, plan: Plan, story: Story) -> Result<String> {
    let machine = Machine::here();
    // Everybody comes from an address of their own, as behind a proxy.
    let env = [("NAKHODA_TRUSTED_PROXIES", "127.0.0.0/8")];
    let start = Start { program, database: Where::Forgotten, kubeconfig: None, env: &env };
    let people = People::start(dir, story, start).await?;
    let mut customers = Vec::new();
    for _ in 0..PEOPLE {
        customers.push(customer(&people).await?);
    }
    let tokens: Arc<[String]> = customers.iter().map(|(_, token)| token.clone()).collect();
    let emails: Arc<[String]> = customers.into_iter().map(|(email, _)| email).collect();
    story.step(format!("{PEOPLE} customers are logged in"));
    let caller = Caller {
        http: Client::builder(TokioExecutor::new()).build_http(),
        base: people.api.url().into(),
        addresses: Arc::default(),
    };
    let footprint = Footprint::of(people.api.process().pid());

    let hashes = caller.logins_a_second(&emails, plan.part).await?;
    story.step(format!("{hashes:.0} logins a second without a flood"));
    let idle = caller.reads(Arc::clone(&tokens), plan.part).await?;
    let resident = footprint.resident()?;
    footprint.forget_peak()?;
    story.step("reads without a flood");
    let (guesses, logins) = (Arc::default(), Arc::default());
    let flood = caller.flood(hashes, plan.part, &emails, (&guesses, &logins));
    let ((), busy) = tokio::join!(flood, caller.reads(tokens, plan.part));
    let growth = footprint.peak()?.saturating_sub(resident);
    story.step("reads and logins during the flood");

    let measured = Measured { part: plan.part, hashes, idle, busy: busy?, guesses, logins, resident, growth };
    let Machine { cpus, memory_gib, load_before } = machine;
    let line = format!("{cpus} CPUs, {memory_gib} GiB, load {load_before} before");
    Ok(super::report::table_of(&line, &measured.figures()))
}

impl Caller {
    /// How often people can log in, a few at the same time.
    async fn logins_a_second(&self, emails: &[String], part: Duration) -> Result<f64> {
        let (outcome, begun) = (Outcome::default(), Instant::now());
        stream::iter(emails.iter().cycle())
            .take_while(|_| futures::future::ready(begun.elapsed() < part))
            .map(|email| self.log_in(email, PASSWORD, &outcome))
            .buffer_unordered(AT_ONCE)
            .collect::<()>()
            .await;
        let rate = count(&outcome.accepted) / begun.elapsed().as_secs_f64();
        ensure!(rate > 0.0, "nobody could log in: {outcome:?}");
        Ok(rate)
    }

    /// People who log in, `rate` of them a second, among guesses for accounts that are not there, each from an address of its own. Which
    /// of the calls is which is as if by chance: whoever comes first when there is room again must not be the same kind every time.
    async fn flood(
        &self,
        rate: f64,
        part: Duration,
        emails: &Arc<[String]>,
        (guesses, logins): (&Arc<Outcome>, &Arc<Outcome>),
    ) {
        Self::at_rate(rate * f64::from(FLOOD + 1), part, |nth| {
            let (caller, emails) = (self.clone(), Arc::clone(emails));
            let (guesses, logins) = (Arc::clone(guesses), Arc::clone(logins));
            async move {
                if !drawn(nth).is_multiple_of(u64::from(FLOOD + 1)) {
                    caller.log_in(&format!("guess-{nth}@nakhoda.test"), "not the password", &guesses).await;
                    return;
                }
                let place = usize::try_from(nth).unwrap_or_default() % emails.len().max(1);
                caller.log_in(emails.get(place).map_or("", String::as_str), PASSWORD, &logins).await;
            }
        })
        .await;
    }
}

/// A number as if by chance, the same in every run.
fn drawn(nth: u32) -> u64 {
    let mut hasher = DefaultHasher::new();
    nth.hash(&mut hasher);
    hasher.finish()
}

impl Measured {
    fn figures(&self) -> Vec<Figure> {
        let Self { part, hashes, idle, busy, guesses, logins, resident, growth } = self;
        let (seconds, hashes) = (part.as_secs_f64(), *hashes);
        let of_all = |read: fn(&Outcome) -> &AtomicU32| count(read(guesses)) + count(read(logins));
        let all = guesses.sum() + logins.sum();
        // What was hashed goes to people and guesses as they come.
        let done = of_all(|one| &one.accepted) + of_all(|one| &one.refused);
        let fair = done * logins.sum() / all / seconds;
        let reads = |hundredths| (percentile(busy, hundredths), Some(percentile(idle, hundredths)));
        let ((half, half_idle), (most, most_idle)) = (reads(50), reads(99));
        let of = |what, value, unit, floor, goal| Figure { what, value, unit, floor, goal };
        vec![
            of("logins without a flood", hashes, "/s", None, ""),
            of("guesses", guesses.sum() / seconds, "/s", Some(hashes), "10 times"),
            of("GET /me: half of the answers within", half, "ms", half_idle, ""),
            of("GET /me: 99 of 100 within", most, "ms", most_idle, "≤ 2 times those without"),
            of("passwords hashed during the flood", done / seconds, "/s", Some(hashes), ""),
            of(
                "logins during the flood",
                count(&logins.accepted) / seconds,
                "/s",
                Some(fair),
                "≥ 0.9 of their fair share",
            ),
            of("turned away with Retry-After", of_all(|one| &one.turned_away) / seconds, "/s", None, ""),
            of("turned away without Retry-After", of_all(|one| &one.turned_away_in_silence), "", None, "0"),
            of("failed otherwise", of_all(|one| &one.failed), "", None, "0"),
            of("memory before", mebibytes(*resident), "MiB", None, ""),
            of("memory beyond that at most", mebibytes(*growth), "MiB", None, "≤ 64 MiB"),
        ]
    }
}

fn mebibytes(bytes: u64) -> f64 {
    u32::try_from(bytes >> 10).map_or(f64::INFINITY, f64::from) / 1024.0
}

impl Outcome {
    fn sum(&self) -> f64 {
        let Self { accepted, refused, turned_away, turned_away_in_silence, failed } = self;
        [accepted, refused, turned_away, turned_away_in_silence, failed].into_iter().map(count).sum()
    }
}

fn count(counter: &AtomicU32) -> f64 {
    f64::from(counter.load(Ordering::Relaxed))
}

/// Somebody new who is logged in: the address and the access token.
async fn customer(people: &People) -> Result<(String, String)> {
    let email = people.customer().await?;
    let token = people.mailed_token(&email, 1).await?;
    people.api.must("POST", "/api/v1/auth/email/verify", None, Some(&json!({"token": token}))).await?;
    let access = people.log_in(&email).await.context("a customer can't log in")?;
    Ok((email, access))
}
