//! What an instance's parts look like now.

use crate::{
    cause::Cause,
    instance::{events::Told, validate::Validated},
    observed::{Child, Growth, State},
};
use crds::{
    ServiceTemplate, ServiceTemplateSpec,
    conditions::{self, Said},
    instance::ComponentStatus,
    reasons,
};
use std::{collections::BTreeSet, sync::Arc};

/// What the instance's parts look like now.
pub(super) struct Parts<'a> {
    pub(super) children: &'a [Arc<Child>],
    pub(super) order: &'a Validated,
    pub(super) told: &'a Told,
}

/// Why they do not serve: the cause that counts most.
pub(super) struct Found {
    /// The cause.
    pub(super) cause: Cause,
    /// The component that it concerns; none where it is not one component's.
    pub(super) component: Option<String>,
}

impl Found {
    /// The sentence of its reason, and of which component it is said.
    pub(super) fn message(&self) -> String {
        let sentence = reasons::sentence(self.cause.reason());
        self.component.as_ref().map_or(sentence.to_owned(), |name| format!("Component {name}: {sentence}"))
    }
}

/// How many pods of a component should be there, how many are ready, and whether all are of its newest form.
fn facts(children: &[Arc<Child>], component: &str) -> (i32, i32, bool) {
    let workload =
        children.iter().find(|c| c.key.kind.is_workload() && c.component.as_deref() == Some(component));
    match workload.map(|child| &child.state) {
        Some(State::Workload { replicas, ready, updated, observed, .. }) => {
            let count = |n: i64| i32::try_from(n).unwrap_or(i32::MAX);
            let rolled = *observed && updated >= replicas;
            (count(*replicas), count((*ready).min(*replicas)), rolled)
        }
        _ => (0, 0, false),
    }
}

fn serves(children: &[Arc<Child>], component: &str) -> bool {
    matches!(facts(children, component), (desired, ready, true) if desired > 0 && ready >= desired)
}

/// Whether an init job of that name is as told.
fn has_job(children: &[Arc<Child>], name: &str, is: impl Fn(bool, bool) -> bool) -> bool {
    let mut jobs = children.iter().filter(|child| child.component.as_deref() == Some(name));
    jobs.any(|child| matches!(child.state, State::Job { complete, failed } if is(complete, failed)))
}

/// Whether all that a template names is up and was initialized, now or before: it serves, whatever is wrong with its order by now.
pub(super) fn is_up(template: &ServiceTemplate, initialized: bool, children: &[Arc<Child>]) -> bool {
    let ServiceTemplateSpec { components, init_jobs, .. } = &template.spec;
    components.iter().all(|component| serves(children, &component.name))
        && (initialized || init_jobs.iter().all(|job| has_job(children, &job.name, |complete, _| complete)))
}

/// Whether something may run still: a pod, or a workload that would make one.
pub(super) fn may_run(children: &[Arc<Child>]) -> bool {
    let may_run = |child: &Arc<Child>| {
        matches!(child.state, State::Pod { finished: false, .. } | State::Workload { replicas: 1.., .. })
    };
    children.iter().any(may_run)
}

impl Parts<'_> {
    fn facts(&self, component: &str) -> (i32, i32, bool) {
        facts(self.children, component)
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
        self.names().all(|name| self.serves(name))
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
        has_job(self.children, name, is)
    }

    pub(super) fn all_rolled_out(&self) -> bool {
        self.names().all(|name| self.facts(name).2)
    }

    pub(super) fn serves_now(&self) -> bool {
        self.names().all(|name| self.facts(name).1 > 0)
    }

    /// The claims that are bound, and those that were before.
    pub(super) fn bound_once(&self, before: &[String]) -> Vec<String> {
        let bound = self.children.iter().filter(|child| child.volume().is_some_and(|volume| volume.bound));
        let all: BTreeSet<String> =
            bound.map(|child| child.key.name.clone()).chain(before.iter().cloned()).collect();
        all.into_iter().collect()
    }

    fn serves(&self, component: &str) -> bool {
        serves(self.children, component)
    }

    /// Of all that keeps its components from serving, what counts most.
    pub(super) fn cause(&self) -> Option<Found> {
        let all = self.children.iter().filter_map(|child| {
            let cause = self.cause_of(child)?;
            Some(Found { cause, component: child.component.clone() })
        });
        all.min_by_key(|found| found.cause.rank())
    }

    fn cause_of(&self, child: &Child) -> Option<Cause> {
        if child.component.as_deref().is_some_and(|component| self.serves(component)) {
            return None;
        }
        match &child.state {
            // One that has ended counts until another takes its place.
            State::Pod { finished: true, cause, .. } => cause.filter(|_| !self.has_another_pod(child)),
            State::Pod { cause, .. } => *cause,
            State::Workload { replicas: 1.., cause: Some(cause), .. } => Some(*cause),
            _ => self.told.get(&child.uid).copied(),
        }
    }

    fn has_another_pod(&self, pod: &Child) -> bool {
        self.children.iter().any(|child| {
            child.component == pod.component && matches!(child.state, State::Pod { finished: false, .. })
        })
    }

    /// Whether a component that others depend on does not serve.
    pub(super) fn waits_for_another(&self) -> bool {
        let components = &self.order.template.spec.components;
        let needed = components.iter().flat_map(|component| &component.depends_on);
        needed.into_iter().any(|name| !self.serves(name))
    }

    /// Whether a volume is lost, with what was on it.
    pub(super) fn lost_a_volume(&self) -> bool {
        self.children.iter().filter_map(|child| child.volume()).any(|volume| volume.lost)
    }

    /// Whether a volume should be larger and can't be made so.
    pub(super) fn growth_failed(&self) -> bool {
        let mut volumes = self.children.iter().filter_map(|child| child.volume());
        volumes.any(|volume| volume.capacity < volume.requested && volume.growth == Growth::Failed)
    }

    /// Whether all the volumes that it should have by now are bound.
    pub(super) fn storage(&self, wanted: usize) -> Said {
        let not = |reason| Said::no(conditions::STORAGE_READY, reason, reasons::sentence(reason));
        let volumes = || self.children.iter().filter_map(|child| child.volume());
        if self.lost_a_volume() {
            return not(reasons::VOLUME_LOST);
        }
        if let Some(growing) = volumes()
            .filter(|volume| volume.bound && volume.capacity < volume.requested)
            .map(|v| v.growth)
            .max()
        {
            return not(match growing {
                Growth::Failed => reasons::VOLUME_GROWTH_FAILED,
                Growth::Restart => reasons::VOLUME_GROWS_AT_RESTART,
                Growth::Nothing => reasons::VOLUME_GROWING,
            });
        }
        if volumes().all(|volume| volume.bound) && volumes().count() >= wanted {
            return Said::yes(conditions::STORAGE_READY, reasons::BOUND, reasons::sentence(reasons::BOUND));
        }
        // Whatever the cause: this very reason says that the storage was never complete.
        not(reasons::VOLUME_PENDING)
    }
}
