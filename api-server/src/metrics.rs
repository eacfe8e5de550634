//! What is counted, for Prometheus.

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use std::time::Duration;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answer {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Route {
    method: String,
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Named {
    name: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct MailLabels {
    kind: &'static str,
    outcome: &'static str,
}

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    answers: Family<Answer, Counter>,
    durations: Family<Route, Histogram>,
    rate_limited: Family<Named, Counter>,
    logins: Family<Named, Counter>,
    mails: Family<MailLabels, Counter>,
    connections: Family<Named, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let durations = Family::new_with_constructor(
            (|| Histogram::new(exponential_buckets(0.001, 2.0, 15))) as fn() -> Histogram,
        );
        let mut metrics = Self {
            registry: Registry::with_prefix("nakhoda_api"),
            answers: Family::default(),
            durations,
            rate_limited: Family::default(),
            logins: Family::default(),
            mails: Family::default(),
            connections: Family::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("requests", "Answered requests", metrics.answers.clone());
        registry.register("request_duration_seconds", "How long answers took", metrics.durations.clone());
        registry.register(
            "rate_limited",
            "Requests refused by a rate limit, by limit",
            metrics.rate_limited.clone(),
        );
        registry.register("logins", "Tries to log in, by outcome", metrics.logins.clone());
        registry.register("mails", "Tries to send a mail, by kind and outcome", metrics.mails.clone());
        registry.register(
            "database_connections",
            "Connections of the pool, by state",
            metrics.connections.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// A request was answered.
    pub fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        let (method, route) = (method.to_owned(), route.to_owned());
        self.durations
            .get_or_create(&Route { method: method.clone(), route: route.clone() })
            .observe(took.as_secs_f64());
        self.answers.get_or_create(&Answer { method, route, status }).inc();
    }

    /// A limit refused a request.
    pub fn rate_limited(&self, name: &'static str) {
        self.rate_limited.get_or_create(&Named { name }).inc();
    }

    /// Somebody tried to log in.
    pub fn logged_in(&self, name: &'static str) {
        self.logins.get_or_create(&Named { name }).inc();
    }

    /// A mail was tried.
    pub fn mailed(&self, kind: &'static str, outcome: &'static str) {
        self.mails.get_or_create(&MailLabels { kind, outcome }).inc();
    }

    /// All of them as text, with the pool's state of now.
    pub fn render(&self, pool: &sqlx::PgPool) -> String {
        let idle = i64::try_from(pool.num_idle()).unwrap_or(i64::MAX);
        self.connections.get_or_create(&Named { name: "idle" }).set(idle);
        self.connections.get_or_create(&Named { name: "busy" }).set(i64::from(pool.size()) - idle);
        let mut text = String::new();
        match text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            // Writing into a string does not fail.
            Err(error) => format!("# {error}\n"),
        }
    }
}
