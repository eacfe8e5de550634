//! Templates and plans, as administrators write them: under a manager of our own, beside whatever a `GitOps` tool applies.

use super::{
    Cluster,
    apply::{self, Found, Place, Told, Written},
};
use crate::{
    audit::Actor,
    http::problem::{Code, Problem},
    state::State,
};
use crds::{ServicePlan, ServiceTemplate, managers::CATALOGUE};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, ListParams, Preconditions},
};
use serde_json::{Map, Value};
use std::{collections::BTreeSet, time::Duration};

/// How long an answer waits until this replica sees what was written.
const SEEN: Duration = Duration::from_secs(2);

/// A kind of the catalogue: how the audit log calls it and what happens to it, and where it is kept.
pub trait Kind: Written {
    /// What it is called.
    const NAME: &'static str;
    /// When one is made, and when that fails.
    const CREATE: [&'static str; 3];
    /// When one is changed.
    const CHANGE: [&'static str; 3];
    /// When one is deleted.
    const DELETE: [&'static str; 3];

    /// Waits until this replica sees an object as it was written, or that it is gone.
    fn see(state: &State, written: &Self, is_gone: bool) -> impl Future<Output = ()> + Send;
}

macro_rules! kinds {
    ($($kind:ident, $name:literal, $cache:ident;)*) => {
        $(impl Kind for $kind {
            const NAME: &'static str = $name;
            const CREATE: [&'static str; 3] =
                [concat!($name, ".create"), concat!($name, ".create_failed"), concat!($name, ".create_unconfirmed")];
            const CHANGE: [&'static str; 3] =
                [concat!($name, ".change"), concat!($name, ".change_failed"), concat!($name, ".change_unconfirmed")];
            const DELETE: [&'static str; 3] =
                [concat!($name, ".delete"), concat!($name, ".delete_failed"), concat!($name, ".delete_unconfirmed")];

            async fn see(state: &State, written: &Self, is_gone: bool) {
                let cache = &state.cluster.watches().$cache;
                if is_gone {
                    let key = super::watch::Key::of(written);
                    cache.wait_for(&key, |one| one.is_none_or(|one| one.uid() != written.uid()), SEEN).await;
                } else {
                    cache.wait_to_see(written, SEEN).await;
                }
            }
        })*
    };
}

kinds! {
    ServiceTemplate, "service", templates;
    ServicePlan, "plan", plans;
}

/// Who changes something, why, and whether they take over what another tool manages.
#[derive(Clone, Debug)]
pub struct By {
    /// Who.
    pub actor: Actor,
    /// Why.
    pub reason: Option<String>,
    /// Whether fields are taken over.
    pub take_over: bool,
}

impl By {
    fn told<'a, K: Kind>(&'a self, actions: [&'static str; 3], name: &'a str) -> Told<'a> {
        let reason = self.reason.as_deref();
        Told { actor: &self.actor, reason, actions, entity_type: K::NAME, entity_id: name }
    }
}

/// Reads one.
///
/// # Errors
/// 404 where there is none; 503 where the cluster is away.
pub async fn read<K: Kind>(cluster: &Cluster, name: &str) -> Result<Found<K>, Problem> {
    if !crds::names::is_label(name) {
        return Err(Problem::new(Code::NotFound));
    }
    Found::find(cluster, None, name).await?.ok_or_else(|| Problem::new(Code::NotFound))
}

/// Makes one. Of a repeat, what the request before it has made is the result.
///
/// # Errors
/// 409 where there is one of that name; 422 where the cluster does not take it; 503 where it is away.
pub async fn create<K: Kind>(
    state: &State,
    name: &str,
    spec: &Map<String, Value>,
    by: &By,
    is_repeat: bool,
) -> Result<Found<K>, Problem> {
    if let Some(there) = Found::<K>::find(&state.cluster, None, name).await? {
        let is_result = is_repeat && there.is_made(CATALOGUE, spec);
        return if is_result { Ok(there) } else { Err(Problem::new(Code::NameTaken)) };
    }
    let place = Place { manager: CATALOGUE, namespace: None, name, take_over: false, by_entry: &[] };
    let made = apply::edit::<K>(state, place, None, spec, &by.told::<K>(K::CREATE, name)).await?;
    K::see(state, &made.known, false).await;
    Ok(made)
}

/// Changes fields of one that was read; null takes one away.
///
/// # Errors
/// As [`apply::edit`].
pub async fn change<K: Kind>(
    state: &State,
    found: Found<K>,
    changes: &Map<String, Value>,
    by: &By,
) -> Result<Found<K>, Problem> {
    let name = found.known.name_any();
    let place =
        Place { manager: CATALOGUE, namespace: None, name: &name, take_over: by.take_over, by_entry: &[] };
    let done = apply::edit::<K>(state, place, Some(found), changes, &by.told::<K>(K::CHANGE, &name)).await?;
    K::see(state, &done.known, false).await;
    Ok(done)
}

/// Why something was not deleted, as far as anybody knows.
#[derive(Debug)]
pub struct NotDeleted {
    /// What is answered.
    problem: Problem,
    /// Whether the cluster itself says no: what was asked for never happens.
    pub is_refused: bool,
}

impl From<NotDeleted> for Problem {
    fn from(error: NotDeleted) -> Self {
        error.problem
    }
}

/// Deletes one as it was read.
///
/// # Errors
/// 412 where it was changed or deleted since; 503 where the cluster is away.
pub async fn delete<K: Kind>(state: &State, found: &Found<K>, by: &By) -> Result<(), NotDeleted> {
    let name = found.known.name_any();
    let told = by.told::<K>(K::DELETE, &name);
    let before = found.whole.data["spec"].clone();
    let unasked = |problem| NotDeleted { problem, is_refused: true };
    apply::record(state, &told, 0, Some(&before), None).await.map_err(unasked)?;
    // Its status may be another by now.
    let preconditions = Preconditions { uid: found.known.uid(), resource_version: None };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    let done = state
        .cluster
        .call(async |client| apply::api::<K>(client).delete(&name, &params).await.map(drop))
        .await;
    let Err(error) = done else {
        K::see(state, &found.known, true).await;
        return Ok(());
    };
    let code = error.status().map(|status| status.code);
    let is_changed = matches!(code, Some(404 | 409));
    // What took too long there may still be done.
    let is_refused = matches!(code, Some(400..500)) && code != Some(408);
    // An answer that was lost may have been a yes.
    let outcome = match Found::<K>::find(&state.cluster, None, &name).await {
        Ok(now) if !is_changed && now.as_ref().is_none_or(|now| now.known.uid() != found.known.uid()) => {
            return Ok(());
        }
        Ok(_) => 1,
        Err(_) => 2,
    };
    let untold = |problem| NotDeleted { problem, is_refused };
    apply::record(state, &told, outcome, None, Some(&before)).await.map_err(untold)?;
    let problem = if is_changed { Problem::new(Code::PreconditionFailed) } else { error.into() };
    Err(NotDeleted { problem, is_refused })
}

/// The names of the plans of an app, asked of the cluster itself.
///
/// # Errors
/// 503 where it is away.
pub async fn plans_of(cluster: &Cluster, template: &str) -> Result<BTreeSet<String>, Problem> {
    let all =
        cluster.call(async |client| apply::api::<ServicePlan>(client).list(&ListParams::default()).await);
    let of_it = all.await?.items.into_iter().filter(|plan| plan.data["spec"]["templateRef"] == template);
    Ok(of_it.map(|plan| plan.name_any()).collect())
}
