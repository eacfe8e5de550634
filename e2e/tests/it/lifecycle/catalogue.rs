//! What is sold in these stories: an app of one component with a volume, that speaks HTTP and knows its own address.

use anyhow::{Context, Result};
use crds::managers;
use e2e::{apply, repository};
use kube::Client;
use kube::api::DynamicObject;
use serde_json::{Value, json};

/// Applies the template and a plan, both under one name. The plan is small, so that many fit on the simulated nodes.
pub(super) async fn sell(admin: &Client, name: &str) -> Result<()> {
    let (mut template, plan) = shipped()?;
    template.metadata.name = Some(name.to_owned());
    let spec = &mut template.data["spec"];
    spec["expose"] = json!({"http": {"component": "db", "port": "postgres"}});
    let address = |key| json!({"name": key, "value": "{{facts.url}}"});
    push(&mut spec["components"][0]["env"], address("SITE_ADDRESS"))?;
    push(&mut spec["credentials"], address("address"))?;
    apply::object(admin, &template, managers::CATALOGUE).await?;
    apply_plan(admin, plan, name, name, &json!({"cpu": "20m", "memory": "64Mi", "storage": "1Gi"})).await
}

/// Applies a larger plan of an app that is sold already.
pub(super) async fn sell_larger(admin: &Client, app: &str, name: &str) -> Result<()> {
    let (_, plan) = shipped()?;
    apply_plan(admin, plan, app, name, &json!({"cpu": "30m", "memory": "96Mi", "storage": "1Gi"})).await
}

/// The shipped PostgreSQL and its first plan, of which it is made.
fn shipped() -> Result<(DynamicObject, DynamicObject)> {
    let mut objects = apply::read(&repository::root().join("config/catalog/postgresql.yaml"))?.into_iter();
    let template = objects.next().context("the catalogue begins with the template")?;
    Ok((template, objects.next().context("a plan follows it")?))
}

fn push(list: &mut Value, item: Value) -> Result<()> {
    list.as_array_mut().context("the template has that list")?.push(item);
    Ok(())
}

async fn apply_plan(
    admin: &Client,
    mut plan: DynamicObject,
    app: &str,
    name: &str,
    resources: &Value,
) -> Result<()> {
    plan.metadata.name = Some(name.to_owned());
    plan.data["spec"]["templateRef"] = json!(app);
    plan.data["spec"]["resources"] = resources.clone();
    apply::object(admin, &plan, managers::CATALOGUE).await?;
    Ok(())
}
