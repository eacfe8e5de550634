//! Templates and plans that are odd in one way, beside the shipped ones.

use anyhow::{Context as _, Result};
use crds::managers::CATALOGUE;
use crds::{ServiceTemplate, conditions};
use e2e::{apply, repository, wait};
use kube::Api;
use kube::api::{DeleteParams, DynamicObject};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};

use crate::world::{BOUND, World};

/// A template like PostgreSQL's but for its name and `change`, with a plan `<name>-small` of 5 GiB.
pub async fn app(world: &World, name: &str, change: impl FnOnce(&mut Value)) -> Result<()> {
    let shipped = apply::read(&repository::root().join("config/catalog/postgresql.yaml"))?;
    let template = shipped.into_iter().next().context("the file begins with the template")?;
    let mut template = serde_json::to_value(template)?;
    template["metadata"]["name"] = json!(name);
    change(&mut template["spec"]);
    let template: DynamicObject = serde_json::from_value(template)?;
    apply::object(&world.admin(), &template, CATALOGUE).await?;
    plan(world, &format!("{name}-small"), name, "5Gi").await
}

/// A plan.
pub async fn plan(world: &World, name: &str, template: &str, storage: &str) -> Result<()> {
    plan_of_class(world, name, template, storage, None).await
}

/// A plan whose volumes are of a class.
pub async fn plan_of_class(
    world: &World,
    name: &str,
    template: &str,
    storage: &str,
    class: Option<&str>,
) -> Result<()> {
    let mut plan = json!({
        "apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServicePlan", "metadata": {"name": name},
        "spec": {
            "templateRef": template, "displayName": "Odd", "price": {"amount": 1000, "period": "Monthly"},
            "resources": {"cpu": "500m", "memory": "512Mi", "storage": storage},
        },
    });
    if let Some(class) = class {
        plan["spec"]["storageClassName"] = json!(class);
    }
    apply::object(&world.admin(), &serde_json::from_value(plan)?, CATALOGUE).await?;
    Ok(())
}

/// Takes a template away from under its plans.
pub async fn remove(world: &World, template: &str) -> Result<()> {
    let templates: Api<ServiceTemplate> = Api::all(world.admin());
    templates.delete(template, &DeleteParams::default()).await?;
    Ok(())
}

/// Waits until a template says that it contradicts itself, with this in the sentence.
pub async fn contradicts_itself(world: &World, template: &str, part: &str) -> Result<()> {
    let told = await_condition(Api::all(world.admin()), template, |found: Option<&ServiceTemplate>| {
        let status = found.and_then(|template| template.status.as_ref());
        let said = status.and_then(|status| conditions::find(&status.conditions, conditions::STALLED));
        said.is_some_and(|one| one.status == "True" && one.reason == "Invalid" && one.message.contains(part))
    });
    wait::within(&format!("the template {template} to say {part}"), BOUND, told).await?;
    Ok(())
}
