//! Whether pods that would change for another reason than their owner's own wait: an edited template, a new operator, other
//! settings. Pure.

use super::{
    build::{Desired, Object},
    fetch::Fetched,
    validate::Validated,
};
use crate::{
    cause::Cause,
    observed::{Child, PodTemplate, State},
};
use crds::labels;
use jiff::Timestamp;
use std::{collections::BTreeSet, sync::Arc};

/// What becomes of such a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rollout {
    /// There is none.
    #[default]
    UpToDate,
    /// It is rolled out now.
    Now,
    /// It waits.
    Waits {
        /// When its time comes by the clock alone, where that is known.
        until: Option<Timestamp>,
    },
}

/// Decides: what runs waits for its window, for `rolloutAt`, or for a change of its owner's own; what does not run has nothing to
/// wait for, nor has what is broken.
pub fn decide(desired: &Desired, fetched: &Fetched, order: &Validated, now: Timestamp) -> Rollout {
    let workloads: Vec<(&Arc<Child>, &PodTemplate)> =
        fetched.children.iter().filter_map(|child| Some((child, pods_of(child)?))).collect();
    let wanted = |child: &Child| desired.objects.iter().find(|object| object.key == child.key);
    let changed = |(child, pods): &(&Arc<Child>, &PodTemplate)| {
        wanted(child).is_none_or(|object| object.parts.pods != pods.live)
    };
    if !workloads.iter().any(changed) {
        return Rollout::UpToDate;
    }
    let owners_own = workloads
        .iter()
        .any(|(child, _)| wanted(child).is_some_and(|object| child.inputs.as_deref() != object.inputs()));
    // What somebody else changed is not what was rolled out last: there is nothing to keep.
    let drifted = workloads.iter().any(|(_, pods)| pods.applied.is_none() || pods.applied != pods.live);
    let asked = workloads.iter().any(|(child, pods)| {
        wanted(child).is_some_and(|object| {
            object.object["metadata"]["annotations"][labels::ROLLOUT_AT].as_str()
                != pods.rollout_at.as_deref()
        })
    });
    // Before it was up for the first time, nobody has been let in whom a restart would disturb.
    if !order.initialized || owners_own || drifted || asked || !runs(fetched) || is_broken(fetched) {
        return Rollout::Now;
    }
    let opening = order.window.as_ref().and_then(|window| window.opening(&order.uid, now));
    if opening.is_some_and(|(from, _)| from <= now) {
        return Rollout::Now;
    }
    let until = opening.map(|(from, _)| from).into_iter().chain(order.rollout_later).min();
    Rollout::Waits { until }
}

/// Whether a pod does not come up for a reason that lies in itself: the change may be its cure, and interrupts nothing.
fn is_broken(fetched: &Fetched) -> bool {
    let of = |cause: &Option<Cause>| {
        cause.is_some_and(|cause| cause != Cause::NotReady && !cause.is_displacement())
    };
    fetched.children.iter().any(|child| match &child.state {
        State::Pod { finished: false, cause, .. } | State::Workload { cause, .. } => of(cause),
        _ => false,
    })
}

/// What is to be built while a change waits: every pod template as it is; what its owner decides about the ways in, with the ports
/// that these pods have; and no volume that the pods do not use before they change.
pub fn hold(desired: &mut Desired, fetched: &Fetched) {
    desired.held = true;
    for object in &mut desired.objects {
        let there = fetched.children.iter().find(|child| child.key == object.key);
        let pods = there.and_then(|child| pods_of(child)).and_then(|pods| pods.live.as_ref());
        if let Some(pods) = pods.filter(|pods| object.parts.pods.as_ref() != Some(pods)) {
            object.hold(pods);
        }
        // What somebody else changed is no way to be kept.
        let way_in = there.filter(|child| child.is_intact()).and_then(|child| child.way_in.as_deref());
        if let Some(way_in) = way_in {
            object.keep_way_in(way_in);
        }
    }
    let held: BTreeSet<String> = desired
        .objects
        .iter()
        .filter(|object| object.held)
        .filter_map(Object::component)
        .map(str::to_owned)
        .collect();
    desired.volumes.retain(|claim| {
        fetched.volumes.contains_key(&claim.key.name)
            || claim.component().is_none_or(|component| !held.contains(component))
    });
}

fn pods_of(child: &Child) -> Option<&PodTemplate> {
    match &child.state {
        State::Workload { pods, .. } if !child.terminating && !child.hands_off => Some(pods),
        _ => None,
    }
}

/// Whether a workload has pods, or should have.
fn runs(fetched: &Fetched) -> bool {
    fetched.children.iter().any(
        |child| matches!(child.state, State::Workload { replicas, current, .. } if replicas > 0 || current > 0),
    )
}
