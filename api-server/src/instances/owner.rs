//! What its owner decides of an app: whether it runs, and its settings. It is written straight to the resource under `nakhoda-owner`, as a
//! `GitOps` tool would, and kept in no row; what such a tool manages is named and left alone.

use super::{
    crossing::CrossingError,
    live::{self, Home},
    own::Own,
    why::{self, Why},
};
use crate::{
    audit::Actor,
    cluster::{
        CallError, Cluster,
        apply::{self, Found, Place, Told},
    },
    http::problem::{Code, Problem},
    state::State,
    subscriptions::{Status, Subscription},
};
use crds::{
    ServiceInstance,
    instance::{Phase, PowerState},
    managers::OWNER,
};
use jiff::Timestamp;
use kube::ResourceExt as _;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How long an answer waits until this replica sees what was written.
const SEEN: Duration = Duration::from_secs(2);
/// How often a change is tried while others change the same resource.
const TRIES: usize = 5;

/// What is done to whether it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// It is to run.
    Start,
    /// It is not to run; its data and address stay.
    Stop,
    /// Its pods are to be started anew.
    Restart,
}

impl Verb {
    fn actions(self) -> [&'static str; 3] {
        match self {
            Self::Start => ["instance.start", "instance.start_failed", "instance.start_unconfirmed"],
            Self::Stop => ["instance.stop", "instance.stop_failed", "instance.stop_unconfirmed"],
            Self::Restart => ["instance.restart", "instance.restart_failed", "instance.restart_unconfirmed"],
        }
    }

    fn changes(self, at: Timestamp) -> Map<String, Value> {
        let (field, value) = match self {
            Self::Start => ("powerState", json!("Running")),
            Self::Stop => ("powerState", json!("Stopped")),
            Self::Restart => ("restartedAt", json!(at)),
        };
        Map::from_iter([(field.to_owned(), value)])
    }

    /// Whether the resource says so; also where it was restarted once more since then.
    fn is_done(self, resource: &ServiceInstance, at: Timestamp) -> bool {
        let spec = &resource.spec;
        match self {
            Self::Start => spec.power_state == PowerState::Running,
            Self::Stop => spec.power_state == PowerState::Stopped,
            Self::Restart => spec.restarted_at.as_ref().is_some_and(|last| last.0 >= at),
        }
    }
}

/// When something was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The [`moment`]: of a restart it is what the resource is told.
    pub at: Timestamp,
    /// Whether it may have been done already.
    pub is_repeat: bool,
}

/// A time as a resource keeps it: in whole seconds.
pub fn moment(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// Who changes something, and whether they take over what another tool manages.
#[derive(Clone, Debug)]
pub struct By {
    /// Who.
    pub actor: Actor,
    /// Whether fields are taken over.
    pub take_over: bool,
}

/// The resource, where it is there and its owner may change it.
fn changeable(own: &Own) -> Result<&ServiceInstance, Problem> {
    if own.row.as_ref().is_some_and(|row| row.end.is_some()) {
        return Err(Problem::new(Code::SubscriptionEnded));
    }
    // Before billing has said its part, the owner's would be taken for all that its owner wants.
    let is_told = own.row.as_ref().is_none_or(|row| row.crossing.applied_version > 0);
    let resource = own.resource.as_deref().filter(|_| is_told);
    let resource = resource.ok_or_else(|| {
        // What stands in the way of its being made, or has taken it away, is no matter of seconds.
        let cause = why::ranked(own.known()).into_iter().next();
        let cause = cause.filter(|why| own.resource.is_none() && why.reason != why::ORDERED);
        let detail = cause.map_or_else(
            || "The app is being made: come back in some seconds.".to_owned(),
            |why| why.message,
        );
        Problem::with(Code::InstanceNotReady, detail)
    })?;
    if resource.metadata.deletion_timestamp.is_some() {
        return Err(Problem::new(Code::InstanceEnding));
    }
    Ok(resource)
}

/// What keeps it from running, however its owner wants it.
fn held(resource: &ServiceInstance) -> Option<Why> {
    let is_held =
        resource.spec.holds.as_ref().is_some_and(|holds| {
            [&holds.billing, &holds.admin, &holds.abuse].into_iter().any(Option::is_some)
        });
    let is_suspended = why::phase(resource.into()) == Phase::Suspended;
    let first = why::ranked(resource.into()).into_iter().next();
    if is_held || is_suspended { first } else { None }
}

/// Starts, stops or restarts an app. What is asked for again, and was done, is not done anew. Not to be given up half-way: run it as a task of its own.
///
/// # Errors
/// 409 where it has ended, is not there yet, may not run, or another tool manages the field; 503 where the cluster is away.
pub async fn power(
    state: &State,
    own: &Own,
    verb: Verb,
    asked: Asked,
    by: &By,
) -> Result<ServiceInstance, Problem> {
    let resource = changeable(own)?;
    let is_done = |resource: &ServiceInstance| asked.is_repeat && verb.is_done(resource, asked.at);
    if is_done(resource) {
        return Ok(resource.clone());
    }
    // What never comes up is given up with all of its money: its owner must not be who keeps it from that.
    let is_new = own.row.as_ref().is_some_and(|row| row.status == Status::PendingDeployment);
    if verb != Verb::Start && is_new {
        let detail = "The app is being made: come back once it is there, or cancel its subscription.";
        return Err(Problem::with(Code::InstanceNotReady, detail));
    }
    if verb != Verb::Stop
        && let Some(why) = held(resource)
    {
        return Err(Problem::with(Code::InstanceHeld, why.message));
    }
    if verb == Verb::Restart && resource.spec.power_state == PowerState::Stopped {
        return Err(Problem::with(Code::InstanceStopped, "The app is stopped: start it."));
    }
    let changes = |now: &ServiceInstance| if is_done(now) { Map::new() } else { verb.changes(asked.at) };
    Box::pin(write(state, own, |now| Ok(changes(now)), verb.actions(), by)).await
}

/// Changes fields of what its owner decides, as they follow from what is there at the moment; null takes one away, and of the settings
/// those that are named. Not to be given up
/// half-way: run it as a task of its own.
///
/// # Errors
/// As [`power`]; 422 where the cluster does not take them; as those of `changes`.
pub async fn change(
    state: &State,
    own: &Own,
    changes: impl Fn(&ServiceInstance) -> Result<Map<String, Value>, Problem>,
    by: &By,
) -> Result<ServiceInstance, Problem> {
    changeable(own)?;
    let actions = ["instance.change", "instance.change_failed", "instance.change_unconfirmed"];
    Box::pin(write(state, own, changes, actions, by)).await
}

/// Settings are named one by one: another tool may manage some of them.
fn place<'a>(namespace: &'a str, name: &'a str, take_over: bool) -> Place<'a> {
    Place { manager: OWNER, namespace: Some(namespace), name, take_over, by_entry: &["parameters"] }
}

async fn write(
    state: &State,
    own: &Own,
    changes: impl Fn(&ServiceInstance) -> Result<Map<String, Value>, Problem>,
    actions: [&'static str; 3],
    by: &By,
) -> Result<ServiceInstance, Problem> {
    let ((namespace, name), id) = (own.place(), own.id.to_string());
    let place = place(&namespace, &name, by.take_over);
    let told = Told { actor: &by.actor, reason: None, actions, entity_type: "instance", entity_id: &id };
    for _ in 0..TRIES {
        let found = match Found::<ServiceInstance>::find(&state.cluster, place.namespace, place.name).await {
            // Our rights in a namespace go with it.
            Err(problem) if problem.code() == Code::Internal => {
                let is_there = live::home(&state.cluster, &namespace).await? == Home::There;
                return Err(if is_there { problem } else { Problem::new(Code::InstanceEnding) });
            }
            found => found?.filter(|found| found.known.uid() == own.uid()),
        };
        let found = found.ok_or_else(|| Problem::new(Code::InstanceEnding))?;
        let changes = changes(&found.known)?;
        if changes.is_empty() {
            return Ok(found.known);
        }
        match apply::edit(state, place, Some(found), &changes, &told).await {
            Ok(done) => {
                state.cluster.watches().instances.wait_to_see(&done.known, SEEN).await;
                return Ok(done.known);
            }
            // Billing has told it something meanwhile.
            Err(problem) if problem.code() == Code::PreconditionFailed => {}
            Err(problem) => return Err(problem),
        }
    }
    Err(CallError::TimedOut.into())
}

/// Tells the resource what its owner calls what they have bought: one name, the row's. A name that another tool manages is left alone, and
/// no name keeps anything else from being told.
///
/// # Errors
/// Where the cluster is away.
pub async fn rename(cluster: &Cluster, row: &Subscription, namespace: &str) -> Result<(), CrossingError> {
    let name = row.resource_name();
    let place = place(namespace, &name, false);
    let changes = Map::from_iter([("displayName".to_owned(), json!(row.name))]);
    let renamed = async {
        let found = Found::<ServiceInstance>::find(cluster, place.namespace, place.name).await?;
        let uid = row.crossing.uid.map(|uid| uid.to_string());
        let Some(found) = found.filter(|found| found.known.uid() == uid) else { return Ok(()) };
        apply::apply(cluster, place, Some(&found), &changes, false).await.map(drop)
    };
    match renamed.await {
        Ok(()) => Ok(()),
        Err(problem) if problem.code() == Code::Unavailable => Err(CallError::TimedOut.into()),
        Err(problem) if ![Code::ManagedElsewhere, Code::Invalid].contains(&problem.code()) => {
            Err(CrossingError::Busy)
        }
        Err(problem) => {
            tracing::warn!(subscription.id = %row.id, code = problem.code().code(), "an app keeps its old name in the cluster");
            Ok(())
        }
    }
}
