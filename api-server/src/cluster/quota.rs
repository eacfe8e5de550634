//! What a customer may have at once: the limits of their `TenantQuota`. Until somebody sets them there is none, and the defaults hold.

use super::{
    Cluster,
    apply::{self, Found, Place, Told},
};
use crate::{
    audit::{self, Actor},
    http::problem::{Code, Problem},
    state::State,
};
use crds::{
    conditions,
    managers::TENANT,
    names,
    quota::{Limits, TenantQuota, Used},
};
use kube::api::PostParams;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// A customer's limits and what they use of them.
#[derive(Clone, Debug)]
pub struct Quota {
    user: Uuid,
    found: Option<Found<TenantQuota>>,
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

impl Quota {
    /// Reads it from the cluster.
    ///
    /// # Errors
    /// 503 where the cluster is away.
    pub async fn read(cluster: &Cluster, user: Uuid) -> Result<Self, Problem> {
        let name = tenant(user);
        let found = Found::<TenantQuota>::find(cluster, None, &name).await?;
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
        let told = Told {
            actor: &change.actor,
            reason: change.reason.as_deref(),
            actions: ["user.set_quota", "user.set_quota_failed", "user.set_quota_unconfirmed"],
            entity_type: "user",
            entity_id: &self.user.to_string(),
        };
        apply::record(state, &told, 0, Some(&before), Some(&after)).await?;
        let error = match self.make_and_apply(cluster, change).await {
            Ok(found) => return Ok(Self { found: Some(found), ..self }),
            Err(error) => error,
        };
        // An answer that was lost may have been a yes.
        let outcome = match Self::read(cluster, self.user).await {
            Ok(now) if now.limits() == change.limits && now.version() != self.version() => return Ok(now),
            Ok(_) => 1,
            Err(_) => 2,
        };
        apply::record(state, &told, outcome, Some(&after), Some(&before)).await?;
        Err(error)
    }

    /// Whoever makes it is the only one who does; what is there already was made since it was read.
    async fn make_and_apply(
        &self,
        cluster: &Cluster,
        change: &Change,
    ) -> Result<Found<TenantQuota>, Problem> {
        if self.found.is_some() {
            return self.apply(cluster, change, false).await;
        }
        let params = PostParams { field_manager: Some(TENANT.to_owned()), ..PostParams::default() };
        let bare = apply::document::<TenantQuota>(&self.tenant(), None, &self.bare())?;
        let made =
            cluster.call(async |client| apply::api::<TenantQuota>(client).create(&params, &bare).await).await;
        let made = made.map_err(|error| match error.status() {
            Some(status) if status.code == 409 => Problem::new(Code::PreconditionFailed),
            _ => error.into(),
        })?;
        Self { found: Some(Found::read(made)?), ..self.clone() }.apply(cluster, change, false).await
    }

    /// What there must be at least.
    fn bare(&self) -> Map<String, Value> {
        Map::from_iter([("owner".to_owned(), json!(self.user.to_string()))])
    }

    async fn apply(
        &self,
        cluster: &Cluster,
        change: &Change,
        dry_run: bool,
    ) -> Result<Found<TenantQuota>, Problem> {
        let mut changes = if self.found.is_some() { Map::new() } else { self.bare() };
        changes.insert("limits".to_owned(), audit::value(&change.limits).unwrap_or_default());
        let (name, take_over) = (&self.tenant(), change.take_over);
        let place = Place { manager: TENANT, namespace: None, name, take_over, by_entry: &[] };
        apply::apply(cluster, place, self.found.as_ref(), &changes, dry_run).await
    }
}

fn tenant(user: Uuid) -> String {
    names::tenant_of_user(&user.to_string())
}
