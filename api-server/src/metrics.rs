//! What is counted, for Prometheus.

use crate::{cluster::watch::Watches, mail::Kind, users::password::Hasher};
use jiff::{SignedDuration, Timestamp};
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
    mail_delay: Histogram,
    mails_by_status: Family<Named, Gauge>,
    mail_waits: Gauge,
    hashes_waiting: Gauge,
    hash_places: Gauge,
    connections: Family<Named, Gauge>,
    /// Those of payments.
    pub payments: crate::payments::metrics::Metrics,
    /// Those of what is kept of the cluster.
    pub watches: crate::cluster::watch::metrics::Metrics,
    /// Those of subscriptions.
    pub subscriptions: crate::subscriptions::metrics::Metrics,
    /// Those of background work.
    pub jobs: crate::jobs::metrics::Metrics,
    ledger_differences: Gauge,
    ledger_verified: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let durations = Family::new_with_constructor(
            (|| Histogram::new(exponential_buckets(0.001, 2.0, 15))) as fn() -> Histogram,
        );
        let mut metrics = Self {
            registry: Registry::default(),
            answers: Family::default(),
            durations,
            rate_limited: Family::default(),
            logins: Family::default(),
            mails: Family::default(),
            mail_delay: Histogram::new(exponential_buckets(0.25, 2.0, 16)),
            mails_by_status: Family::default(),
            mail_waits: Gauge::default(),
            hashes_waiting: Gauge::default(),
            hash_places: Gauge::default(),
            connections: Family::default(),
            payments: crate::payments::metrics::Metrics::default(),
            watches: crate::cluster::watch::metrics::Metrics::default(),
            subscriptions: crate::subscriptions::metrics::Metrics::default(),
            jobs: crate::jobs::metrics::Metrics::default(),
            ledger_differences: Gauge::default(),
            ledger_verified: Gauge::default(),
        };
        metrics.register();
        metrics.begin();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let metrics = &*self;
        let registry = &mut Registry::with_prefix("nakhoda_api");
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
            "mail_delay_seconds",
            "From when a mail was to go out until the mail server took it, at the first try",
            metrics.mail_delay.clone(),
        );
        registry.register(
            "mails_kept",
            "Mails in the database, by what became of them",
            metrics.mails_by_status.clone(),
        );
        registry.register(
            "mail_oldest_pending_seconds",
            "How long ago the oldest mail was written that has yet to go out",
            metrics.mail_waits.clone(),
        );
        registry.register(
            "password_hash_places",
            "How many passwords can be hashed or wait for it; who comes then is turned away",
            metrics.hash_places.clone(),
        );
        registry.register(
            "password_hashes_waiting",
            "Passwords that are hashed or wait for it",
            metrics.hashes_waiting.clone(),
        );
        metrics.register_database(registry);
        metrics.payments.register(registry);
        metrics.watches.register(registry);
        metrics.subscriptions.register(registry);
        metrics.jobs.register(registry);
        self.registry = std::mem::take(registry);
    }

    /// Those of the database, and of the books in it.
    fn register_database(&self, registry: &mut Registry) {
        registry.register(
            "database_connections",
            "Connections of the pool, by state",
            self.connections.clone(),
        );
        registry.register(
            "ledger_differences",
            "What the last verification of the books on this replica found wrong",
            self.ledger_differences.clone(),
        );
        registry.register(
            "ledger_verified_timestamp_seconds",
            "When this replica last verified the books; 0 where it has not yet",
            self.ledger_verified.clone(),
        );
    }

    /// Lets what can be counted begin at 0, so that the first is seen as a rise.
    fn begin(&self) {
        for name in ["accepted", "refused"] {
            drop(self.logins.get_or_create(&Named { name }));
        }
        for name in [
            "user",
            "address",
            "register",
            "register-email",
            "resend-email",
            "forgot-email",
            "change-email",
            "own-password",
        ] {
            drop(self.rate_limited.get_or_create(&Named { name }));
        }
        for kind in Kind::ALL.iter().map(|kind| kind.as_str()) {
            for outcome in ["sent", "failed", "dead", "discarded"] {
                drop(self.mails.get_or_create(&MailLabels { kind, outcome }));
            }
        }
    }

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

    /// A mail was taken, so long after its cause.
    pub fn mail_took(&self, delay: SignedDuration) {
        self.mail_delay.observe(delay.as_secs_f64().max(0.0));
    }

    /// How mails stand.
    pub fn mails_stand(&self, queue: &crate::mail::store::Queue) {
        for (name, count) in queue.by_status {
            self.mails_by_status.get_or_create(&Named { name }).set(count);
        }
        self.mail_waits.set(queue.oldest_pending_seconds);
    }

    /// The books were verified, and so much was wrong.
    pub fn books_verified(&self, differences: usize, at: Timestamp) {
        self.ledger_differences.set(i64::try_from(differences).unwrap_or(i64::MAX));
        self.ledger_verified.set(at.as_second());
    }

    /// All of them as text, with the state of now of the pool, of what hashes passwords and of what is kept of the cluster.
    pub fn render(&self, pool: &sqlx::PgPool, hasher: &Hasher, watches: &Watches) -> String {
        self.watches.stand(watches);
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.hashes_waiting.set(number(hasher.waiting()));
        self.hash_places.set(number(hasher.places()));
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
