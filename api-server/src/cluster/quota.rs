//! What a customer may have at once: the limits of their `TenantQuota`. Until somebody sets them there is none, and the defaults hold.

use super::{CallError, Cluster};
use crate::{
    audit::{self, Actor, Entry},
    http::problem::{Code, Problem},
    state::State,
};
use crds::{
    conditions,
    managers::TENANT,
    names,
    quota::{Limits, TenantQuota, Used},
};
use kube::{
    Api, Resource as _, ResourceExt as _,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    core::ApiResource,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// How often a change is tried while the operator writes the same resource's status.
const TRIES: u32 = 5;
/// The bits of a version that count generations; the others are the time at which the resource was made.
const GENERATIONS: u32 = 20;

/// A customer's limits and what they use of them.
#[derive(Clone, Debug)]
pub struct Quota {
    user: Uuid,
    found: Option<Found>,
}

/// The resource: as it is read, and with what this version does not know.
#[derive(Clone, Debug)]
struct Found {
    known: TenantQuota,
    whole: DynamicObject,
}

/// How far the operator is with a tenant.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Whether everything is as it should be.
    pub ready: bool,
    /// In one word, constant.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// What is to be set, and by whom.
#[derive(Clone, Debug)]
pub struct Change {
    /// What may run at once.
    pub limits: Limits,
    /// Whether fields that another tool manages are taken from it.
    pub take_over: bool,
    /// Who.
    pub actor: Actor,
    /// Why.
    pub reason: Option<String>,
}

impl Found {
    fn read(whole: DynamicObject) -> Result<Self, Problem> {
        let known = whole.clone().try_parse().map_err(|error| Problem::internal(&error))?;
        Ok(Self { known, whole })
    }

    fn generation(&self) -> i64 {
        self.known.metadata.generation.unwrap_or_default()
    }

    /// Of one that was deleted and made anew it is another.
    fn version(&self) -> i64 {
        let made = self.known.metadata.creation_timestamp.as_ref().map(|time| time.0.as_second());
        (made.unwrap_or_default() << GENERATIONS) + self.generation()
    }
}

impl Quota {
    /// Reads it from the cluster.
    ///
    /// # Errors
    /// 503 where the cluster is away.
    pub async fn read(cluster: &Cluster, user: Uuid) -> Result<Self, Problem> {
        let name = tenant(user);
        let found = cluster.call(async |client| api(client).get_opt(&name).await).await?;
        let found = found.map(Found::read).transpose()?;
        let owner = user.to_string();
        if found.as_ref().is_some_and(|found| found.known.spec.owner != owner) {
            tracing::error!(tenant = name, "a TenantQuota that has a user's name belongs to somebody else");
            return Err(Problem::new(Code::Internal));
        }
        Ok(Self { user, found })
    }

    /// The name of the tenant, which is the `TenantQuota`'s.
    pub fn tenant(&self) -> String {
        tenant(self.user)
    }

    /// The version of the limits, for `ETag`; 0 while the defaults hold.
    pub fn version(&self) -> i64 {
        self.found.as_ref().map(Found::version).unwrap_or_default()
    }

    /// Whether nobody has set limits yet.
    pub fn is_default(&self) -> bool {
        self.found.is_none()
    }

    /// What may run at once.
    pub fn limits(&self) -> Limits {
        self.found.as_ref().map(|found| found.known.spec.limits.clone()).unwrap_or_default()
    }

    /// What runs, as the operator counted it last.
    pub fn used(&self) -> Option<&Used> {
        self.found.as_ref()?.known.status.as_ref()?.used.as_ref()
    }

    /// The tenant's namespace, once there is one.
    pub fn namespace(&self) -> Option<String> {
        self.found.as_ref()?.known.status.as_ref()?.namespace.clone()
    }

    /// How far the operator is; none while it has said nothing of these limits.
    pub fn progress(&self) -> Option<Progress> {
        let found = &self.found.as_ref()?.known;
        let ready = conditions::find(&found.status.as_ref()?.conditions, conditions::READY)?;
        (ready.observed_generation == found.metadata.generation).then(|| Progress {
            ready: ready.status == "True",
            reason: ready.reason.clone(),
            message: ready.message.clone(),
        })
    }

    /// Sets the limits of what was read, with a line in the audit log. The line is written before, so that no change is without one; a
    /// change that then fails gets another that says so. Not to be given up half-way: run it as a task of its own.
    ///
    /// # Errors
    /// 409 where another tool manages the limits, 412 where they were changed since they were read, 422 where the cluster does not
    /// take them, 503 where it is away.
    pub async fn set(self, state: &State, change: &Change) -> Result<Self, Problem> {
        let cluster = &state.cluster;
        // The rules of the resource are asked first: what it does not take is no change.
        let would = self.apply(cluster, change, true).await?;
        if would.known.spec.limits != change.limits {
            let detail =
                "limits.per_plan: another tool names plans that are left out here. Take them out there.";
            return Err(Problem::with(Code::ManagedElsewhere, detail));
        }
        if !self.is_default() && change.limits == self.limits() && !change.take_over {
            return Ok(self);
        }
        let limits = |limits: &Limits| audit::value(limits).unwrap_or_default();
        let (before, mut after) = (limits(&self.limits()), limits(&change.limits));
        if change.take_over {
            after["take_over"] = json!(true);
        }
        self.record(state, change, "user.set_quota", &before, &after).await?;
        let error = match self.make_and_apply(cluster, change).await {
            Ok(found) => return Ok(Self { found: Some(found), ..self }),
            Err(error) => error,
        };
        // An answer that was lost may have been a yes.
        let action = match Self::read(cluster, self.user).await {
            Ok(now) if now.limits() == change.limits && now.version() != self.version() => return Ok(now),
            Ok(_) => "user.set_quota_failed",
            Err(_) => "user.set_quota_unconfirmed",
        };
        self.record(state, change, action, &after, &before).await?;
        Err(error)
    }

    /// Whoever makes it is the only one who does; what is there already was made since it was read.
    async fn make_and_apply(&self, cluster: &Cluster, change: &Change) -> Result<Found, Problem> {
        if self.found.is_some() {
            return self.apply(cluster, change, false).await;
        }
        let params = PostParams { field_manager: Some(TENANT.to_owned()), ..PostParams::default() };
        let bare = document(self.user, None, &json!({"owner": self.user.to_string()}))?;
        let made = cluster.call(async |client| api(client).create(&params, &bare).await).await;
        let made = made.map_err(|error| match error.status() {
            Some(status) if status.code == 409 => Problem::new(Code::PreconditionFailed),
            _ => error.into(),
        })?;
        Self { found: Some(Found::read(made)?), ..self.clone() }.apply(cluster, change, false).await
    }

    async fn apply(&self, cluster: &Cluster, change: &Change, dry_run: bool) -> Result<Found, Problem> {
        let name = self.tenant();
        let (mut latest, mut force) = (self.found.clone(), change.take_over);
        for _ in 0..TRIES {
            let mut spec = latest
                .as_ref()
                .map_or_else(|| json!({"owner": self.user.to_string()}), |found| ours(&found.whole));
            spec["limits"] = audit::value(&change.limits).unwrap_or_default();
            let body = document(self.user, latest.as_ref(), &spec)?;
            let params = PatchParams { dry_run, force, ..PatchParams::apply(TENANT) };
            let done = cluster
                .call(async |client| api(client).patch(&name, &params, &Patch::Apply(&body)).await)
                .await;
            let error = match done {
                Ok(applied) => return Found::read(applied),
                Err(error) => error,
            };
            let managed = error.managed();
            let others: Vec<&String> = managed.iter().filter(|one| !one.contains(TENANT)).collect();
            if let [_, ..] = others[..] {
                let what = others.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                let detail = format!(
                    "{what}. Change it there, or take it over with `take_over`; a tool that goes on applying it sets it back."
                );
                return Err(Problem::with(Code::ManagedElsewhere, detail));
            }
            if !managed.is_empty() && !force {
                // What this manager created, it may also apply.
                force = true;
                continue;
            }
            if error.status().is_none_or(|status| status.code != 409) {
                return Err(error.into());
            }
            // Most often only its status was written meanwhile.
            let now = Self::read(cluster, self.user).await?;
            let uid = |found: &Option<Found>| found.as_ref().and_then(|found| found.known.uid());
            let generation = |found: &Option<Found>| found.as_ref().map(Found::generation);
            if (uid(&now.found), generation(&now.found)) != (uid(&latest), generation(&latest)) {
                return Err(Problem::new(Code::PreconditionFailed));
            }
            latest = now.found;
        }
        Err(CallError::TimedOut.into())
    }

    async fn record(
        &self,
        state: &State,
        change: &Change,
        action: &'static str,
        before: &Value,
        after: &Value,
    ) -> Result<(), Problem> {
        let entry = Entry {
            action,
            entity_type: "user",
            entity_id: &self.user.to_string(),
            before: Some(before.clone()),
            after: Some(after.clone()),
            reason: change.reason.as_deref(),
        };
        let mut connection = state.db.acquire().await?;
        Ok(audit::record(&mut connection, &change.actor, entry, state.clock.now()).await?)
    }
}

fn api(client: kube::Client) -> Api<DynamicObject> {
    Api::all_with(client, &ApiResource::erase::<TenantQuota>(&()))
}

fn tenant(user: Uuid) -> String {
    names::tenant_of_user(&user.to_string())
}

/// The resource with that spec. Of what is there already it names which it means, and as it was read.
fn document(user: Uuid, found: Option<&Found>, spec: &Value) -> Result<DynamicObject, Problem> {
    let metadata = found.map_or_else(
        || json!({"name": tenant(user)}),
        |found| {
            let known = &found.known;
            json!({"name": tenant(user), "uid": known.uid(), "resourceVersion": known.resource_version()})
        },
    );
    let (api_version, kind) = (TenantQuota::api_version(&()), TenantQuota::kind(&()));
    let object = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec});
    serde_json::from_value(object).map_err(|error| Problem::internal(&error))
}

/// What this manager has applied of a spec, as it is now. An apply removes what it leaves out, and shares what it names: so it must name
/// all of its own, and nothing of others.
fn ours(whole: &DynamicObject) -> Value {
    let of_ours = whole.metadata.managed_fields.iter().flatten().find(|entry| {
        entry.manager.as_deref() == Some(TENANT) && entry.operation.as_deref() == Some("Apply")
    });
    let fields = of_ours.and_then(|entry| Some(entry.fields_v1.as_ref()?.0.get("f:spec")?.clone()));
    let none = || Value::Object(Map::new());
    fields.and_then(|fields| project(&whole.data["spec"], &fields)).unwrap_or_else(none)
}

/// The part of a value that a set of fields names; what has no fields below is meant as it is.
fn project(value: &Value, fields: &Value) -> Option<Value> {
    let named = fields.as_object()?;
    let Some(object) = value.as_object().filter(|_| !named.is_empty()) else { return Some(value.clone()) };
    let below = named.iter().filter_map(|(name, below)| Some((name.strip_prefix("f:")?, below)));
    let parts: Map<String, Value> = below
        .filter_map(|(name, below)| Some((name.to_owned(), project(object.get(name)?, below)?)))
        .collect();
    Some(Value::Object(parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_this_manager_applied_is_applied_again() {
        let whole: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "nakhoda.dev/v1alpha1", "kind": "TenantQuota",
            "metadata": {"name": "u1", "managedFields": [
                {"manager": TENANT, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {
                    "f:owner": {}, "f:limits": {"f:instances": {}},
                    "f:retained": {"f:aaaaaaaaaaaa": {".": {}, "f:keepUntil": {}}}}}},
                {"manager": "gitops", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {
                    "f:retained": {"f:bbbbbbbbbbbb": {"f:purge": {}}}}}},
            ]},
            "spec": {"owner": "1", "limits": {"instances": 3, "cpu": "8"}, "offboard": "DeleteData", "retained": {
                "aaaaaaaaaaaa": {"keepUntil": "2027-01-01T00:00:00Z", "purge": false}, "bbbbbbbbbbbb": {"purge": true}}},
        }))
        .unwrap();
        assert_eq!(
            ours(&whole),
            json!({"owner": "1", "limits": {"instances": 3},
                "retained": {"aaaaaaaaaaaa": {"keepUntil": "2027-01-01T00:00:00Z"}}})
        );
    }
}
