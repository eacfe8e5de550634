//! The main story, walked once: catalogue, tenant, instance, entitlement, Available.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use crds::instance::PowerState;
use crds::managers::{CATALOGUE, ENTITLEMENT, OWNER, TENANT};
use crds::{ServiceInstance, TenantQuota, conditions, names};
use kube::runtime::wait::await_condition;
use kube::{Api, Client, ResourceExt};

use crate::charts::NAMESPACE;
use crate::cluster::Cluster;
use crate::identity::Actor;
use crate::story::Story;
use crate::{apply, repository, wait};

/// How long the tenant may take.
const TENANT_BOUND: Duration = Duration::from_mins(1);
/// How long the instance may take; a promise to customers is two to five minutes.
const AVAILABLE_BOUND: Duration = Duration::from_mins(5);
/// The cluster role of those who may set an entitlement.
const ENTITLER: &str = "nakhoda-entitler";

/// Applies the catalogue and the samples; returns the instance once it serves. `simulated` is added to
/// what is claimed where no container runs.
pub(super) async fn walk(cluster: &Cluster, story: Story, simulated: &str) -> Result<ServiceInstance> {
    let admin = cluster.admin().await?;
    let config = repository::root().join("config");
    let count = apply::folder(&admin, &config.join("catalog"), CATALOGUE).await?;
    story.step(format!("catalogue applied: {count} templates and plans"));
    let tenant = one(apply::file(&admin, &sample("tenant.yaml"), TENANT).await?, "tenant.yaml")?;
    until_ready(&admin, &tenant).await?;
    story.step(format!("tenant {tenant} Ready: namespace, policies, quota"));

    let name = one(apply::file(&admin, &sample("postgresql.yaml"), OWNER).await?, "postgresql.yaml")?;
    let instances: Api<ServiceInstance> = Api::namespaced(admin.clone(), &names::tenant_namespace(&tenant));
    story.step(format!("instance {name} ordered"));
    entitle(cluster, &instances, &name).await?;
    story.step(format!("instance {name} entitled, by an identity that may"));
    let instance = until_available(&instances, &name, cluster).await?;
    let state =
        if is_stopped(&instance) { "Ready, stopped by its owner in an earlier run" } else { "Available" };
    story.step(format!("instance {name} {state}{simulated}"));
    Ok(instance)
}

fn sample(file: &str) -> PathBuf {
    repository::root().join("config/samples").join(file)
}

/// The name of a sample file's one object.
fn one(applied: Vec<kube::core::DynamicObject>, file: &str) -> Result<String> {
    let object = applied.into_iter().next();
    Ok(object.with_context(|| format!("config/samples/{file} has no object"))?.name_any())
}

async fn until_ready(admin: &Client, name: &str) -> Result<()> {
    let tenants: Api<TenantQuota> = Api::all(admin.clone());
    let ready = await_condition(tenants, name, |found: Option<&TenantQuota>| {
        let status = found.and_then(|tenant| Some((tenant.status.as_ref()?, tenant.metadata.generation)));
        status.is_some_and(|(status, generation)| {
            conditions::is_true(&status.conditions, conditions::READY, generation)
        })
    });
    wait::within(&format!("the tenant {name} to be Ready"), TENANT_BOUND, ready).await?;
    Ok(())
}

/// Entitles the sample as somebody who may, with the instance's uid so that nothing deleted comes back.
async fn entitle(cluster: &Cluster, instances: &Api<ServiceInstance>, name: &str) -> Result<()> {
    let entitler = Actor::create(cluster, NAMESPACE, "nakhoda-sample-entitler").await?;
    entitler.bind_everywhere(cluster, ENTITLER).await?;
    let client = entitler.client(None)?;
    let path = sample("entitlement.yaml");
    let mut entitlement =
        apply::read(&path)?.into_iter().next().context("config/samples/entitlement.yaml is empty")?;
    entitlement.metadata.uid = instances.get(name).await?.metadata.uid;
    // RBAC's caches take a moment to know a new binding.
    wait::until("the entitler's rights", TENANT_BOUND, async || {
        match apply::object(&client, &entitlement, ENTITLEMENT).await {
            Ok(_) => Ok(Some(())),
            Err(error) if is_forbidden(&error) => Ok(None),
            Err(error) => Err(error),
        }
    })
    .await
}

fn is_forbidden(error: &anyhow::Error) -> bool {
    error.downcast_ref::<apply::Refused>().is_some_and(|refused| refused.code == 403)
}

async fn until_available(
    instances: &Api<ServiceInstance>,
    name: &str,
    cluster: &Cluster,
) -> Result<ServiceInstance> {
    let available = await_condition(instances.clone(), name, |found: Option<&ServiceInstance>| {
        found.is_some_and(|it| it.is(conditions::AVAILABLE) || is_stopped(it) && it.is(conditions::READY))
    });
    match wait::within(&format!("the instance {name} to be Available"), AVAILABLE_BOUND, available).await {
        Ok(instance) => instance.with_context(|| format!("the instance {name} was deleted")),
        Err(error) => bail!("{error:#}\n{}", explain(instances, name, &cluster.logs()).await),
    }
}

/// The data of an earlier run stays, and so does what was decided there.
fn is_stopped(instance: &ServiceInstance) -> bool {
    instance.spec.power_state == PowerState::Stopped
}

/// What an instance says of itself, and where to look further.
async fn explain(instances: &Api<ServiceInstance>, name: &str, logs: &Path) -> String {
    let conditions = match instances.get(name).await {
        Ok(instance) => instance.status.map(|status| status.conditions).unwrap_or_default(),
        Err(error) => return format!("and it can't be read: {error}"),
    };
    let mut lines: Vec<String> = conditions
        .iter()
        .map(|c| format!("  {:14} {:8} {:20} {}", c.type_, c.status, c.reason, c.message))
        .collect();
    if lines.is_empty() {
        lines.push("  it has no condition yet: does the operator see it?".to_owned());
    }
    lines.push(format!("the logs are in {}", logs.display()));
    lines.join("\n")
}
