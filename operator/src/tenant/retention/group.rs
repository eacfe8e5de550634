//! One unit of data, its volumes and its Secret: what is noted on it, and what follows from the notes and the order about it.

use super::SecretSeen;
use crate::{
    apply,
    kinds::Kind,
    observed::{Child, Key, Release},
    settings::RetentionBounds,
};
use crds::{
    names,
    quota::{Retained, RetentionOrder},
};
use jiff::{SignedDuration, Timestamp};

/// Its Secret.
#[derive(Clone, Copy, Debug)]
pub(super) enum Secret<'a> {
    /// Not looked at.
    Unknown,
    /// There is none.
    None,
    /// As it was read live.
    There(&'a SecretSeen),
}

/// The volumes of one data id of which some are released (or none is left), and all that is known of them.
#[derive(Clone, Debug)]
pub(super) struct Group<'a> {
    pub(super) id: String,
    pub(super) volumes: Vec<&'a Child>,
    pub(super) listed: Option<&'a Retained>,
    pub(super) order: RetentionOrder,
    pub(super) secret: Secret<'a>,
}

fn plus(time: Timestamp, seconds: u32) -> Timestamp {
    time.checked_add(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(Timestamp::MAX)
}

impl Group<'_> {
    /// What is noted on each part of it.
    pub(super) fn releases(&self) -> impl Iterator<Item = &Release> {
        let of_secret = match self.secret {
            Secret::There(secret) => Some(&secret.release),
            _ => None,
        };
        self.volumes
            .iter()
            .filter_map(|volume| volume.volume())
            .map(|volume| &volume.release)
            .chain(of_secret)
    }

    /// When the last part of it was released.
    pub(super) fn released_at(&self) -> Option<Timestamp> {
        let listed = self.listed.and_then(|old| old.released_at.as_ref()).map(|time| time.0);
        self.releases().filter_map(|release| release.released_at).max().or(listed)
    }

    /// Until when it is kept: the latest of what is noted on any part of it and of the order about it.
    pub(super) fn keep_until(&self) -> Option<Timestamp> {
        let ordered = self.order.keep_until.as_ref().map(|time| time.0);
        let listed = self.listed.and_then(|old| old.keep_until.as_ref()).map(|time| time.0);
        let noted = self.releases().filter_map(|release| release.keep_until).max().or(listed)?;
        Some(ordered.map_or(noted, |ordered| ordered.max(noted)))
    }

    /// Who bears the notes about an order: the volumes, and where none is left the Secret.
    pub(super) fn bearers(&self) -> Vec<(&Child, &Release)> {
        let volumes = self.volumes.iter().filter_map(|child| Some((*child, &child.volume()?.release)));
        match self.secret {
            Secret::There(secret) if self.volumes.is_empty() => vec![(&secret.child, &secret.release)],
            _ => volumes.collect(),
        }
    }

    /// Whether an order about it stood from before its release.
    pub(super) fn is_void(&self) -> bool {
        self.bearers().iter().any(|(_, release)| release.order_is_void)
    }

    /// Whether its destruction is ordered.
    pub(super) fn is_ordered(&self) -> bool {
        self.order.purge && !self.is_void()
    }

    /// When the order was noted: once it is on every part, and then the last of them.
    pub(super) fn noted_at(&self) -> Option<Timestamp> {
        let noted: Option<Vec<Timestamp>> =
            self.bearers().iter().map(|(_, release)| release.purge_ordered_at).collect();
        noted?.into_iter().max()
    }

    /// When it may be destroyed at the earliest: at the end of its time and the grace after it, or at the end of the waiting
    /// time of an order; never before a minimum time after its release.
    pub(super) fn purge_at(&self, bounds: &RetentionBounds) -> Option<Timestamp> {
        let floor = plus(self.released_at()?, bounds.minimum_age_seconds);
        let by_time =
            self.keep_until().filter(|_| bounds.purge).map(|end| plus(end, bounds.purge_grace_seconds));
        let kept_by_order = self.order.keep_until.as_ref().map_or(Timestamp::MIN, |time| time.0);
        let noted = self.noted_at().filter(|_| self.is_ordered());
        let by_order = noted.map(|at| plus(at, bounds.purge_wait_seconds).max(kept_by_order));
        [by_time, by_order].into_iter().flatten().min().map(|at| at.max(floor))
    }

    pub(super) fn order_is_to_be_noted(&self) -> bool {
        self.is_ordered() && self.noted_at().is_none()
    }

    pub(super) fn notes_are_to_be_taken_back(&self) -> bool {
        !self.order.purge
            && self
                .bearers()
                .iter()
                .any(|(_, release)| release.order_is_void || release.purge_ordered_at.is_some())
    }
}

/// The key of the Secret of some data.
pub(in crate::tenant) fn secret_key(namespace: &str, data_id: &str) -> Key {
    apply::key(Kind::Secret, namespace, &names::data_secret(data_id))
}
