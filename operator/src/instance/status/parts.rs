//! What an instance's parts look like now.

use crate::{
    instance::validate::Validated,
    observed::{Child, State},
};
use crds::{
    conditions::{self, Said},
    instance::ComponentStatus,
};
use std::{collections::BTreeSet, sync::Arc};

/// What the instance's parts look like now.
pub(super) struct Parts<'a> {
    pub(super) children: &'a [Arc<Child>],
    pub(super) order: &'a Validated,
}

impl Parts<'_> {
    pub(super) fn facts(&self, component: &str) -> (i32, i32, bool) {
        let workload = self
            .children
            .iter()
            .find(|c| c.key.kind.is_workload() && c.component.as_deref() == Some(component));
        match workload.map(|child| &child.state) {
            Some(State::Workload { replicas, ready, updated, observed, .. }) => {
                let count = |n: i64| i32::try_from(n).unwrap_or(i32::MAX);
                let rolled = *observed && updated >= replicas;
                (count(*replicas), count((*ready).min(*replicas)), rolled)
            }
            _ => (0, 0, false),
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.order.template.spec.components.iter().map(|component| &component.name)
    }

    pub(super) fn components(&self) -> Vec<ComponentStatus> {
        let all = self.names().map(|name| {
            let (desired, ready, _) = self.facts(name);
            ComponentStatus { name: name.clone(), desired, ready }
        });
        all.collect()
    }

    pub(super) fn all_serve(&self) -> bool {
        self.names()
            .all(|name| matches!(self.facts(name), (desired, ready, true) if desired > 0 && ready >= desired))
    }

    /// Whether all init jobs have succeeded, now or for the data that was restored.
    pub(super) fn is_initialized(&self) -> bool {
        let jobs = &self.order.template.spec.init_jobs;
        self.order.initialized || jobs.iter().all(|job| self.job(&job.name, |complete, _| complete))
    }

    /// Whether an init job has given up.
    pub(super) fn init_job_failed(&self) -> bool {
        let jobs = &self.order.template.spec.init_jobs;
        !self.order.initialized
            && jobs.iter().any(|job| self.job(&job.name, |complete, failed| failed && !complete))
    }

    fn job(&self, name: &str, is: impl Fn(bool, bool) -> bool) -> bool {
        let mut jobs = self.children.iter().filter(|child| child.component.as_deref() == Some(name));
        jobs.any(|child| matches!(child.state, State::Job { complete, failed } if is(complete, failed)))
    }

    pub(super) fn all_rolled_out(&self) -> bool {
        self.names().all(|name| self.facts(name).2)
    }

    pub(super) fn serves_now(&self) -> bool {
        self.names().all(|name| self.facts(name).1 > 0)
    }

    pub(super) fn pods_left(&self) -> bool {
        self.children.iter().any(|child| matches!(child.state, State::Pod { finished: false, .. }))
            || self.names().any(|name| self.facts(name).0 > 0)
    }

    /// The claims that are bound, and those that were before.
    pub(super) fn bound_once(&self, before: &[String]) -> Vec<String> {
        let bound = self.children.iter().filter(|child| child.volume().is_some_and(|volume| volume.bound));
        let all: BTreeSet<String> =
            bound.map(|child| child.key.name.clone()).chain(before.iter().cloned()).collect();
        all.into_iter().collect()
    }

    pub(super) fn storage(&self) -> Said {
        let volumes = || self.children.iter().filter_map(|child| child.volume());
        if volumes().any(|volume| volume.lost) {
            let message = "A volume is lost. An administrator must restore it from a backup.";
            return Said::no(conditions::STORAGE_READY, "VolumeLost", message);
        }
        if volumes().any(|volume| volume.bound && volume.capacity < volume.requested) {
            let message = "A volume is being made larger; the app may have to be restarted for it.";
            return Said::no(conditions::STORAGE_READY, "VolumeGrowing", message);
        }
        let all: usize =
            self.order.template.spec.components.iter().map(|component| component.volumes.len()).sum();
        if volumes().all(|volume| volume.bound) && volumes().count() >= all {
            return Said::yes(conditions::STORAGE_READY, "Bound", "Every volume is bound.");
        }
        let message = "A volume is not bound yet: the cluster's storage provides it, or waits for the pod that uses it.";
        Said::no(conditions::STORAGE_READY, super::VOLUME_PENDING, message)
    }
}
