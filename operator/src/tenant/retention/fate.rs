//! What becomes of one unit of data, and by which steps.

use super::{
    Act, Live, SecretSeen, Step, View,
    condition::APART,
    group::{Group, Secret},
    storage,
};
use crate::{
    apply::Seen,
    observed::{Child, Release},
    settings::RetentionBounds,
};
use crds::{
    ServiceInstance, labels, names,
    quota::{Retained, RetainedState},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

const UNREADABLE: &str = "What is noted on it about its release can't be read, so it is not destroyed. An administrator must \
                          correct its annotations nakhoda.dev/released-at and keep-until.";
const PARTLY: &str = "Only a part of its volumes is released, so it is not destroyed. If this lasts, an administrator must look \
                      at their annotations.";
const FOREIGN: &str = "The Secret of its name was not made by Nakhoda for it, so nothing is destroyed. An administrator must \
                       remove it.";
const HELD: &str = "Its Secret is not released, so it is not destroyed. If no instance is taking it up, an administrator must \
                    look at the Secret's annotations.";
const HANDS_OFF: &str = "The annotation nakhoda.dev/reconcile is disabled on a part of it, so it is not destroyed until an \
                         administrator removes that.";
const MOUNTED: &str = "A pod mounts it, so it is not destroyed. Whoever made the pod must remove it.";
const WANTED: &str = "An instance still has it, or names it in restoreFrom, so it is not destroyed until that instance is \
                      deleted.";
const VOID: &str = "The order to destroy it stood already when it was released, so it is none about this release. Take it back \
                    and give it anew to have it destroyed.";
/// How soon to look again where the next step waits only for the list to be written.
const AT_ONCE: SignedDuration = SignedDuration::from_millis(200);
/// How soon to look again where one clock is a little behind the other.
const SOON: SignedDuration = SignedDuration::from_secs(2);

/// What becomes of one unit of data.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fate {
    /// How it is listed; none: it is gone.
    pub(super) entry: Option<Retained>,
    /// What is to be done now.
    pub(super) steps: Vec<Step>,
    /// Whether it is worth to look past the caches.
    pub(super) look: bool,
    /// When the clock alone may change something.
    pub(super) look_again: Option<Timestamp>,
    /// Whether it is due by one clock, and the two are too far apart.
    pub(super) clocks_disagree: bool,
}

impl Group<'_> {
    /// What becomes of it.
    pub(super) fn fate(&self, view: &View<'_>, bounds: &RetentionBounds) -> Fate {
        let now = view.clocks.operator;
        let gone = match self.secret {
            Secret::Unknown => false,
            Secret::None => true,
            Secret::There(secret) => secret.release.released_at.is_none(),
        };
        if self.volumes.is_empty() && gone {
            return Fate::default();
        }
        if self.releases().any(|release| release.unreadable) {
            return self.says(RetainedState::Blocked, Some(UNREADABLE), None);
        }
        if self.volumes.iter().any(|volume| released_at(volume).is_none()) {
            return self.says(RetainedState::Blocked, Some(PARTLY), None);
        }
        let purge_at = self.purge_at(bounds);
        let is_due = purge_at.is_some_and(|at| now >= at);
        match self.secret {
            Secret::Unknown => self.by_caches(now, purge_at, is_due),
            Secret::There(secret) if !is_ours(secret, &self.id) => {
                self.says(RetainedState::Blocked, Some(FOREIGN), purge_at)
            }
            Secret::There(secret) if secret.release.released_at.is_none() => {
                self.says(RetainedState::Blocked, Some(HELD), purge_at)
            }
            Secret::There(secret) if secret.release.purge_begun => {
                self.go_on(view, bounds, Some(secret), purge_at)
            }
            _ if self.note_steps(view).is_some() => self.note(view, bounds, purge_at),
            _ if is_due => self.due(view, bounds, purge_at.unwrap_or(Timestamp::MAX)),
            _ => self.waits(now, purge_at),
        }
    }

    /// What the caches tell, and whether they make it worth to look past them.
    fn by_caches(&self, now: Timestamp, purge_at: Option<Timestamp>, is_due: bool) -> Fate {
        let before = self.listed.map(|old| old.state);
        let under_way = matches!(before, Some(RetainedState::PurgeDue | RetainedState::Purging));
        let notes = self.order_is_to_be_noted() || self.notes_are_to_be_taken_back();
        let look = is_due || under_way || notes || self.volumes.is_empty();
        let fate = match (before, self.listed) {
            (Some(state @ (RetainedState::Purging | RetainedState::Blocked)), Some(old)) if look => {
                let clocks_disagree = old.message.as_deref() == Some(APART);
                Fate { clocks_disagree, ..self.says(state, old.message.as_deref(), purge_at) }
            }
            _ if is_due => self.says(RetainedState::PurgeDue, None, purge_at),
            _ => self.waits(now, purge_at),
        };
        Fate { look, ..fate }
    }

    fn waits(&self, now: Timestamp, purge_at: Option<Timestamp>) -> Fate {
        let end = self.keep_until();
        let (state, message) = if self.is_ordered() {
            (RetainedState::PurgeOrdered, None)
        } else if purge_at.is_none() && end.is_some_and(|end| now >= end) {
            (RetainedState::Expired, self.void_message())
        } else {
            (RetainedState::Kept, self.void_message())
        };
        let next = purge_at.or(end).filter(|at| *at > now);
        Fate { look_again: next, ..self.says(state, message, purge_at) }
    }

    fn void_message(&self) -> Option<&'static str> {
        (self.order.purge && self.is_void()).then_some(VOID)
    }

    fn says(&self, state: RetainedState, message: Option<&str>, purge_at: Option<Timestamp>) -> Fate {
        let time = |at: Timestamp| Time(Timestamp::from_second(at.as_second()).unwrap_or(at));
        let first = self.volumes.first().and_then(|child| child.volume());
        let (template, plan, storage) = match (first, self.listed) {
            (Some(volume), _) => (volume.template.clone(), volume.plan.clone(), storage(&self.volumes)),
            (None, Some(old)) => (old.template.clone(), old.plan.clone(), old.storage),
            (None, None) => return Fate::default(),
        };
        let entry = Retained {
            data_id: self.id.clone(),
            template,
            plan,
            storage,
            released_at: self.released_at().map(time),
            keep_until: self.keep_until().map(time),
            purge_at: purge_at.map(time),
            state,
            message: message.map(str::to_owned),
        };
        Fate { entry: Some(entry), ..Fate::default() }
    }

    fn apart(&self, state: RetainedState, purge_at: Option<Timestamp>) -> Fate {
        Fate { clocks_disagree: true, ..self.says(state, Some(APART), purge_at) }
    }

    /// The notes about an order that are to be written, or to be taken off.
    fn note_steps(&self, view: &View<'_>) -> Option<Vec<Step>> {
        let annotations = |release: &Release| -> Option<Value> {
            if self.notes_are_to_be_taken_back() {
                let noted = release.order_is_void || release.purge_ordered_at.is_some();
                return noted
                    .then(|| json!({labels::PURGE_ORDERED_AT: null, labels::PURGE_ORDER_VOID: null}));
            }
            let server = view.clocks.server.filter(|_| self.order_is_to_be_noted())?;
            release.purge_ordered_at.is_none().then(|| json!({labels::PURGE_ORDERED_AT: server.to_string()}))
        };
        let steps: Vec<Step> = self
            .bearers()
            .into_iter()
            .filter_map(|(child, release)| Some(self.write(child, &annotations(release)?)))
            .collect();
        (!steps.is_empty()).then_some(steps)
    }

    /// An order begins to wait only by a time that both clocks know; taking one back waits for nothing.
    fn note(&self, view: &View<'_>, bounds: &RetentionBounds, purge_at: Option<Timestamp>) -> Fate {
        if self.order_is_to_be_noted() && !view.clocks.agree(bounds.clock_tolerance()) {
            return self.apart(RetainedState::Blocked, purge_at);
        }
        let steps = self.note_steps(view).unwrap_or_default();
        Fate { steps, ..self.waits(view.clocks.operator, purge_at) }
    }

    /// Its time is over by the operator's clock. It is begun only once the list has said so, since the list is how a
    /// beginning is found again whose volumes are gone.
    fn due(&self, view: &View<'_>, bounds: &RetentionBounds, purge_at: Timestamp) -> Fate {
        let now = view.clocks.operator;
        if !view.clocks.agree(bounds.clock_tolerance()) {
            return self.apart(RetainedState::Blocked, Some(purge_at));
        }
        if !view.clocks.are_past(purge_at) {
            let soon = now.checked_add(SOON).ok();
            return Fate { look_again: soon, ..self.waits(now, Some(purge_at)) };
        }
        if let Some(block) = self.block(view) {
            return self.says(RetainedState::Blocked, Some(block), Some(purge_at));
        }
        let is_listed = self
            .listed
            .is_some_and(|old| matches!(old.state, RetainedState::PurgeDue | RetainedState::Purging));
        if !is_listed {
            let next = now.checked_add(AT_ONCE).ok();
            return Fate { look_again: next, ..self.says(RetainedState::PurgeDue, None, Some(purge_at)) };
        }
        match self.secret {
            Secret::There(secret) => {
                let begun =
                    json!({labels::PURGE_BEGUN_AT: view.clocks.server.map(|server| server.to_string())});
                let steps = vec![self.write(&secret.child, &begun)];
                Fate { steps, ..self.says(RetainedState::Purging, None, Some(purge_at)) }
            }
            _ => self.go_on(view, bounds, None, Some(purge_at)),
        }
    }

    fn block(&self, view: &View<'_>) -> Option<&'static str> {
        let wanted =
            view.instances.iter().any(|instance| wants(instance, &self.id) && is_serious(instance, view));
        self.use_of(view).or_else(|| wanted.then_some(WANTED))
    }

    fn use_of(&self, view: &View<'_>) -> Option<&'static str> {
        let of_secret = matches!(self.secret, Secret::There(secret) if secret.child.hands_off);
        if of_secret || self.volumes.iter().any(|volume| volume.hands_off) {
            return Some(HANDS_OFF);
        }
        let mounted = |live: &Live| self.volumes.iter().any(|one| live.mounted.contains(&one.key.name));
        view.live.is_none_or(mounted).then_some(MOUNTED)
    }

    /// It has begun, so nobody can take it up any more: its volumes go first, and its Secret once the last of them is gone.
    fn go_on(
        &self,
        view: &View<'_>,
        bounds: &RetentionBounds,
        secret: Option<&SecretSeen>,
        purge_at: Option<Timestamp>,
    ) -> Fate {
        if !view.clocks.agree(bounds.clock_tolerance()) {
            return self.apart(RetainedState::Purging, purge_at);
        }
        if let Some(block) = self.use_of(view) {
            return self.says(RetainedState::Purging, Some(block), purge_at);
        }
        let left: Vec<&Child> = self.volumes.iter().copied().filter(|volume| !volume.terminating).collect();
        let mut steps: Vec<Step> = left.into_iter().map(|volume| self.delete(volume)).collect();
        match secret {
            Some(secret) if self.volumes.is_empty() => {
                let tell = self.tell();
                steps.push(Step { tell: Some(tell), ..self.delete(&secret.child) });
            }
            Some(_) => {}
            None => {
                if let Some(last) = steps.last_mut() {
                    last.tell = Some(self.tell());
                }
            }
        }
        Fate { steps, ..self.says(RetainedState::Purging, None, purge_at) }
    }

    fn tell(&self) -> (&'static str, String) {
        let why = if self.is_ordered() { "as it was ordered" } else { "since its time was over" };
        ("DataPurged", format!("The retained data {} was destroyed, {why}.", self.id))
    }

    fn write(&self, child: &Child, annotations: &Value) -> Step {
        let patch = json!({"metadata": {
            "uid": child.uid, "resourceVersion": child.version.to_string(), "annotations": annotations,
        }});
        Step { data_id: self.id.clone(), act: Act::Note { key: child.key.clone(), patch }, tell: None }
    }

    fn delete(&self, child: &Child) -> Step {
        let seen = Seen { uid: child.uid.clone(), version: child.version };
        Step { data_id: self.id.clone(), act: Act::Delete { key: child.key.clone(), seen }, tell: None }
    }
}

fn released_at(volume: &Child) -> Option<Timestamp> {
    volume.volume().and_then(|volume| volume.release.released_at)
}

fn is_ours(secret: &SecretSeen, id: &str) -> bool {
    secret.child.owner.is_some() && secret.child.data.as_deref() == Some(id)
}

/// Whether an instance that names data can come to have it: it has a place in the quota, or is so new that it may get one. What never
/// gets one must not keep data for nothing and for ever.
fn is_serious(instance: &ServiceInstance, view: &View<'_>) -> bool {
    let places = view.tenant.status.as_ref().map(|status| status.admitted.as_slice()).unwrap_or_default();
    let has_place = places.iter().any(|place| Some(&place.uid) == instance.metadata.uid.as_ref());
    let now = view.clocks.server.unwrap_or(view.clocks.operator);
    let age = instance.metadata.creation_timestamp.as_ref().map(|time| now.duration_since(time.0));
    has_place || age.is_none_or(|age| age < SignedDuration::from_hours(24))
}

fn wants(instance: &ServiceInstance, id: &str) -> bool {
    instance.spec.restore_from.as_deref() == Some(id)
        || instance.metadata.uid.as_deref().is_some_and(|uid| names::short_id(uid) == id)
}
