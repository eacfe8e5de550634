//! What is sold in these stories.

use anyhow::{Context, Result};
use crds::managers;
use e2e::{apply, repository};
use kube::Client;
use serde_json::json;

/// Applies the PostgreSQL template and a plan, both under another name. The plan is small, so that many fit on the
/// simulated nodes.
pub(super) async fn sell(admin: &Client, name: &str) -> Result<()> {
    let mut objects = apply::read(&repository::root().join("config/catalog/postgresql.yaml"))?.into_iter();
    let mut template = objects.next().context("the catalogue begins with the template")?;
    template.metadata.name = Some(name.to_owned());
    let mut plan = objects.next().context("a plan follows it")?;
    plan.metadata.name = Some(name.to_owned());
    plan.data["spec"]["templateRef"] = json!(name);
    plan.data["spec"]["resources"] = json!({"cpu": "20m", "memory": "64Mi", "storage": "1Gi"});
    for object in [template, plan] {
        apply::object(admin, &object, managers::CATALOGUE).await?;
    }
    Ok(())
}

/// Applies a larger plan of an app that is sold already.
pub(super) async fn sell_larger(admin: &Client, app: &str, name: &str) -> Result<()> {
    let objects = apply::read(&repository::root().join("config/catalog/postgresql.yaml"))?;
    let mut plan = objects.into_iter().nth(1).context("a plan follows the template")?;
    plan.metadata.name = Some(name.to_owned());
    plan.data["spec"]["templateRef"] = json!(app);
    plan.data["spec"]["resources"] = json!({"cpu": "30m", "memory": "96Mi", "storage": "1Gi"});
    apply::object(admin, &plan, managers::CATALOGUE).await?;
    Ok(())
}
