//! Following a kind: a list in pages, then watch after watch, with growing pauses where the cluster is away.

use super::{Cache, Contents, Key, Watched, metrics::Metrics};
use crate::random;
use futures::{StreamExt as _, TryStreamExt as _};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DynamicObject, ListParams, ObjectList, WatchEvent, WatchParams},
    core::ApiResource,
};
use std::time::{Duration, Instant};

/// How long one watch lasts, in seconds.
const WATCH_SECONDS: u32 = 12;
/// How long one watch may last with what is around it, and a page of a list.
pub(in crate::cluster) const BOUND: Duration = Duration::from_secs(20);
/// Objects of a page of a list.
const PAGE: u32 = 500;
/// The pause after the first failure; it doubles with each.
const PAUSE: Duration = Duration::from_millis(500);
/// What has lasted so long is no failure of the server's to be patient about.
const LASTS: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(10);

/// Why a kind can't be followed right now.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    /// It took too long.
    #[error("the cluster did not answer in time")]
    TimedOut,
    /// The API server does not go on from where we are.
    #[error("the watch can't go on: {0}")]
    Over(String),
    /// The cluster says no, or can't be reached.
    #[error(transparent)]
    Kube(#[from] Box<kube::Error>),
}

impl FollowError {
    /// Whether only a new list helps: the API server itself said no.
    fn is_over(&self) -> bool {
        match self {
            Self::Over(_) => true,
            Self::Kube(error) => matches!(&**error, kube::Error::Api(_)),
            Self::TimedOut => false,
        }
    }
}

fn failed(error: kube::Error) -> FollowError {
    FollowError::Kube(Box::new(error))
}

impl<K: Watched> Cache<K> {
    /// Reads everything, page by page, and says from which version to watch.
    async fn list(&self, api: &Api<DynamicObject>) -> Result<String, FollowError> {
        let (mut contents, mut params) = (Contents::default(), ListParams::default().limit(PAGE));
        loop {
            let page = tokio::time::timeout(BOUND, api.list(&params)).await;
            let ObjectList { items, metadata, .. } =
                page.map_err(|_| FollowError::TimedOut)?.map_err(failed)?;
            for object in items.into_iter().filter_map(read) {
                contents.put(object);
            }
            let Some(token) = metadata.continue_.filter(|token| !token.is_empty()) else {
                self.replace(contents);
                return Ok(metadata.resource_version.unwrap_or_default());
            };
            params.continue_token = Some(token);
        }
    }

    /// Follows changes from a version on, as long as one watch lasts.
    async fn watch(&self, api: &Api<DynamicObject>, version: &mut String) -> Result<(), FollowError> {
        let params = WatchParams::default().timeout(WATCH_SECONDS);
        let from = version.clone();
        let watching = async {
            let mut events = api.watch(&params, &from).await.map_err(failed)?.boxed();
            self.heard();
            while let Some(event) = events.try_next().await.map_err(failed)? {
                match event {
                    WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                        version.clone_from(&object.resource_version().unwrap_or_default());
                        let key = Key::of(&object);
                        self.change(read(object).ok_or(key));
                    }
                    WatchEvent::Deleted(object) => {
                        version.clone_from(&object.resource_version().unwrap_or_default());
                        self.change(Err(Key::of(&object)));
                    }
                    WatchEvent::Bookmark(bookmark) => {
                        version.clone_from(&bookmark.metadata.resource_version);
                        self.heard();
                    }
                    WatchEvent::Error(status) => return Err(FollowError::Over(status.message.clone())),
                }
            }
            Ok(())
        };
        tokio::time::timeout(BOUND, watching).await.map_err(|_| FollowError::TimedOut)?
    }

    /// Follows the kind for ever.
    pub(super) async fn follow(&self, client: Client, metrics: &Metrics) {
        let api = Api::<DynamicObject>::all_with(client, &ApiResource::erase::<K>(&()));
        let kind = K::kind(&());
        let (mut version, mut pause) = (None, PAUSE);
        loop {
            let (begun, is_list) = (Instant::now(), version.is_none());
            let done = match &mut version {
                None => {
                    metrics.listed(&kind);
                    self.list(&api).await.map(|from| version = Some(from))
                }
                Some(from) => self.watch(&api, from).await,
            };
            let has_lasted = begun.elapsed() >= LASTS;
            if has_lasted {
                pause = PAUSE;
            }
            match done {
                Ok(()) if is_list || has_lasted => continue,
                // Nobody is asked without end.
                Ok(()) => {}
                Err(error) => {
                    metrics.failed(&kind);
                    tracing::warn!(%kind, %error, "the cluster can't be followed; it is tried again");
                    version = version.filter(|_| !error.is_over());
                }
            }
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(LONGEST);
        }
    }
}

/// Half of a pause or up to the whole of it, so that replicas do not come all at once.
fn jittered(pause: Duration) -> Duration {
    let [byte] = random::bytes::<1>();
    pause / 2 + pause / 512 * u32::from(byte)
}

/// An object as this version knows it. One that it can't read is as good as none, and keeps nobody from the others.
fn read<K: Watched>(mut object: DynamicObject) -> Option<K> {
    object.metadata.managed_fields = None;
    let (kind, name) = (K::kind(&()), object.name_any());
    let parsed = object.try_parse();
    parsed
        .inspect_err(|error| tracing::warn!(%kind, name, %error, "a resource can't be read, and is left out"))
        .ok()
}
