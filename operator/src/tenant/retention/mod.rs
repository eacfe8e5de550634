//! What becomes of data whose instance is gone: a pure function of what is noted on it, of the orders about it, and of two
//! clocks. Nothing here is remembered but what stands on the objects and in the tenant's status.

mod condition;
mod group;
#[cfg(test)]
mod tests;

use crate::{
    apply::Seen,
    observed::{Child, Key, Owner, Release},
    settings::RetentionBounds,
};
pub use condition::{APART, CLOCK_DISAGREES, DATA_ORPHANED, PURGE_BLOCKED};
use crds::{
    Quantity, ServiceInstance, TenantQuota,
    conditions::Said,
    quota::{Orphaned, Retained, RetainedState},
};
pub(super) use group::secret_key;
use group::{Group, Secret};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// How many kept data the list may have by its schema.
const MOST_RETAINED: usize = 1000;
/// How many orphans the list may have by its schema.
const MOST_ORPHANED: usize = 100;
/// Of how many data the Secrets are read in one look; the others have their turn once these are done.
const MOST_LOOKED_AT: usize = 100;

/// What time it is, by two clocks that must agree before anything is destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// The operator's own.
    pub operator: Timestamp,
    /// The API server's; none where it was not asked.
    pub server: Option<Timestamp>,
}

impl Clocks {
    /// Whether they are at most so far apart.
    pub fn agree(&self, tolerance: SignedDuration) -> bool {
        self.server.is_some_and(|server| self.operator.duration_since(server).abs() <= tolerance)
    }

    /// Whether it is later than that by both.
    pub fn are_past(&self, at: Timestamp) -> bool {
        self.operator >= at && self.server.is_some_and(|server| server >= at)
    }
}

/// The Secret of some data, as it was read live.
#[derive(Clone, Debug, PartialEq)]
pub struct SecretSeen {
    /// Where it is, its uid and version, whose it is.
    pub child: Child,
    /// What is noted on it.
    pub release: Release,
}

/// What only a look past the caches tells.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// The claims that a pod which has not ended mounts.
    pub mounted: BTreeSet<String>,
    /// The Secrets that were asked for, by data id; none where there is none.
    pub secrets: BTreeMap<String, Option<SecretSeen>>,
}

/// What is known of a tenant's data.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The tenant: its orders, and what it listed before.
    pub tenant: &'a TenantQuota,
    /// Every volume claim in its namespace that Nakhoda made.
    pub volumes: &'a [Arc<Child>],
    /// Every instance there, also those that are being deleted.
    pub instances: &'a [Arc<ServiceInstance>],
    /// What a look past the caches told; none where the rest is from the caches as well.
    pub live: Option<&'a Live>,
    /// The time.
    pub clocks: Clocks,
}

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The data that it is about.
    pub data_id: String,
    /// What is done.
    pub act: Act,
    /// What people are told once it is done: a reason and a sentence.
    pub tell: Option<(&'static str, String)>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Note something on an object, by a merge patch that names uid and version.
    Note {
        /// The volume claim or Secret.
        key: Key,
        /// The patch.
        patch: Value,
    },
    /// Delete an object in that very version.
    Delete {
        /// The volume claim or Secret.
        key: Key,
        /// Which it must still be.
        seen: Seen,
    },
}

/// The outcome.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// What is listed as retained.
    pub retained: Vec<Retained>,
    /// What is listed as nobody's.
    pub orphaned: Vec<Orphaned>,
    /// The condition about them.
    pub said: Vec<Said>,
    /// What is to be done now, in this order. Empty where a look is needed first.
    pub steps: Vec<Step>,
    /// Whether a look past the caches must come before anything is done or newly said.
    pub look: bool,
    /// The data whose Secrets that look must read.
    pub look_at: Vec<String>,
    /// When the clock alone may change something.
    pub look_again: Option<Timestamp>,
}

/// What becomes of one group of data.
#[derive(Clone, Debug, Default, PartialEq)]
struct Fate {
    entry: Option<Retained>,
    steps: Vec<Step>,
    look: bool,
    look_again: Option<Timestamp>,
    clocks_disagree: bool,
}

/// Works out what becomes of all data of a tenant.
pub fn judge(view: &View<'_>, bounds: &RetentionBounds) -> Judgement {
    let (groups, orphaned) = sort_out(view);
    let mut judgement = Judgement::default();
    let mut looked_at: Vec<(bool, Option<Timestamp>, String)> = Vec::new();
    let mut clocks_disagree = false;
    for group in groups {
        let Fate { entry, steps, look, look_again, clocks_disagree: apart } = group.fate(view, bounds);
        if look {
            let blocked = group.listed.is_some_and(|old| old.state == RetainedState::Blocked);
            let due = entry
                .as_ref()
                .and_then(|entry| entry.purge_at.as_ref().or(entry.keep_until.as_ref()).map(|t| t.0));
            looked_at.push((blocked, due, group.id.clone()));
        }
        judgement.retained.extend(entry);
        judgement.steps.extend(steps);
        judgement.look_again = [judgement.look_again, look_again].into_iter().flatten().min();
        clocks_disagree |= apart;
    }
    looked_at.sort();
    judgement.look_at = looked_at.into_iter().map(|(_, _, id)| id).take(MOST_LOOKED_AT).collect();
    list_orphans(view, orphaned, &mut judgement);
    judgement.look |= view.live.is_none() && !judgement.look_at.is_empty();
    judgement.said = vec![condition::said(&judgement.retained, &judgement.orphaned, clocks_disagree)];
    bound(&mut judgement.retained);
    judgement
}

/// Retained groups, and orphans, by data id. What was listed before and has no volume any more is a group as well: its Secret
/// may be left, and only the list tells of it.
fn sort_out<'a>(view: &View<'a>) -> (Vec<Group<'a>>, Vec<Orphaned>) {
    let mut by_id: BTreeMap<&str, Vec<&Child>> = BTreeMap::new();
    for volume in view.volumes {
        if let Some(id) = &volume.data {
            by_id.entry(id).or_default().push(volume);
        }
    }
    let before = view.tenant.status.as_ref().map_or(&[][..], |status| &status.retained);
    let listed: BTreeMap<&str, &Retained> = before.iter().map(|one| (one.data_id.as_str(), one)).collect();
    for id in listed.keys() {
        by_id.entry(id).or_default();
    }
    let living: BTreeSet<String> = view.instances.iter().filter_map(|instance| instance.uid()).collect();
    let (mut groups, mut orphans) = (Vec::new(), Vec::new());
    for (id, volumes) in by_id {
        if volumes.is_empty() || volumes.iter().any(|volume| has_release(volume)) {
            groups.push(Group {
                id: id.to_owned(),
                volumes,
                listed: listed.get(id).copied(),
                order: view.tenant.spec.retained.get(id).cloned().unwrap_or_default(),
                secret: view
                    .live
                    .and_then(|live| live.secrets.get(id))
                    .map_or(Secret::Unknown, |secret| secret.as_ref().map_or(Secret::None, Secret::There)),
            });
        } else if volumes.iter().any(|volume| !is_of_living(volume, &living)) {
            orphans.push(Orphaned {
                data_id: id.to_owned(),
                template: volumes[0].volume().map(|volume| volume.template.clone()).unwrap_or_default(),
                storage: storage(&volumes),
            });
        }
    }
    (groups, orphans)
}

fn has_release(volume: &Child) -> bool {
    volume.volume().is_some_and(|volume| volume.release.released_at.is_some() || volume.release.unreadable)
}

fn is_of_living(volume: &Child, living: &BTreeSet<String>) -> bool {
    matches!(&volume.owner, Some(Owner::Instance(uid)) if living.contains(uid))
}

fn storage(volumes: &[&Child]) -> Quantity {
    let sizes = volumes.iter().filter_map(|volume| volume.volume()).map(|volume| volume.requested);
    sizes.fold(Quantity::ZERO, Quantity::plus)
}

/// The caches of volumes and of instances are not of one moment, so whoever is newly called an orphan is looked for once more.
fn list_orphans(view: &View<'_>, mut orphaned: Vec<Orphaned>, judgement: &mut Judgement) {
    let before = view.tenant.status.as_ref().map_or(&[][..], |status| &status.orphaned);
    if view.live.is_none() {
        let all = orphaned.len();
        orphaned.retain(|one| before.iter().any(|old| old.data_id == one.data_id));
        judgement.look |= orphaned.len() < all && before.len() < MOST_ORPHANED;
    }
    orphaned.truncate(MOST_ORPHANED);
    judgement.orphaned = orphaned;
}

/// What is under way and what ends first is listed, so that nothing is destroyed that was not listed before.
fn bound(retained: &mut Vec<Retained>) {
    if retained.len() <= MOST_RETAINED {
        return;
    }
    let under_way = |one: &Retained| matches!(one.state, RetainedState::PurgeDue | RetainedState::Purging);
    let end = |one: &Retained| one.purge_at.as_ref().or(one.keep_until.as_ref()).map(|time| time.0);
    retained.sort_by_key(|one| (!under_way(one), end(one).is_none(), end(one)));
    retained.truncate(MOST_RETAINED);
    retained.sort_by(|a, b| a.data_id.cmp(&b.data_id));
}
