//! What the watches have told about child objects, by owner, together with the answers to our own writes, so that
//! the next reconcile never sees less than what it wrote.

use crate::{
    kinds::Kind,
    observed::{Child, Key, Owner},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

/// How long a write of ours that no watch has confirmed outlives a relist that doesn't know it, and how long it is
/// remembered that an object is gone.
const UNCONFIRMED: Duration = Duration::from_secs(30);

/// Child objects by key and by owner.
#[derive(Debug, Default)]
pub struct ChildCache {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    objects: HashMap<Key, Entry>,
    by_owner: HashMap<Owner, BTreeSet<Key>>,
    /// The volume claims of a namespace, whosever they are.
    claims: HashMap<String, BTreeSet<Key>>,
    synced: HashSet<Kind>,
    /// The uids of which a watch has said that they are gone: an answer that comes late does not bring them back.
    gone: HashMap<String, Instant>,
}

#[derive(Debug)]
struct Entry {
    child: Arc<Child>,
    /// When we wrote it, until a watch has told of it.
    written: Option<Instant>,
    /// Whether we asked for its deletion: it counts as terminating even before the watch says so.
    deleted: bool,
    /// Whether a relist did not know it though we had just written it.
    unlisted: bool,
}

impl ChildCache {
    /// The children of an owner, ordered by key.
    pub fn of(&self, owner: &Owner) -> Vec<Arc<Child>> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let keys = inner.by_owner.get(owner);
        keys.into_iter()
            .flatten()
            .filter_map(|key| inner.objects.get(key))
            .map(|entry| Arc::clone(&entry.child))
            .collect()
    }

    /// The object at a place, whosever it is.
    pub fn get(&self, key: &Key) -> Option<Arc<Child>> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.objects.get(key).map(|entry| Arc::clone(&entry.child))
    }

    /// The volume claims of a namespace, whosever they are, ordered by name.
    pub fn claims_in(&self, namespace: &str) -> Vec<Arc<Child>> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let keys = inner.claims.get(namespace);
        keys.into_iter()
            .flatten()
            .filter_map(|key| inner.objects.get(key))
            .map(|entry| Arc::clone(&entry.child))
            .collect()
    }

    /// Everything of a kind in a namespace that `wanted` keeps.
    pub fn select(&self, kind: Kind, wanted: impl Fn(&Child) -> bool) -> Vec<Arc<Child>> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<Arc<Child>> = inner
            .objects
            .values()
            .filter(|entry| entry.child.key.kind == kind && wanted(&entry.child))
            .map(|entry| Arc::clone(&entry.child))
            .collect();
        found.sort_by(|a, b| a.key.cmp(&b.key));
        found
    }

    /// How many objects are kept of each kind.
    pub fn counts(&self) -> BTreeMap<Kind, usize> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let mut counts: BTreeMap<Kind, usize> = Kind::WATCHED.into_iter().map(|kind| (kind, 0)).collect();
        for key in inner.objects.keys() {
            *counts.entry(key.kind).or_default() += 1;
        }
        counts
    }

    /// Whether every watched kind was listed at least once.
    pub fn is_synced(&self) -> bool {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        Kind::WATCHED.iter().all(|kind| inner.synced.contains(kind))
    }

    /// The kinds that were not listed yet, for the readiness answer.
    pub fn unsynced(&self) -> Vec<Kind> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        Kind::WATCHED.into_iter().filter(|kind| !inner.synced.contains(kind)).collect()
    }

    /// Takes what a watch told; the owners whose reconcile this concerns, where anything of interest changed: the old one,
    /// too, where the owner did.
    pub fn seen(&self, child: Child) -> Vec<Owner> {
        self.put(child, None)
    }

    /// Takes the answer to a write of ours.
    pub fn wrote(&self, child: Child, at: Instant) {
        self.put(child, Some(at));
    }

    fn put(&self, mut child: Child, written: Option<Instant>) -> Vec<Owner> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if written.is_some() && inner.gone.contains_key(&child.uid) {
            return Vec::new();
        }
        let mut before = None;
        let mut changed = true;
        let mut deleted = false;
        if let Some(old) = inner.objects.get(&child.key) {
            if old.child.version > child.version {
                return Vec::new();
            }
            deleted = old.deleted && old.child.uid == child.uid;
            child.terminating |= deleted;
            changed = !old.child.says_the_same_as(&child);
            let (key, owner) = (old.child.key.clone(), old.child.owner.clone());
            if owner != child.owner {
                inner.unlink(&key, owner.as_ref());
                before = owner;
            }
        }
        let owner = child.owner.clone();
        if let Some(owner) = &owner {
            inner.by_owner.entry(owner.clone()).or_default().insert(child.key.clone());
        }
        if child.key.kind == Kind::PersistentVolumeClaim {
            inner.claims.entry(child.key.namespace.clone()).or_default().insert(child.key.clone());
        }
        inner
            .objects
            .insert(child.key.clone(), Entry { child: Arc::new(child), written, deleted, unlisted: false });
        if changed { owner.into_iter().chain(before).collect() } else { Vec::new() }
    }

    /// Notes that we asked for an object's deletion, and that its uid is gone where the answer says so.
    pub fn deleted(&self, key: &Key, uid: &str) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = inner.objects.get_mut(key).filter(|entry| entry.child.uid == uid) {
            entry.deleted = true;
            entry.child = Arc::new(Child { terminating: true, ..(*entry.child).clone() });
        }
    }

    /// Takes a watch's word that an object is gone; the owner whose reconcile this concerns.
    pub fn gone(&self, child: &Child) -> Option<Owner> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.gone.insert(child.uid.clone(), Instant::now());
        let entry = inner.objects.get(&child.key)?;
        if entry.child.uid != child.uid {
            return None;
        }
        inner.remove(&child.key)
    }

    /// Takes a whole list of a kind; the owners of what changed or vanished.
    pub fn listed(&self, kind: Kind, children: Vec<Child>, now: Instant) -> Vec<Owner> {
        let present: HashSet<Key> = children.iter().map(|child| child.key.clone()).collect();
        let mut owners: Vec<Owner> = children.into_iter().flat_map(|child| self.seen(child)).collect();
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let mut vanished = Vec::new();
        for (key, entry) in
            inner.objects.iter_mut().filter(|(key, _)| key.kind == kind && !present.contains(*key))
        {
            let fresh =
                !entry.deleted && entry.written.is_some_and(|at| now.duration_since(at) < UNCONFIRMED);
            if fresh {
                entry.unlisted = true;
            } else {
                vanished.push(key.clone());
            }
        }
        owners.extend(vanished.iter().filter_map(|key| inner.remove(key)));
        inner.synced.insert(kind);
        owners
    }
}

impl ChildCache {
    /// Drops what a relist did not know and no watch has told of since; the owners of it.
    pub fn drop_phantoms(&self, now: Instant) -> Vec<Owner> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.gone.retain(|_, at| now.duration_since(*at) < UNCONFIRMED * 4);
        let is_old = |entry: &Entry| entry.written.is_none_or(|at| now.duration_since(at) >= UNCONFIRMED);
        let phantoms: Vec<Key> = inner
            .objects
            .iter()
            .filter(|(_, entry)| entry.unlisted && is_old(entry))
            .map(|(key, _)| key.clone())
            .collect();
        phantoms.iter().filter_map(|key| inner.remove(key)).collect()
    }
}

impl Inner {
    fn remove(&mut self, key: &Key) -> Option<Owner> {
        let owner = self.objects.remove(key)?.child.owner.clone();
        if let Some(claims) = self.claims.get_mut(&key.namespace) {
            claims.remove(key);
            if claims.is_empty() {
                self.claims.remove(&key.namespace);
            }
        }
        self.unlink(key, owner.as_ref());
        owner
    }

    fn unlink(&mut self, key: &Key, owner: Option<&Owner>) {
        let Some(owner) = owner else { return };
        if let Some(keys) = self.by_owner.get_mut(owner) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_owner.remove(owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::State;

    fn child(name: &str, version: u64) -> Child {
        Child {
            key: Key { kind: Kind::Service, namespace: "n".into(), name: name.into() },
            owner: Some(Owner::Instance("i".into())),
            uid: format!("uid-{name}"),
            version,
            hash: None,
            digest: None,
            inputs: None,
            way_in: None,
            component: None,
            data: None,
            tenant: None,
            terminating: false,
            hands_off: false,
            state: State::Plain,
        }
    }

    fn names(cache: &ChildCache) -> Vec<String> {
        cache.of(&Owner::Instance("i".into())).iter().map(|child| child.key.name.clone()).collect()
    }

    #[test]
    fn the_claims_of_a_namespace_are_known_whosever_they_are() {
        let cache = ChildCache::default();
        let claim = |name: &str, owner| Child {
            key: Key { kind: Kind::PersistentVolumeClaim, namespace: "n".into(), name: name.into() },
            owner,
            ..child(name, 1)
        };
        cache.seen(claim("b", None));
        cache.seen(claim("a", Some(Owner::Instance("gone".into()))));
        cache.seen(child("no-claim", 1));
        let names = |cache: &ChildCache| -> Vec<String> {
            cache.claims_in("n").iter().map(|claim| claim.key.name.clone()).collect()
        };
        assert_eq!(names(&cache), ["a", "b"]);
        cache.gone(&claim("a", None));
        assert_eq!(names(&cache), ["b"]);
    }

    #[test]
    fn an_older_event_does_not_undo_our_own_write() {
        let cache = ChildCache::default();
        cache.wrote(Child { hash: Some("new".into()), ..child("a", 9) }, Instant::now());
        assert_eq!(cache.seen(Child { hash: Some("old".into()), ..child("a", 8) }), []);
        assert_eq!(cache.of(&Owner::Instance("i".into()))[0].hash.as_deref(), Some("new"));
    }

    #[test]
    fn the_echo_of_our_own_write_wakes_nobody() {
        let cache = ChildCache::default();
        cache.wrote(child("a", 9), Instant::now());
        assert_eq!(cache.seen(child("a", 9)), []);
        assert_eq!(
            cache.seen(Child { hash: Some("drift".into()), ..child("a", 10) }),
            [Owner::Instance("i".into())]
        );
    }

    #[test]
    fn who_lets_a_child_go_is_woken_as_well() {
        let cache = ChildCache::default();
        let tenant = Owner::Tenant("t".into());
        cache.seen(Child { owner: Some(tenant.clone()), ..child("a", 1) });
        assert_eq!(cache.seen(child("a", 2)), [Owner::Instance("i".into()), tenant]);
    }

    #[test]
    fn a_relist_forgets_what_is_gone_but_not_what_was_just_written() {
        let cache = ChildCache::default();
        let now = Instant::now();
        cache.seen(child("gone", 1));
        cache.wrote(child("fresh", 5), now);
        cache.listed(Kind::Service, vec![child("here", 3)], now);
        assert_eq!(names(&cache), ["fresh", "here"]);
        cache.listed(Kind::Service, vec![child("here", 3)], now + UNCONFIRMED * 2);
        assert_eq!(names(&cache), ["here"]);
    }

    #[test]
    fn a_phantom_does_not_outlive_its_doubt() {
        let cache = ChildCache::default();
        let now = Instant::now();
        cache.wrote(child("never-listed", 5), now);
        cache.wrote(child("deleted", 5), now);
        cache.deleted(&child("deleted", 5).key, "uid-deleted");
        cache.listed(Kind::Service, vec![], now);
        assert_eq!(names(&cache), ["never-listed"]);
        assert!(cache.drop_phantoms(now).is_empty());
        assert_eq!(cache.drop_phantoms(now + UNCONFIRMED).len(), 1);
        assert!(names(&cache).is_empty());
    }

    #[test]
    fn an_answer_that_comes_after_the_end_brings_nothing_back() {
        let cache = ChildCache::default();
        cache.seen(child("a", 1));
        cache.gone(&child("a", 2));
        cache.wrote(child("a", 2), Instant::now());
        assert!(names(&cache).is_empty());
    }

    #[test]
    fn what_we_deleted_stays_terminating_whatever_late_events_say() {
        let cache = ChildCache::default();
        cache.seen(child("a", 1));
        cache.deleted(&child("a", 1).key, "uid-a");
        cache.seen(child("a", 2));
        assert!(cache.of(&Owner::Instance("i".into()))[0].terminating);
        assert!(cache.gone(&child("a", 3)).is_some() && names(&cache).is_empty());
    }
}
