//! Rates that hold across replicas. The database keeps one row a limit and subject; a replica takes several requests' worth at a time
//! from it and spends them on its own, so that not every request writes. How far a subject has gone it remembers for a while: whoever has
//! nothing left is turned away without the database.

mod store;

use super::problem::{Code, Problem};
use crate::{clock, state::State};
use jiff::{SignedDuration, Timestamp};
use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
    time::Duration,
};
pub use store::forget_old;
use uuid::Uuid;

/// How much is allowed: so many at once, and as many again in each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What it limits; a part of the row's key.
    pub name: &'static str,
    /// Requests in a period, which may also come at once.
    pub burst: u32,
    /// The period.
    pub period: SignedDuration,
}

impl Limit {
    /// `count` a minute.
    pub const fn per_minute(name: &'static str, count: u32) -> Self {
        Self { name, burst: count, period: SignedDuration::from_mins(1) }
    }

    /// `count` an hour.
    pub const fn per_hour(name: &'static str, count: u32) -> Self {
        Self { name, burst: count, period: SignedDuration::from_hours(1) }
    }

    fn cost(self, requests: u32) -> SignedDuration {
        let micros = self.period.as_micros() * i128::from(requests) / i128::from(self.burst.max(1));
        SignedDuration::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// Up to where the arrival may have moved for so many requests to be let through now.
    fn furthest(self, requests: u32, now: Timestamp) -> Timestamp {
        clock::after(now, self.period - self.cost(requests))
    }
}

/// Where a request stands with the limit that it was counted against last, for the headers of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Requests in a period.
    pub limit: u32,
    /// How many are left now.
    pub remaining: u32,
    /// In how many seconds all of them are there again.
    pub reset_seconds: u64,
}

tokio::task_local! {
    /// The standing of the request that is being answered.
    pub static STANDING: Cell<Option<Standing>>;
}

fn note(limit: Limit, arrival: Timestamp, now: Timestamp) {
    let ahead = arrival.duration_since(now).max(SignedDuration::ZERO);
    let left = (limit.period - ahead).max(SignedDuration::ZERO).as_micros() * i128::from(limit.burst)
        / limit.period.as_micros().max(1);
    let standing = Standing {
        limit: limit.burst,
        remaining: u32::try_from(left).unwrap_or(limit.burst),
        reset_seconds: u64::try_from(ahead.as_secs()).unwrap_or_default() + 1,
    };
    // Outside of a request nobody wants to know.
    let _ = STANDING.try_with(|cell| cell.set(Some(standing)));
}

/// What a replica knows of subjects by itself: for a minute, and of so many, so that a flood from everywhere has an end here.
#[derive(Clone, Debug)]
pub struct Leases(moka::sync::Cache<String, Arc<Held>>);

/// What is known of one subject.
#[derive(Debug, Default)]
struct Held {
    /// Requests that were taken and not spent yet.
    left: AtomicU32,
    /// How far the arrival had moved when it was seen last, in microseconds. In the database it is that far or further: it only grows.
    arrival: AtomicI64,
}

impl Default for Leases {
    fn default() -> Self {
        Self(moka::sync::Cache::builder().max_capacity(100_000).time_to_live(Duration::from_mins(1)).build())
    }
}

impl Leases {
    fn of(&self, key: &str) -> Arc<Held> {
        self.0.get(key).unwrap_or_default()
    }

    /// Notes how far a subject has gone, and how much more was taken for it than is spent at once.
    fn keep(&self, key: String, arrival: Timestamp, more: u32) {
        let held = self.0.get_with(key, Arc::default);
        held.arrival.fetch_max(arrival.as_microsecond(), Ordering::Relaxed);
        held.left.fetch_add(more, Ordering::Relaxed);
    }
}

impl Held {
    /// Spends one of what was taken. It is noted by what is left of all, what was taken included.
    fn spend(&self, limit: Limit, now: Timestamp) -> bool {
        let spent = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if let Ok(before) = spent {
            note(limit, clock::before(self.arrival(), limit.cost(before - 1)), now);
        }
        spent.is_ok()
    }

    fn arrival(&self) -> Timestamp {
        Timestamp::from_microsecond(self.arrival.load(Ordering::Relaxed)).unwrap_or_default()
    }
}

/// Takes one request from a limit.
///
/// # Errors
/// 429 with the time to wait; otherwise as the database's.
pub async fn take(state: &State, limit: Limit, subject: &str) -> Result<(), Problem> {
    let now = state.clock.now();
    match take_several(state, limit, subject, 1, now).await? {
        Ok(()) => Ok(()),
        Err(wait) => Err(refused(state, limit, wait)),
    }
}

/// Whether a limit had something left, where a refusal is not to be told.
///
/// # Errors
/// As the database's.
pub fn has(taken: Result<(), Problem>) -> Result<bool, Problem> {
    match taken {
        Ok(()) => Ok(true),
        Err(problem) if problem.code() == Code::RateLimited => Ok(false),
        Err(problem) => Err(problem),
    }
}

/// Takes one request from what this replica has of a limit, which it fills up a twentieth at a time.
///
/// # Errors
/// As [`take`].
pub async fn take_leased(state: &State, limit: Limit, subject: &str) -> Result<(), Problem> {
    let (now, key) = (state.clock.now(), key(limit, subject));
    if state.leases.of(&key).spend(limit, now) {
        return Ok(());
    }
    let several = (limit.burst / 20).max(1);
    if several > 1 && take_several(state, limit, subject, several, now).await?.is_ok() {
        return Ok(());
    }
    // Meanwhile another request may have taken some.
    if state.leases.of(&key).spend(limit, now) {
        return Ok(());
    }
    take(state, limit, subject).await
}

fn key(limit: Limit, subject: &str) -> String {
    format!("{}:{subject}", limit.name)
}

fn refused(state: &State, limit: Limit, wait: SignedDuration) -> Problem {
    state.metrics.rate_limited(limit.name);
    Problem::rate_limited(Duration::try_from(wait).unwrap_or_default())
}

/// The generic cell rate algorithm: each request moves the time of arrival on by its cost, as far ahead as the burst reaches. Of several
/// requests one is spent at once.
async fn take_several(
    state: &State,
    limit: Limit,
    subject: &str,
    requests: u32,
    now: Timestamp,
) -> Result<Result<(), SignedDuration>, sqlx::Error> {
    let key = key(limit, subject);
    let (cost, furthest) = (limit.cost(requests), limit.furthest(requests, now));
    let mut arrival = state.leases.of(&key).arrival();
    if arrival <= furthest {
        if let Some(moved) = store::advance(&state.db, &key, now, clock::after(now, cost), furthest).await? {
            state.leases.keep(key, moved, requests - 1);
            note(limit, clock::before(moved, limit.cost(requests - 1)), now);
            return Ok(Ok(()));
        }
        arrival = store::arrival(&state.db, &key).await?.unwrap_or(now);
        state.leases.keep(key, arrival, 0);
    }
    note(limit, arrival, now);
    Ok(Err(arrival.duration_since(furthest).max(SignedDuration::from_secs(1))))
}

/// A user's requests of any kind.
///
/// # Errors
/// As [`take`].
pub async fn user(state: &State, id: Uuid) -> Result<(), Problem> {
    take_leased(state, Limit::per_minute("user", state.http.rate_per_user), &id.to_string()).await
}

/// A user's requests that may call the payment gateway, which has limits of its own for all of us together.
///
/// # Errors
/// As [`take`].
pub async fn top_ups(state: &State, user: Uuid) -> Result<(), Problem> {
    take(state, Limit::per_minute("top-ups", state.http.rate_top_ups_per_user), &user.to_string()).await
}

/// A user's purchases: whoever buys and cancels all the time gives the cluster no rest, and others no place.
///
/// # Errors
/// As [`take`].
pub async fn purchases(state: &State, user: Uuid) -> Result<(), Problem> {
    take(state, Limit::per_hour("purchases", state.http.rate_purchases_per_user), &user.to_string()).await
}

/// Requests of one network that anybody may make: to log in, to register.
///
/// # Errors
/// As [`take`].
pub async fn network(state: &State, network: &str) -> Result<(), Problem> {
    take_leased(state, Limit::per_minute("address", state.http.rate_per_address), network).await
}

/// Requests of one network for the catalogue. They have a limit of their own: whoever looks around for long can still log in.
///
/// # Errors
/// As [`take`].
pub async fn catalogue(state: &State, network: &str) -> Result<(), Problem> {
    take_leased(state, Limit::per_minute("catalog", state.http.rate_catalog_per_address), network).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_costs_its_share_of_the_period() {
        assert_eq!(Limit::per_minute("x", 120).cost(1), SignedDuration::from_millis(500));
        assert_eq!(Limit::per_minute("x", 120).cost(120), SignedDuration::from_mins(1));
    }

    #[test]
    fn the_headers_say_what_is_left_and_when_all_of_it_is_back() {
        let (limit, now) = (Limit::per_minute("x", 120), Timestamp::UNIX_EPOCH);
        let standing = STANDING.sync_scope(Cell::new(None), || {
            note(limit, now + SignedDuration::from_secs(15), now);
            STANDING.with(Cell::take)
        });
        assert_eq!(standing, Some(Standing { limit: 120, remaining: 90, reset_seconds: 16 }));
    }

    #[test]
    fn what_was_taken_is_spent_once_and_noted_as_it_is_spent() {
        let (leases, limit, now) = (Leases::default(), Limit::per_minute("x", 120), Timestamp::UNIX_EPOCH);
        let spend = || {
            STANDING.sync_scope(Cell::new(None), || {
                let is_spent = leases.of("a").spend(limit, now);
                (is_spent, STANDING.with(Cell::take).map(|standing| standing.remaining))
            })
        };
        assert_eq!(spend(), (false, None));
        leases.keep("a".to_owned(), clock::after(now, limit.cost(3)), 2);
        assert_eq!([spend(), spend(), spend()], [(true, Some(118)), (true, Some(117)), (false, None)]);
    }

    #[test]
    fn how_far_a_subject_has_gone_is_never_taken_back() {
        let (leases, now) = (Leases::default(), Timestamp::UNIX_EPOCH);
        assert_eq!(leases.of("a").arrival(), now);
        for seconds in [20, 50, 30] {
            leases.keep("a".to_owned(), now + SignedDuration::from_secs(seconds), 0);
        }
        assert_eq!(leases.of("a").arrival(), now + SignedDuration::from_secs(50));
    }
}
