//! What the cluster has, kept here by watching it, so that reading asks nobody: templates, plans, tenants and instances.
//!
//! Each kind is listed in pages and then watched. A watch is short on purpose, so that every few seconds there is a word from the API
//! server also where nothing changes: how long ago the last one came is how old what is kept may be at most.

mod contents;
mod follow;
pub mod metrics;

pub use contents::{Change, Contents, Key};
pub(super) use follow::BOUND;

use super::{AWAY, NONE};
use crate::{http::problem::Problem, state::State};
use crds::{ServiceInstance, ServicePlan, ServiceTemplate, TenantQuota};
use kube::Resource;
use serde::de::DeserializeOwned;
use std::{
    fmt::Debug,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

/// How old what is shown may be.
pub const SHOWN: Duration = Duration::from_secs(30);
/// What is kept of changes for whoever is slow to read them.
const CHANGES: usize = 4096;

/// A kind of resource that is kept here.
pub trait Watched:
    Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug + Send + Sync + 'static
{
}

impl<K: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug + Send + Sync + 'static> Watched for K {}

/// What is kept of a kind, and how it came here.
#[derive(Clone, Debug)]
pub struct View<K> {
    /// The objects. Until everything was read once there are none.
    pub contents: Arc<Contents<K>>,
    /// How often everything was read as a whole.
    pub lists: u64,
    is_complete: bool,
    heard: Option<Instant>,
}

/// All objects of a kind, kept by watching them.
#[derive(Debug)]
pub struct Cache<K> {
    view: watch::Sender<View<K>>,
    changes: broadcast::Sender<Change>,
    away: &'static str,
}

impl<K: Watched> Cache<K> {
    fn new(away: &'static str) -> Self {
        let view = View { contents: Arc::default(), lists: 0, is_complete: false, heard: None };
        Self { view: watch::Sender::new(view), changes: broadcast::Sender::new(CHANGES), away }
    }

    /// Whether everything was read once.
    pub fn is_ready(&self) -> bool {
        self.view.borrow().is_complete
    }

    /// How long ago there was a word from the API server; none where there was none yet.
    pub fn age(&self) -> Option<Duration> {
        self.view.borrow().heard.map(|heard| heard.elapsed())
    }

    /// As it is known, however old that is: for what hardly changes.
    ///
    /// # Errors
    /// 503 until everything was read once.
    pub fn last_known(&self) -> Result<Arc<Contents<K>>, Problem> {
        let view = self.view.borrow();
        if !view.is_complete {
            return Err(Problem::unavailable(self.away));
        }
        Ok(Arc::clone(&view.contents))
    }

    /// As it is known, where that is no older than [`SHOWN`].
    ///
    /// # Errors
    /// 503 where it is older, or was never read.
    pub fn fresh(&self) -> Result<Arc<Contents<K>>, Problem> {
        if self.is_stale() { Err(Problem::unavailable(self.away)) } else { self.last_known() }
    }

    /// Whether what is known may be older than [`SHOWN`].
    pub fn is_stale(&self) -> bool {
        self.age().is_none_or(|age| age > SHOWN)
    }

    /// Everything that changes from now on. Whoever is too slow is told that something was missed, and must look at everything.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// What is kept, and a wake at each change of it.
    pub fn changed(&self) -> watch::Receiver<View<K>> {
        self.view.subscribe()
    }

    /// Waits until something is so of the object of a key (none: it is not there), for a time; whether it was.
    pub async fn wait_for(&self, key: &Key, is_so: impl Fn(Option<&K>) -> bool, bound: Duration) -> bool {
        let mut view = self.view.subscribe();
        let seen = view.wait_for(|view| view.is_complete && is_so(view.contents.get(key).map(|one| &**one)));
        matches!(tokio::time::timeout(bound, seen).await, Ok(Ok(_)))
    }

    /// Waits until an object is seen here as a write has left it, or later, or is gone; whether it was. What is read next sees the
    /// write then.
    pub async fn wait_to_see(&self, written: &impl Resource, bound: Duration) -> bool {
        let (uid, generation) = (written.meta().uid.clone(), written.meta().generation);
        let is_seen = |object: Option<&K>| {
            object.is_some_and(|object| object.meta().uid == uid && object.meta().generation >= generation)
        };
        self.wait_for(&Key::of(written), is_seen, bound).await
    }

    fn standing(&self, kind: &'static str) -> Standing {
        let view = self.view.borrow();
        let age = view.heard.map(|heard| heard.elapsed());
        Standing { kind, is_ready: view.is_complete, age, objects: view.contents.len() }
    }

    fn heard(&self) {
        self.view.send_if_modified(|view| {
            view.heard = Some(Instant::now());
            false
        });
    }

    fn tell(&self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            // Nobody listens: nobody needs to know.
            drop(self.changes.send(change));
        }
    }

    fn replace(&self, contents: Contents<K>) {
        let before = Arc::clone(&self.view.borrow().contents);
        let changes = contents.since(&before);
        self.view.send_modify(|view| {
            let (contents, lists) = (Arc::new(contents), view.lists + 1);
            *view = View { contents, lists, is_complete: true, heard: Some(Instant::now()) };
        });
        self.tell(changes);
    }

    /// Puts one in, or takes one out where there is only its key.
    fn change(&self, object: Result<K, Key>) {
        let mut change = None;
        self.view.send_modify(|view| {
            let contents = Arc::make_mut(&mut view.contents);
            change = match object {
                Ok(object) => Some(contents.put(object)),
                Err(key) => contents.take(&key),
            };
            view.heard = Some(Instant::now());
        });
        self.tell(change);
    }
}

/// How a kind is kept.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// Which.
    pub kind: &'static str,
    /// Whether everything was read once.
    pub is_ready: bool,
    /// How long ago there was a word from the API server.
    pub age: Option<Duration>,
    /// How many objects are kept.
    pub objects: usize,
}

impl Standing {
    /// Whether it is known, but may be older than [`SHOWN`].
    pub fn is_stale(&self) -> bool {
        self.is_ready && self.age.is_none_or(|age| age > SHOWN)
    }
}

/// All that is kept.
#[derive(Debug)]
pub struct Watches {
    /// Apps.
    pub templates: Cache<ServiceTemplate>,
    /// What is sold.
    pub plans: Cache<ServicePlan>,
    /// Tenants.
    pub tenants: Cache<TenantQuota>,
    /// What runs, of all tenants.
    pub instances: Cache<ServiceInstance>,
}

impl Watches {
    /// Nothing yet; without a cluster nothing ever.
    pub(super) fn new(has_cluster: bool) -> Self {
        let away = if has_cluster { AWAY } else { NONE };
        Self {
            templates: Cache::new(away),
            plans: Cache::new(away),
            tenants: Cache::new(away),
            instances: Cache::new(away),
        }
    }

    /// How each kind is kept.
    pub fn standing(&self) -> [Standing; 4] {
        let Self { templates, plans, tenants, instances } = self;
        [
            templates.standing("ServiceTemplate"),
            plans.standing("ServicePlan"),
            tenants.standing("TenantQuota"),
            instances.standing("ServiceInstance"),
        ]
    }
}

/// Keeps all of it until told to stop; without a cluster there is nothing to do.
pub async fn run(state: Arc<State>, stop: CancellationToken) {
    let Some(client) = state.cluster.watching.clone() else { return };
    let (Watches { templates, plans, tenants, instances }, metrics) =
        (&state.cluster.watches, &state.metrics.watches);
    let all = async {
        tokio::join!(
            templates.follow(client.clone(), metrics),
            plans.follow(client.clone(), metrics),
            tenants.follow(client.clone(), metrics),
            instances.follow(client.clone(), metrics),
        );
    };
    tokio::select! {
        () = all => {}
        () = stop.cancelled() => {}
    }
}
