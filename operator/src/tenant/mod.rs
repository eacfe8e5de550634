//! `TenantQuota`: namespace, policies, quota, role bindings, and the one list of what has a place in the quota.

pub mod admission;
pub mod build;
pub mod cleanup;
pub mod plan;
pub mod purge;
pub mod retention;
pub mod status;

use crate::{
    apply::{self, CallError},
    context::Context,
    instance::execute,
    kinds::Kind,
    observed::{Child, Owner, State},
    own::{self, Own},
};
use crds::{ServiceInstance, TenantQuota, TenantQuotaStatus, labels, names};
use jiff::Timestamp;
use kube::{Resource as _, ResourceExt as _, core::ApiResource, runtime::controller::Action};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// The longest that a wake-up is set ahead: a clock that jumps is noticed, and timers have their limits.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// The shortest: the list of what is due must have been written.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// Converges one tenant.
///
/// # Errors
/// When a call failed and it must be tried again.
pub async fn reconcile(tenant: Arc<TenantQuota>, context: Arc<Context>) -> Result<Action, CallError> {
    let tenant = context.own_tenants.newest(tenant);
    if tenant.annotations().get(labels::RECONCILE).is_some_and(|value| value == "disabled") {
        context.report.hands_off(&*tenant).await;
        return Ok(Action::await_change());
    }
    if tenant.meta().deletion_timestamp.is_some() {
        return cleanup::delete(&context, tenant).await;
    }
    let tenant = own::ensure_finalizer(&context.cluster, &context.own_tenants, tenant).await?;
    if let Some(problem) = namespace_problem(&context, &tenant).await? {
        write(&context, &tenant, status::unusable(&tenant, &problem, &context.settings, context.clock.now()))
            .await?;
        return Ok(Action::requeue(Duration::from_secs(30)));
    }
    let desired = build::build(&tenant, &context.settings, &context.namespace);
    for operation in plan::plan(&desired, &children(&context, &tenant)) {
        execute::execute(&context.cluster, &context.children, &operation).await?;
    }
    let children = children(&context, &tenant);
    let settled = plan::plan(&desired, &children).is_empty() && quota_is_settled(&children);
    let purge::Tended { judgement, trouble } = purge::tend(&context, &tenant).await;
    let look_again = judgement.look_again;
    let status = admit(&context, &tenant, settled, judgement).await?;
    purge::report(&context, &tenant, &status).await;
    write(&context, &tenant, status).await?;
    // Trouble with data that is due keeps nobody from a place, so it is told last.
    trouble.map_or_else(|| Ok(next(look_again, context.clock.now())), Err)
}

/// When the clock alone may change something about retained data.
fn next(look_again: Option<Timestamp>, now: Timestamp) -> Action {
    let until = look_again.map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
    until.map_or_else(Action::await_change, |pause| {
        Action::requeue(pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE))
    })
}

/// The tenant's own objects: those that belong to no instance, and its namespace.
///
/// By label and place, since a label can be set by anybody anywhere.
fn children(context: &Context, tenant: &TenantQuota) -> Vec<Arc<Child>> {
    let namespace = names::tenant_namespace(&tenant.name_any());
    let mut children = context.children.of(&Owner::Tenant(tenant.name_any()));
    children.retain(|child| {
        child.key.namespace == namespace || (child.key.kind == Kind::Namespace && child.key.name == namespace)
    });
    children
}

fn quota_is_settled(children: &[Arc<Child>]) -> bool {
    children.iter().any(|child| matches!(child.state, State::Quota { settled: true }))
}

/// A namespace of the right name that we did not make is nobody's to take.
async fn namespace_problem(
    context: &Context,
    tenant: &TenantQuota,
) -> Result<Option<status::Problem>, CallError> {
    let name = names::tenant_namespace(&tenant.name_any());
    let key = apply::key(Kind::Namespace, "", &name);
    if let Some(child) = context.children.get(&key) {
        let ours = child.tenant.as_deref() == Some(tenant.name_any().as_str());
        return Ok(match (ours, child.terminating) {
            (true, false) => None,
            (true, true) => Some(status::Problem::namespace_ending(&name)),
            (false, _) => Some(status::Problem::namespace_taken(&name)),
        });
    }
    let Some(live) = context.cluster.get(&key).await? else { return Ok(None) };
    let label =
        |name: &str| live.pointer("/metadata/labels").and_then(|all| all.get(name)).and_then(Value::as_str);
    let ours =
        label(labels::TENANT) == Some(&tenant.name_any()) && label(labels::PAAS_MANAGED) == Some("true");
    Ok((!ours).then(|| status::Problem::namespace_taken(&name)))
}

/// Works out who has a place. What the cache would change is worked out once more from a live list before it is
/// written, onto the very version of the tenant that it was worked out from.
async fn admit(
    context: &Context,
    tenant: &TenantQuota,
    settled: bool,
    data: retention::Judgement,
) -> Result<TenantQuotaStatus, CallError> {
    let now = context.clock.now();
    let before = tenant.status.clone().unwrap_or_default();
    if !settled {
        return Ok(status::settling(tenant, data, &context.settings, now));
    }
    let namespace = names::tenant_namespace(&tenant.name_any());
    let plan_of = |name: &str| context.caches.plan(name);
    let cached: Vec<Arc<ServiceInstance>> = context.caches.instances_in(&namespace);
    let mut decision = admission::decide(&tenant.spec.limits, &before.admitted, &cached, plan_of);
    if decision.admitted != before.admitted {
        let resource = ApiResource::erase::<ServiceInstance>(&());
        let live = context.cluster.list(&resource, &namespace, "").await?;
        let live: Vec<Arc<ServiceInstance>> =
            live.into_iter().filter_map(|one| admission::read(one, &before.admitted)).map(Arc::new).collect();
        decision = admission::decide(&tenant.spec.limits, &before.admitted, &live, plan_of);
    }
    Ok(status::status(tenant, decision, data, now))
}

async fn write(context: &Context, tenant: &TenantQuota, status: TenantQuotaStatus) -> Result<(), CallError> {
    if tenant.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let version = tenant.resource_version();
    own::write_status(&context.cluster, &context.own_tenants, tenant, &status, version.as_deref()).await?;
    Ok(())
}

impl Own for TenantQuota {
    type Status = TenantQuotaStatus;

    fn status(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }
}
