//! The fault proxy: stands between an actor (a program with a Kubernetes client, or `kubectl`) and the real
//! API server, writes down every call, and disturbs the ones it is told to.
//!
//! Every actor has a loopback port of its own, by which the log knows it. Credentials pass through, so that
//! the API server's own RBAC decides.
//!
//! ```no_run
//! use std::time::Duration;
//! use e2e::proxy::{Action, FaultProxy, Mark, Matcher, ProxyConfig, Rule, Verb};
//!
//! # async fn story(ca_pem: &[u8]) -> anyhow::Result<()> {
//! let proxy = FaultProxy::start(ProxyConfig::new("https://127.0.0.1:6443").ca_pem(ca_pem))?;
//! let operator = proxy.actor("operator")?;
//! // … start the operator with `operator.url` as its API server …
//! operator.on_crash(|_| { /* kill -9 */ });
//!
//! let deployments = Matcher::any().actor("operator").verb(Verb::Patch).resource("apps", "deployments");
//! let rule = proxy.add_rule(Rule::new(deployments, Action::CrashAfter));
//! rule.wait_hits(1, Duration::from_secs(30)).await?;
//! operator.wait_crashed(Duration::from_secs(5)).await?;
//! operator.revive();
//! // … start it again …
//! let own = Matcher::any().actor("operator").without_leases();
//! proxy.log().wait_quiet(&own, Duration::from_secs(60), Duration::from_secs(120)).await?;
//! assert!(proxy.log().writes(Mark::START, &own).len() < 20);
//! # Ok(())
//! # }
//! ```

mod actor;
mod body;
mod call;
mod event;
mod handle;
mod log;
mod matcher;
mod parse;
mod query;
mod rule;
mod rules;
mod server;
mod status;
#[cfg(test)]
mod tests;
mod upstream;
mod watch;

use std::{
    collections::HashMap,
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::Uri;
use rustls::ClientConfig;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::{actor::Actor, handle::Room, rules::Rules, upstream::Upstream};
pub use self::{
    actor::{ActorPort, OnCrash},
    call::{Call, ObjectKey, Outcome, Preconditions, Request, Verb},
    log::{CallLog, Mark},
    matcher::Matcher,
    query::Step,
    rule::{Action, Lost, Rule, RuleId},
    rules::RuleHandle,
    status::Reply,
};

/// What can go wrong with the proxy itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The upstream has no scheme or no host.
    #[error("not the address of an API server: {0}")]
    BadUpstream(String),
    /// The CA can't be read.
    #[error("the CA is not PEM")]
    BadPem(#[source] rustls::pki_types::pem::Error),
    /// The CA can't be used.
    #[error("the CA can't be used")]
    BadCa(#[source] rustls::Error),
    /// There is no certificate in the CA's PEM.
    #[error("the CA holds no certificate")]
    NoCa,
    /// A token can't be sent in a header.
    #[error("the token holds a character no header may have")]
    BadToken,
    /// No port could be had.
    #[error("no port for an actor")]
    Listen(#[from] std::io::Error),
    /// What was awaited didn't happen in time.
    #[error("waited {bound:?} for {awaited} in vain")]
    TooLate {
        /// What was awaited.
        awaited: &'static str,
        /// For how long.
        bound: Duration,
    },
    /// Writes went on.
    #[error("not quiet within {bound:?}, last write: {last}")]
    NotQuiet {
        /// For how long quiet was awaited.
        bound: Duration,
        /// The last write.
        last: String,
    },
}

/// What an actor is told when the API server can't be connected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unreachable {
    /// A 502 `Status`, as by a load balancer.
    #[default]
    BadGateway,
    /// A connection reset, as without one.
    Reset,
}

/// What the proxy stands before.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    upstream: String,
    ca_pem: Option<Vec<u8>>,
    keep_bodies: bool,
    unreachable: Unreachable,
}

impl ProxyConfig {
    /// Scheme, host and port of the API server.
    pub fn new(upstream: impl Into<String>) -> Self {
        Self {
            upstream: upstream.into(),
            ca_pem: None,
            keep_bodies: false,
            unreachable: Unreachable::default(),
        }
    }

    /// The CA of the API server's certificate.
    #[must_use]
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_pem = Some(pem.into());
        self
    }

    /// Keeps the bodies of calls in the log, but for those of Secrets and tokens.
    #[must_use]
    pub fn keep_bodies(mut self) -> Self {
        self.keep_bodies = true;
        self
    }

    /// What an actor is told when the API server can't be connected to.
    #[must_use]
    pub fn unreachable(mut self, unreachable: Unreachable) -> Self {
        self.unreachable = unreachable;
        self
    }
}

/// A running proxy. Dropping it closes every port and cuts every connection.
pub struct FaultProxy {
    config: ProxyConfig,
    origin: Uri,
    tls: ClientConfig,
    log: CallLog,
    rules: Rules,
    actors: Mutex<HashMap<String, ActorPort>>,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl FaultProxy {
    /// Prepares the way to the API server, which need not run yet.
    ///
    /// # Errors
    /// If the address or the CA can't be used.
    pub fn start(config: ProxyConfig) -> Result<Self, ProxyError> {
        let bad = || ProxyError::BadUpstream(config.upstream.clone());
        let uri: Uri = config.upstream.parse().map_err(|_| bad())?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else { return Err(bad()) };
        let origin = Uri::builder().scheme(scheme.clone()).authority(authority.clone()).path_and_query("/");
        let origin = origin.build().map_err(|_| bad())?;
        let tls = upstream::tls(config.ca_pem.as_deref())?;
        let stop = CancellationToken::new();
        Ok(Self {
            origin,
            tls,
            log: CallLog::new(),
            rules: Rules::new(),
            actors: Mutex::default(),
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
            config,
        })
    }

    /// The port of the actor of this name, opened when first asked for. To be called within a runtime.
    ///
    /// # Errors
    /// If no port can be had.
    pub fn actor(&self, name: &str) -> Result<ActorPort, ProxyError> {
        self.open(name, None)
    }

    /// The same, giving calls without credentials this bearer token: `kubectl` sends none of its own to a
    /// server without TLS.
    ///
    /// # Errors
    /// If no port can be had or the token can't be sent.
    pub fn actor_with_token(&self, name: &str, token: &str) -> Result<ActorPort, ProxyError> {
        self.open(name, Some(token))
    }

    fn open(&self, name: &str, token: Option<&str>) -> Result<ActorPort, ProxyError> {
        let mut actors = self.actors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(port) = actors.get(name) {
            return Ok(port.clone());
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let upstream = Upstream::new(self.origin.clone(), self.tls.clone(), token)?;
        let actor = Arc::new(Actor::new(name.into(), upstream));
        let room = Room {
            actor: Arc::clone(&actor),
            log: self.log.clone(),
            rules: self.rules.clone(),
            keep_bodies: self.config.keep_bodies,
            unreachable: self.config.unreachable,
        };
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::spawn(server::accept(listener, Arc::new(room), self.stop.clone()));
        let port = ActorPort { url: format!("http://{address}"), address, actor };
        actors.insert(name.to_owned(), port.clone());
        Ok(port)
    }

    /// The log of all calls.
    pub fn log(&self) -> &CallLog {
        &self.log
    }

    /// Puts a rule in force. Rules about watches also act on those already open.
    pub fn add_rule(&self, rule: Rule) -> RuleHandle {
        self.rules.add(rule)
    }

    /// Ends all rules: what hangs is passed on, what is held is delivered.
    pub fn clear_rules(&self) {
        self.rules.clear();
    }
}
