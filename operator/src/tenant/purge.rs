//! Carries out what `retention` decides about retained data: a look past the caches first, then one call after the other,
//! each onto the very version that was judged.

use super::{
    Context,
    retention::{
        self, Act, CLOCK_DISAGREES, Clocks, DATA_ORPHANED, Judgement, Live, PURGE_BLOCKED, SecretSeen, Step,
        View,
    },
};
use crate::{
    apply::CallError,
    instance::execute,
    kinds::Kind,
    observed::{Child, Release},
};
use crds::{ServiceInstance, TenantQuota, TenantQuotaStatus, conditions, labels, names};
use kube::{ResourceExt as _, core::ApiResource, runtime::events::EventType};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// How often one reconcile looks and acts before it yields.
const ROUNDS: usize = 4;
/// How many calls one reconcile makes about retained data: a tenant with much of it must not wait for its own admission.
const MOST_STEPS: usize = 60;

/// What came of it.
#[derive(Debug)]
pub struct Tended {
    /// What is to be said, and when to look again.
    pub judgement: Judgement,
    /// Why it did not get on, where it did not.
    pub trouble: Option<CallError>,
}

/// Looks after the retained data of a tenant as far as it can now.
pub async fn tend(context: &Context, tenant: &TenantQuota) -> Tended {
    let namespace = names::tenant_namespace(&tenant.name_any());
    let volumes = context.children.claims_in(&namespace);
    let instances = context.caches.instances_in(&namespace);
    let judgement = retention::judge(
        &View {
            tenant,
            volumes: &volumes,
            instances: &instances,
            live: None,
            clocks: Clocks { operator: context.clock.now(), server: None },
        },
        &context.settings.retention,
    );
    if !judgement.look {
        return Tended { judgement, trouble: None };
    }
    match look_and_act(context, tenant, &namespace, &judgement.look_at).await {
        Ok(judgement) => Tended { judgement, trouble: None },
        Err(error) => Tended { judgement, trouble: Some(error) },
    }
}

/// Looks, acts, and looks again: what a step has changed is judged anew before the next.
async fn look_and_act(
    context: &Context,
    tenant: &TenantQuota,
    namespace: &str,
    look_at: &[String],
) -> Result<Judgement, CallError> {
    let (mut done, mut last) = (0, None);
    for _ in 0..ROUNDS {
        let judgement = look(context, tenant, namespace, look_at).await?;
        if judgement.steps.is_empty() || done >= MOST_STEPS {
            return Ok(judgement);
        }
        last = None;
        for step in judgement.steps.iter().take(MOST_STEPS - done) {
            match act(context, tenant, step).await {
                Ok(()) => done += 1,
                // Somebody was faster: whether it is still to be destroyed is judged anew.
                Err(error) if error.code() == Some(409) || error.is_not_found() => {
                    last = Some(error);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
    }
    match last {
        Some(error) => Err(error),
        None => look(context, tenant, namespace, look_at).await,
    }
}

/// Judges by what the API server itself says: its clock, the volumes, who uses them, who names them, and the Secrets.
async fn look(
    context: &Context,
    tenant: &TenantQuota,
    namespace: &str,
    look_at: &[String],
) -> Result<Judgement, CallError> {
    let cluster = &context.cluster;
    let server = if look_at.is_empty() { None } else { Some(cluster.server_time(namespace).await?) };
    let clocks = Clocks { operator: context.clock.now(), server };
    let mut secrets = BTreeMap::new();
    for id in look_at {
        let live = cluster.get(&retention::secret_key(namespace, id)).await?;
        let seen = live.and_then(|live| {
            let child = Child::reduce(Kind::Secret, &live)?;
            Some(SecretSeen { child, release: Release::reduce(&live) })
        });
        secrets.insert(id.clone(), seen);
    }
    // Pods and instances last: whoever begins to use the data after this look changes what is deleted by version.
    let selector = format!("{},{}={}", labels::DATA, labels::MANAGED_BY, labels::MANAGER);
    let claims = cluster.list(&Kind::PersistentVolumeClaim.resource(), namespace, &selector).await?;
    let claims = claims.iter().filter_map(|live| Child::reduce(Kind::PersistentVolumeClaim, live));
    let volumes: Vec<Arc<Child>> = claims.map(Arc::new).collect();
    let pods = cluster.list(&Kind::Pod.resource(), namespace, "").await?;
    let live = Live { mounted: mounted(&pods), secrets };
    let instances = cluster.list(&ApiResource::erase::<ServiceInstance>(&()), namespace, "").await?;
    let instances: Result<Vec<Arc<ServiceInstance>>, _> =
        instances.into_iter().map(|one| serde_json::from_value(one).map(Arc::new)).collect();
    // One that can't be read may name the data.
    let instances = instances.map_err(|_| CallError::Answer("an instance of the tenant can't be read"))?;
    let view = View { tenant, volumes: &volumes, instances: &instances, live: Some(&live), clocks };
    Ok(retention::judge(&view, &context.settings.retention))
}

/// The claims that pods which have not ended mount.
fn mounted(pods: &[Value]) -> BTreeSet<String> {
    let ended = |pod: &&Value| {
        matches!(pod.pointer("/status/phase").and_then(Value::as_str), Some("Succeeded" | "Failed"))
    };
    let volumes =
        pods.iter().filter(|pod| !ended(pod)).filter_map(|pod| pod.pointer("/spec/volumes")?.as_array());
    volumes
        .flatten()
        .filter_map(|volume| volume.pointer("/persistentVolumeClaim/claimName")?.as_str())
        .map(str::to_owned)
        .collect()
}

async fn act(context: &Context, tenant: &TenantQuota, step: &Step) -> Result<(), CallError> {
    let (key, what) = match &step.act {
        Act::Note { key, patch } => {
            let answer = context.cluster.merge(key, patch).await?;
            execute::remember(&context.children, key, &answer);
            (key, "noted on retained data")
        }
        Act::Delete { key, seen } => {
            context.cluster.delete_version(key, seen).await?;
            context.children.deleted(key, &seen.uid);
            (key, "deleted retained data")
        }
    };
    tracing::info!(
        tenant.name = tenant.name_any(),
        data.id = step.data_id,
        object.kind = key.kind.name(),
        object.name = key.name,
        "{what}"
    );
    if let Some((reason, note)) = &step.tell {
        context.report.publish(tenant, EventType::Normal, reason, note).await;
    }
    Ok(())
}

/// Tells once of what needs somebody: when the condition's reason changes.
pub async fn report(context: &Context, tenant: &TenantQuota, now: &TenantQuotaStatus) {
    let of =
        |status: &TenantQuotaStatus| conditions::find(&status.conditions, conditions::DATA_RETAINED).cloned();
    let before = tenant.status.as_ref().and_then(of).map(|said| said.reason);
    let Some(said) = of(now).filter(|said| before.as_ref() != Some(&said.reason)) else { return };
    if [CLOCK_DISAGREES, PURGE_BLOCKED, DATA_ORPHANED].contains(&said.reason.as_str()) {
        context.report.publish(tenant, EventType::Warning, &said.reason, &said.message).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_that_has_ended_mounts_nothing() {
        let pod = |phase: &str, claim: &str| {
            let volumes = json!([{"emptyDir": {}}, {"persistentVolumeClaim": {"claimName": claim}}]);
            json!({"spec": {"volumes": volumes}, "status": {"phase": phase}})
        };
        let pods = [pod("Running", "a"), pod("Succeeded", "b"), pod("Pending", "c"), json!({"spec": {}})];
        assert_eq!(mounted(&pods), BTreeSet::from(["a".to_owned(), "c".to_owned()]));
    }
}
