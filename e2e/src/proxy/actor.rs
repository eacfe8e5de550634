//! An actor: whether it is alive, the connections it has, its port.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{ProxyError, upstream::Upstream};

/// Kills the process of an actor; called with the actor's name.
pub type OnCrash = Arc<dyn Fn(&str) + Send + Sync>;

pub(super) struct Actor {
    pub(super) name: Arc<str>,
    pub(super) upstream: Upstream,
    /// Cancelling it cuts the connections of the actor; `None` while the actor is dead.
    life: watch::Sender<Option<CancellationToken>>,
    on_crash: Mutex<Option<OnCrash>>,
}

impl Actor {
    pub(super) fn new(name: Arc<str>, upstream: Upstream) -> Self {
        let life = watch::Sender::new(Some(CancellationToken::new()));
        Self { name, upstream, life, on_crash: Mutex::new(None) }
    }

    /// The token of the connections made now, unless the actor is dead.
    pub(super) fn life(&self) -> Option<CancellationToken> {
        self.life.borrow().clone()
    }

    /// Cuts all connections.
    pub(super) fn cut(&self) {
        self.life.send_modify(|life| {
            if let Some(token) = life {
                token.cancel();
                *life = Some(CancellationToken::new());
            }
        });
    }

    /// Lets nothing pass any more, has the process killed, then cuts its connections: a process that is
    /// still alive would notice the cut.
    pub(super) fn crash(&self) {
        let Some(token) = self.life.send_replace(None) else { return };
        let on_crash = self.on_crash.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(kill) = on_crash {
            kill(&self.name);
        }
        token.cancel();
    }

    fn revive(&self) {
        self.life.send_if_modified(|life| {
            let dead = life.is_none();
            life.get_or_insert_default();
            dead
        });
    }
}

/// The way of an actor to the API server, and the means to take it away.
#[derive(Clone)]
pub struct ActorPort {
    /// Where the actor finds its API server: `http://127.0.0.1:PORT`.
    pub url: String,
    /// The same as an address.
    pub address: SocketAddr,
    pub(super) actor: Arc<Actor>,
}

impl ActorPort {
    /// The name in the log.
    pub fn name(&self) -> &str {
        &self.actor.name
    }

    /// What kills the process when a rule crashes the actor. It is called from within the proxy and has to
    /// return at once; when it returns the process must be unable to act.
    pub fn on_crash(&self, kill: impl Fn(&str) + Send + Sync + 'static) {
        *self.actor.on_crash.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(kill));
    }

    /// Crashes the actor as a rule would.
    pub fn crash(&self) {
        self.actor.crash();
    }

    /// Lets a crashed actor connect again.
    pub fn revive(&self) {
        self.actor.revive();
    }

    /// Cuts all connections of the actor, watches included; it may connect again at once.
    pub fn cut(&self) {
        self.actor.cut();
    }

    /// Whether the actor has crashed and has not been revived.
    pub fn is_crashed(&self) -> bool {
        self.actor.life().is_none()
    }

    /// Waits until the actor has crashed.
    ///
    /// # Errors
    /// If it hasn't within `bound`.
    pub async fn wait_crashed(&self, bound: Duration) -> Result<(), ProxyError> {
        let mut life = self.actor.life.subscribe();
        let crashed = tokio::time::timeout(bound, life.wait_for(Option::is_none)).await;
        crashed.map(|_| ()).map_err(|_| ProxyError::TooLate { awaited: "the crash of an actor", bound })
    }
}

impl std::fmt::Debug for ActorPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}", self.name(), self.url)
    }
}
