//! What only events tell: why a StatefulSet has no pod, and why a claim is not bound. No event is watched; they are asked
//! for by the uid of what is stuck, and only once it has been stuck for some seconds.

use super::{fetch::Fetched, power::Power, status::Outcome};
use crate::{
    cause::Cause,
    context::Context,
    kinds::Kind,
    observed::{Child, State},
};
use crds::conditions;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// How long something may be without an explanation: usually it is only being made.
const PATIENCE: SignedDuration = SignedDuration::from_secs(4);
/// How often it is asked again while that lasts: nothing that is watched tells that the cause is gone or another.
const AGAIN: Duration = Duration::from_secs(15);

/// The causes that events tell, by uid of the child.
pub type Told = BTreeMap<String, Cause>;

/// What should have gone on by itself, and whose own status does not say why it has not.
pub fn unexplained(children: &[Arc<Child>]) -> impl Iterator<Item = &Arc<Child>> {
    let has_pod = |component: &Option<String>| {
        let of = |child: &&Arc<Child>| child.component == *component;
        children.iter().filter(of).any(|child| matches!(child.state, State::Pod { finished: false, .. }))
    };
    children.iter().filter(move |child| match &child.state {
        State::Workload { replicas, current, observed, cause: None, .. } => {
            child.key.kind == Kind::StatefulSet
                && *replicas > 0
                && *current == 0
                && *observed
                && !has_pod(&child.component)
        }
        State::Volume(volume) => !volume.bound && !volume.lost && !child.terminating,
        _ => false,
    })
}

/// When to ask: now, later, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// There is nothing to ask.
    No,
    /// Once what is under way has had some time.
    In(Duration),
    /// Now, and again as long as it lasts.
    Now,
}

/// Whether there is something to ask about an instance that should run.
pub fn ask(fetched: &Fetched, children: &[Arc<Child>], outcome: &Outcome, now: Timestamp) -> Ask {
    let Outcome::Built { order, refused: None, blocked: false, .. } = outcome else { return Ask::No };
    if order.power != Power::On || unexplained(children).next().is_none() {
        return Ask::No;
    }
    let before = fetched.instance.status.as_ref().map(|status| status.conditions.as_slice());
    let since = conditions::find(before.unwrap_or_default(), conditions::RECONCILING)
        .filter(|condition| condition.status == "True")
        .map_or(now, |condition| condition.last_transition_time.0);
    let left = PATIENCE - now.duration_since(since);
    match Duration::try_from(left) {
        Ok(left) if !left.is_zero() => Ask::In(left),
        _ => Ask::Now,
    }
}

impl Ask {
    /// When to look again.
    pub fn again(self) -> Option<Duration> {
        match self {
            Self::No => None,
            Self::In(left) => Some(left),
            Self::Now => Some(AGAIN),
        }
    }
}

/// Asks about each. A call that fails explains nothing, and is made again.
pub async fn told(context: &Context, children: &[Arc<Child>]) -> Told {
    let mut told = Told::new();
    for child in unexplained(children) {
        match context.cluster.events(&child.key.namespace, &child.uid).await {
            Ok(events) => told.extend(newest(child, &events).map(|cause| (child.uid.clone(), cause))),
            Err(error) => tracing::debug!(%error, "the events of a child can't be read"),
        }
    }
    told
}

/// The cause that the newest telling event names.
fn newest(child: &Child, events: &[Value]) -> Option<Cause> {
    let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let causes = events.iter().filter_map(|event| {
        let version: u64 = event.pointer("/metadata/resourceVersion")?.as_str()?.parse().ok()?;
        let (reason, note) = (text(event, "reason"), text(event, "note"));
        let cause = match &child.state {
            State::Volume(_) => Cause::of_claim(&reason, &note),
            _ => (reason == "FailedCreate").then(|| Cause::of_refusal(&note)),
        };
        Some((version, cause?))
    });
    causes.max_by_key(|(version, _)| *version).map(|(_, cause)| cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        apply,
        observed::{PodTemplate, Volume},
    };
    use serde_json::json;

    fn child(kind: Kind, state: State) -> Arc<Child> {
        Arc::new(Child {
            key: apply::key(kind, "customer-sample", "db"),
            owner: None,
            uid: "uid".into(),
            version: 1,
            hash: None,
            digest: None,
            inputs: None,
            way_in: None,
            component: Some("db".into()),
            data: None,
            tenant: None,
            terminating: false,
            hands_off: false,
            state,
        })
    }

    fn workload(current: i64) -> State {
        State::Workload {
            replicas: 1,
            current,
            ready: 0,
            updated: 0,
            observed: true,
            pods: PodTemplate::default(),
            cause: None,
        }
    }

    #[test]
    fn only_what_is_stuck_without_saying_why_is_asked_about() {
        let count = |kind, state| unexplained(&[child(kind, state)]).count();
        assert_eq!(count(Kind::StatefulSet, workload(0)), 1);
        assert_eq!(count(Kind::StatefulSet, workload(1)), 0);
        assert_eq!(count(Kind::Deployment, workload(0)), 0, "its own condition says why");
        assert_eq!(count(Kind::PersistentVolumeClaim, State::Volume(Volume::default())), 1);
        let bound = Volume { bound: true, ..Volume::default() };
        assert_eq!(count(Kind::PersistentVolumeClaim, State::Volume(bound)), 0);
        let pod = State::Pod { ready: false, finished: false, cause: None };
        let both = [child(Kind::StatefulSet, workload(0)), child(Kind::Pod, pod)];
        assert_eq!(unexplained(&both).count(), 0);
    }

    #[test]
    fn the_newest_event_counts() {
        let event = |version: &str, note: &str| json!({"reason": "FailedCreate", "note": note, "metadata": {"resourceVersion": version}});
        let events =
            [event("9", "violates PodSecurity"), event("10", "exceeded quota"), json!({"reason": "Other"})];
        let stuck = child(Kind::StatefulSet, workload(0));
        assert_eq!(newest(&stuck, &events), Some(Cause::ResourceQuotaExceeded));
        assert_eq!(newest(&stuck, &[]), None);
    }
}
