//! What billing owns of a resource, as the cluster is told it: the tenant, the plan, until when it is paid for, its hold. Telling it twice
//! changes nothing, and nothing is brought back that is gone: every change but the first names the resource's uid.

use super::{
    live::{self, Home},
    owner,
};
use crate::{
    cluster::{CallError, Cluster, watch::Key},
    subscriptions::{
        Crossing, KEEP_FOR, Subscription,
        life::{Seen, Wanted},
    },
};
use crds::{ServiceInstance, TenantQuota, conditions, labels, managers, names};
use jiff::Timestamp;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions},
};
use serde_json::{Value, json};
use uuid::Uuid;

/// Why a hold stands on what has ended; customers and administrators read it.
const ENDED: &str = "The subscription has ended.";
/// How often a change is tried while others write the same resource.
const TRIES: usize = 8;

/// Why the cluster was not told, or not asked. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum CrossingError {
    /// The operator has not made the tenant's namespace yet.
    #[error("the tenant's namespace is not ready yet")]
    NoNamespace,
    /// The tenant's name is somebody else's.
    #[error("the tenant's name belongs to somebody else")]
    ForeignTenant,
    /// There is one of that name that is not the one that was made.
    #[error("another resource has the name of this one")]
    NameTaken,
    /// It was made, and somebody else has deleted it.
    #[error("the resource was deleted by somebody else")]
    Vanished,
    /// Somebody knows more than we do: what we were about to say is old.
    #[error("the resource was told something newer already")]
    Overtaken,
    /// The tenant's namespace is being deleted, and nothing can be written in it any more.
    #[error("the tenant's namespace is being deleted")]
    NamespaceEnding,
    /// It was changed each time between reading and writing.
    #[error("the resource is being changed all the time")]
    Busy,
    /// The cluster.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl CrossingError {
    /// Whether it is only to be waited for.
    pub fn is_waiting(&self) -> bool {
        matches!(self, Self::NoNamespace | Self::NamespaceEnding)
    }
}

/// What the cluster has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The resource says so, as of this generation.
    Applied {
        /// Which resource.
        uid: Uuid,
        /// Its generation.
        generation: i64,
    },
    /// There is none, and there need be none.
    Nothing,
}

/// What the watch says of a resource.
pub fn seen(instance: &ServiceInstance) -> Option<Seen> {
    let uid = instance.uid().and_then(|uid| Uuid::try_parse(&uid).ok())?;
    let status = instance.status.as_ref();
    let observed_generation = status.and_then(|status| status.observed_generation).unwrap_or_default();
    // Of what the operator has seen, which may not be the newest: whoever changes the resource all the time hides nothing.
    let is = |condition: &str| {
        let found = status.and_then(|status| conditions::find(&status.conditions, condition));
        found.is_some_and(|one| one.status == "True" && one.observed_generation == Some(observed_generation))
    };
    // The operator takes its finalizer off last: it makes nothing of it any more.
    let is_tended = instance.finalizers().iter().any(|one| one == labels::FINALIZER);
    Some(Seen {
        uid,
        is_over: instance.metadata.deletion_timestamp.is_some() && !is_tended,
        generation: instance.metadata.generation.unwrap_or_default(),
        observed_generation,
        is_available: is(conditions::AVAILABLE),
        is_suspended: is(conditions::SUSPENDED),
        told: told_last(instance),
        was_there: was_there(instance),
    })
}

/// What billing told a resource last.
fn told_last(instance: &ServiceInstance) -> Option<i64> {
    instance.annotations().get(labels::BILLING_VERSION).and_then(|text| text.parse().ok())
}

/// It says until when it is paid for, which is told once it was there for the first time; and billing does not hold it.
fn was_there(instance: &ServiceInstance) -> bool {
    let is_held = instance.spec.holds.as_ref().is_some_and(|holds| holds.billing.is_some());
    instance.spec.entitlement.as_ref().is_some_and(|one| one.paid_until.is_some()) && !is_held
}

/// The subscription that a resource was made by.
pub fn subscription_of(instance: &ServiceInstance) -> Option<Uuid> {
    instance.labels().get(labels::SUBSCRIPTION).and_then(|id| Uuid::try_parse(id).ok())
}

/// The resource of a subscription, as the watch has it.
pub fn find(cluster: &Cluster, row: &Subscription) -> Option<Seen> {
    let all = cluster.watches().instances.last_known().ok()?;
    let found = all.get(&Key::within(&names::tenant_namespace(&row.tenant()), &row.resource_name()))?;
    // Until its uid is noted, the label says which one it is.
    let is_known = row.crossing.uid.is_some() || subscription_of(found) == Some(row.id);
    seen(found).filter(|_| is_known)
}

/// Asks the cluster itself whether a subscription was never there, as its row says: only then it is given up. Whatever a watch shows or does
/// not, an app that is paid for loses nothing by a row that is older than it.
///
/// # Errors
/// [`CrossingError::Overtaken`] where the cluster knows more; [`CrossingError`].
pub async fn was_never_there(cluster: &Cluster, row: &Subscription) -> Result<(), CrossingError> {
    let is_newer = |one: &ServiceInstance| told_last(one) > Some(row.crossing.desired_version);
    match live(cluster, row).await? {
        Some(found) if was_there(&found) || is_newer(&found) => Err(CrossingError::Overtaken),
        _ => Ok(()),
    }
}

/// Makes the resource of a subscription, in a tenant that is made where it is missing. It is not entitled to anything, so that whoever
/// comes late with this makes nothing that runs; its uid must be noted before [`tell`] entitles it.
///
/// # Errors
/// [`CrossingError`].
pub async fn make(cluster: &Cluster, row: &Subscription) -> Result<Uuid, CrossingError> {
    let namespace = namespace(cluster, row).await?;
    let plan = json!({"planRef": row.plan});
    let Some(found) = live::find(cluster, &namespace, &row.resource_name()).await? else {
        let to = Target { cluster, namespace: &namespace, row };
        return Ok(place(&to.apply(managers::ORDER, plan, Onto::Nothing).await?)?.0);
    };
    if subscription_of(&found).is_some_and(|id| id != row.id) {
        return Err(CrossingError::NameTaken);
    }
    // It was made before, and nobody noted that. What it was told since is not told older words.
    let uid = place(&found)?.0;
    let row = &Subscription { crossing: Crossing { uid: Some(uid), ..row.crossing }, ..row.clone() };
    Target { cluster, namespace: &namespace, row }.change(managers::ORDER, plan).await?;
    Ok(uid)
}

/// Tells the cluster what is wanted of a subscription's resource.
///
/// # Errors
/// [`CrossingError`].
pub async fn tell(cluster: &Cluster, row: &Subscription, wanted: Wanted) -> Result<Told, CrossingError> {
    match wanted {
        Wanted::Run { paid_until, suspend_at } => run(cluster, row, paid_until, suspend_at).await,
        Wanted::Hold { since } => hold(cluster, row, since).await,
        Wanted::Gone => delete(cluster, row).await,
    }
}

async fn run(
    cluster: &Cluster,
    row: &Subscription,
    paid_until: Option<Timestamp>,
    suspend_at: Timestamp,
) -> Result<Told, CrossingError> {
    let namespace = names::tenant_namespace(&row.tenant());
    let to = Target { cluster, namespace: &namespace, row };
    let found = to.read().await?;
    // Nobody takes what is paid for from it by a row that is older.
    if paid_until.is_none() && was_there(&found) {
        return Err(CrossingError::Overtaken);
    }
    if found.spec.plan_ref != row.plan {
        to.change(managers::ORDER, json!({"planRef": row.plan})).await?;
    }
    // Its owner changes nothing of it before that was told. After a crash it is told once more, and takes nothing from anybody.
    if row.crossing.applied_version == 0 {
        to.say_for_owner().await?;
    } else if found.spec.display_name.as_deref() != Some(&row.name) {
        owner::rename(cluster, row, &namespace).await?;
    }
    let mut entitlement = json!({"suspendAt": second(suspend_at)});
    if let Some(until) = paid_until {
        entitlement["paidUntil"] = json!(second(until));
    }
    told(&to.change(managers::ENTITLEMENT, json!({"entitlement": entitlement})).await?)
}

fn told(written: &ServiceInstance) -> Result<Told, CrossingError> {
    let generation = written.metadata.generation.unwrap_or_default();
    Ok(Told::Applied { uid: place(written)?.0, generation })
}

/// A resource keeps whole seconds.
fn second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

async fn hold(cluster: &Cluster, row: &Subscription, since: Timestamp) -> Result<Told, CrossingError> {
    let Some(found) = live(cluster, row).await? else { return Ok(Told::Nothing) };
    let (uid, namespace) = place(&found)?;
    let row = &Subscription { crossing: Crossing { uid: Some(uid), ..row.crossing }, ..row.clone() };
    let to = Target { cluster, namespace: &namespace, row };
    let holds = json!({"holds": {"billing": {"reason": ENDED, "since": second(since)}}});
    // What has ended never runs again by this resource: its hold is written whatever else was told or is being written.
    match to.apply(managers::HOLD_BILLING, holds, Onto::Uid(&found)).await {
        Ok(held) => told(&held),
        Err(error) => unless_gone(cluster, row, error).await,
    }
}

/// What failed need not be done where the resource is gone: what is refused as a conflict may also be one that others write at the moment,
/// and what is forbidden may be so because the namespace is gone, or going.
async fn unless_gone(
    cluster: &Cluster,
    row: &Subscription,
    error: CrossingError,
) -> Result<Told, CrossingError> {
    let is = |code| matches!(&error, CrossingError::Call(error) if error.is(code));
    let may_be_gone = matches!(error, CrossingError::Vanished) || is(404) || is(409) || is(403);
    if may_be_gone && live(cluster, row).await?.is_none() {
        return Ok(Told::Nothing);
    }
    if is(403) && live::home(cluster, &names::tenant_namespace(&row.tenant())).await? == Home::Ending {
        return Err(CrossingError::NamespaceEnding);
    }
    Err(error)
}

/// Takes away what was made too late, of what had ended before it was there.
///
/// # Errors
/// [`CrossingError`].
pub async fn unmake(cluster: &Cluster, row: &Subscription, uid: Uuid) -> Result<(), CrossingError> {
    let row = Subscription { crossing: Crossing { uid: Some(uid), ..row.crossing }, ..row.clone() };
    delete(cluster, &row).await.map(drop)
}

async fn delete(cluster: &Cluster, row: &Subscription) -> Result<Told, CrossingError> {
    let Some(found) = live(cluster, row).await? else { return Ok(Told::Nothing) };
    let (uid, namespace) = place(&found)?;
    let name = found.name_any();
    let only = Preconditions { uid: Some(uid.to_string()), resource_version: None };
    let params = DeleteParams { preconditions: Some(only), ..DeleteParams::default() };
    let done = cluster
        .call(async |client| {
            Api::<ServiceInstance>::namespaced(client, &namespace).delete(&name, &params).await
        })
        .await;
    match done {
        Ok(_) => Ok(Told::Nothing),
        Err(error) => unless_gone(cluster, row, error.into()).await,
    }
}

/// Asks the cluster itself whether nothing of a subscription runs, nor can begin to: no pod of its resource is left; or there is no
/// resource, and whoever might still be making one makes it without an entitlement.
///
/// # Errors
/// [`CrossingError`].
pub async fn is_quiet(cluster: &Cluster, row: &Subscription) -> Result<bool, CrossingError> {
    let found = live(cluster, row).await?;
    if let Some(found) = &found {
        let seen = seen(found);
        let is_held = found.spec.holds.as_ref().is_some_and(|holds| holds.billing.is_some());
        let told = row.crossing.applied_generation.unwrap_or(i64::MAX);
        let is_suspended = seen.is_some_and(|seen| seen.is_suspended && seen.observed_generation >= told);
        let is_over = seen.is_some_and(|seen| seen.is_over);
        // What was made too late for anybody to entitle it has never run.
        let is_idle = found.spec.entitlement.is_none();
        if !(is_over || is_idle || is_held && is_suspended) {
            return Ok(false);
        }
    }
    let uid = found.as_ref().and_then(kube::ResourceExt::uid);
    let uid = uid.or_else(|| row.crossing.uid.map(|uid| uid.to_string()));
    let Some(uid) = uid else { return Ok(true) };
    let of_it = format!("{}={uid}", labels::INSTANCE);
    Ok(!live::may_run(cluster, &names::tenant_namespace(&row.tenant()), &of_it).await?)
}

/// The resource as the cluster itself has it now. Which one was made is known by its uid, whatever its owner has done to its labels; of one
/// that may just have been made by the label, wherever it is.
async fn live(cluster: &Cluster, row: &Subscription) -> Result<Option<ServiceInstance>, CrossingError> {
    let (namespace, name) = (names::tenant_namespace(&row.tenant()), row.resource_name());
    if let Some(uid) = row.crossing.uid.map(|uid| uid.to_string()) {
        let found = live::find(cluster, &namespace, &name).await?;
        return Ok(found.filter(|one| one.uid().as_deref() == Some(uid.as_str())));
    }
    // The namespace may not be there yet, where nobody has rights in it.
    let of_it = ListParams::default().labels(&format!("{}={}", labels::SUBSCRIPTION, row.id));
    Ok(live::among(cluster, &of_it, &namespace, &name).await?)
}

fn place(found: &ServiceInstance) -> Result<(Uuid, String), CrossingError> {
    let uid = found.uid().and_then(|uid| Uuid::try_parse(&uid).ok());
    uid.zip(found.namespace()).ok_or(CrossingError::NameTaken)
}

/// The tenant's namespace; the tenant is made where it is missing.
async fn namespace(cluster: &Cluster, row: &Subscription) -> Result<String, CrossingError> {
    let (name, owner) = (row.tenant(), row.user_id.to_string());
    let known = cluster.watches().tenants.last_known().ok();
    let mut tenant = known.and_then(|all| all.named(&name).map(|one| TenantQuota::clone(one)));
    if tenant.is_none() {
        let made = cluster.call(async |client| Api::<TenantQuota>::all(client).get_opt(&name).await).await?;
        tenant = match made {
            Some(made) => Some(made),
            None => Some(make_tenant(cluster, &name, &owner).await?),
        };
    }
    let tenant = tenant.filter(|tenant| tenant.spec.owner == owner).ok_or(CrossingError::ForeignTenant)?;
    let status = tenant.status.as_ref().ok_or(CrossingError::NoNamespace)?;
    let is_ready =
        conditions::find(&status.conditions, conditions::READY).is_some_and(|ready| ready.status == "True");
    status.namespace.clone().filter(|_| is_ready).ok_or(CrossingError::NoNamespace)
}

async fn make_tenant(cluster: &Cluster, name: &str, owner: &str) -> Result<TenantQuota, CrossingError> {
    let body = json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "TenantQuota", "metadata": {"name": name}, "spec": {"owner": owner}});
    let params = PatchParams::apply(managers::TENANT);
    let made = cluster
        .call(async |client| Api::<TenantQuota>::all(client).patch(name, &params, &Patch::Apply(&body)).await)
        .await;
    Ok(made?)
}

/// Takes paths out of a spec: an entry of a map, or all of a field.
fn leave_out(spec: &mut Value, paths: &[String]) {
    let Some(spec) = spec.as_object_mut() else { return };
    for path in paths {
        let (field, entry) =
            path.split_once('.').map_or((path.as_str(), None), |(field, entry)| (field, Some(entry)));
        let map = spec.get_mut(field).and_then(Value::as_object_mut);
        let is_left = entry.zip(map).is_some_and(|(entry, map)| {
            map.remove(entry);
            !map.is_empty()
        });
        if !is_left {
            spec.remove(field);
        }
    }
}

/// Onto what something is applied.
#[derive(Clone, Copy)]
enum Onto<'a> {
    /// It may not be there yet.
    Nothing,
    /// This resource, whatever it says by now.
    Uid(&'a ServiceInstance),
    /// This resource as it was read.
    Version(&'a ServiceInstance),
}

struct Target<'a> {
    cluster: &'a Cluster,
    namespace: &'a str,
    row: &'a Subscription,
}

impl Target<'_> {
    fn api(&self, client: kube::Client) -> Api<ServiceInstance> {
        Api::namespaced(client, self.namespace)
    }

    /// The resource that was made, as it is now; nobody has been told more of it than this row knows.
    async fn read(&self) -> Result<ServiceInstance, CrossingError> {
        let found = live::find(self.cluster, self.namespace, &self.row.resource_name()).await?;
        let uid = self.row.crossing.uid.map(|uid| uid.to_string());
        let found = found.filter(|found| found.uid() == uid).ok_or(CrossingError::Vanished)?;
        if told_last(&found) > Some(self.row.crossing.desired_version) {
            return Err(CrossingError::Overtaken);
        }
        Ok(found)
    }

    /// Says what its owner has ordered. What another tool has set meanwhile stays as it is there.
    async fn say_for_owner(&self) -> Result<(), CrossingError> {
        let row = self.row;
        let mut spec = json!({"displayName": row.name, "retention": {"keepFor": KEEP_FOR}});
        // Whoever says that there are none would have a say in all that others set.
        if !row.parameters.is_empty() {
            spec["parameters"] = json!(row.parameters);
        }
        for _ in 0..TRIES {
            let Err(error) = self.change(managers::OWNER, spec.clone()).await else { return Ok(()) };
            let others = match &error {
                CrossingError::Call(error) => error.managed_in_spec(),
                _ => Vec::new(),
            };
            if others.is_empty() {
                return Err(error);
            }
            leave_out(&mut spec, &others);
        }
        Err(CrossingError::Busy)
    }

    /// Applies the whole concern of a manager onto what was read a moment ago, so that what is old never overwrites what is new.
    async fn change(&self, manager: &str, spec: Value) -> Result<ServiceInstance, CrossingError> {
        for _ in 0..TRIES {
            let found = self.read().await?;
            // Until it is entitled, whoever may write the resource may write its plan; what is entitled is what was paid for.
            let is_other = manager == managers::ENTITLEMENT && found.spec.plan_ref != self.row.plan;
            let done = if is_other {
                let plan = json!({"planRef": self.row.plan});
                self.apply(managers::ORDER, plan, Onto::Version(&found)).await.map(|_| None)
            } else {
                self.apply(manager, spec.clone(), Onto::Version(&found)).await.map(Some)
            };
            match done {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => {}
                // Most often only its status was written meanwhile.
                Err(CrossingError::Call(error)) if error.is(409) && error.managed_in_spec().is_empty() => {}
                Err(error) => return Err(error),
            }
        }
        Err(CrossingError::Busy)
    }

    async fn apply(
        &self,
        manager: &str,
        spec: Value,
        onto: Onto<'_>,
    ) -> Result<ServiceInstance, CrossingError> {
        let (name, row) = (self.row.resource_name(), self.row);
        let version = row.crossing.desired_version.to_string();
        let mut metadata = json!({"name": name, "namespace": self.namespace});
        // Billing's concerns are billing's: what another wrote there is taken back. Its owner's are shared with the tools that they use.
        let is_billings = manager != managers::OWNER;
        if is_billings {
            metadata["annotations"] = json!({labels::BILLING_VERSION: version});
        }
        match onto {
            Onto::Nothing => {}
            Onto::Uid(found) => metadata["uid"] = json!(found.uid()),
            Onto::Version(found) => {
                metadata["uid"] = json!(found.uid());
                metadata["resourceVersion"] = json!(found.resource_version());
            }
        }
        if manager == managers::ORDER {
            metadata["labels"] = json!({labels::SUBSCRIPTION: row.id});
        }
        let body = json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServiceInstance", "metadata": metadata, "spec": spec});
        let params = PatchParams { force: is_billings, ..PatchParams::apply(manager) };
        let patch = Patch::Apply(&body);
        let done =
            self.cluster.call(async |client| self.api(client).patch(&name, &params, &patch).await).await;
        done.map_err(|error| match onto {
            Onto::Uid(_) | Onto::Version(_) if error.is(404) => CrossingError::Vanished,
            Onto::Nothing if error.is(404) => CrossingError::NoNamespace,
            _ => error.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_have_is_left_out_and_no_map_stays_that_says_nothing() {
        let spec =
            json!({"displayName": "A", "retention": {"keepFor": "14d"}, "parameters": {"a": "1", "b": "2"}});
        let without = |paths: &[&str]| {
            let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
            let mut spec = spec.clone();
            leave_out(&mut spec, &paths);
            spec
        };
        let wanted = json!({"displayName": "A", "parameters": {"b": "2"}});
        assert_eq!(without(&["retention.keepFor", "parameters.a"]), wanted);
        let wanted = json!({"retention": {"keepFor": "14d"}});
        assert_eq!(without(&["displayName", "parameters.a", "parameters.b", "unknown"]), wanted);
        assert_eq!(without(&["retention", "parameters"]), json!({"displayName": "A"}));
    }
}
