//! Apps of the catalogue under other names, so that a story can change what it sells.

use anyhow::{Context as _, Result};
use crds::managers::CATALOGUE;
use e2e::{apply, repository};
use kube::Client;
use kube::api::DynamicObject;
use serde_json::{Value, json};

/// What many instances of fit on the simulated nodes.
pub fn small() -> Value {
    json!({"cpu": "20m", "memory": "64Mi", "storage": "1Gi"})
}

/// The template of an app under another name, enabled, and its first plan under the same name, with its own resources or
/// others.
pub async fn sell(admin: &Client, app: &str, name: &str, resources: Option<Value>) -> Result<()> {
    sell_template(admin, app, name).await?;
    sell_plan(admin, app, (name, name), resources).await
}

/// The template of an app under another name, enabled.
pub async fn sell_template(admin: &Client, app: &str, name: &str) -> Result<()> {
    let mut template = shipped(app, 0)?;
    template.metadata.name = Some(name.to_owned());
    template.data["spec"]["disabled"] = json!(false);
    apply::object(admin, &template, CATALOGUE).await?;
    Ok(())
}

/// The first plan of an app as a plan of the template `of`, with its own resources or others.
pub async fn sell_plan(
    admin: &Client,
    app: &str,
    (of, name): (&str, &str),
    resources: Option<Value>,
) -> Result<()> {
    let mut plan = shipped(app, 1)?;
    plan.metadata.name = Some(name.to_owned());
    plan.data["spec"]["templateRef"] = json!(of);
    if let Some(resources) = resources {
        plan.data["spec"]["resources"] = resources;
    }
    apply::object(admin, &plan, CATALOGUE).await?;
    Ok(())
}

/// A document of an app's file: the template comes first, the smallest plan second.
fn shipped(app: &str, number: usize) -> Result<DynamicObject> {
    let objects = apply::read(&repository::root().join(format!("config/catalog/{app}.yaml")))?;
    objects.into_iter().nth(number).with_context(|| format!("{app} has a template and a plan"))
}
