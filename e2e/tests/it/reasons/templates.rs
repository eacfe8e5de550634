//! Templates and plans that are changed, taken away, or not offered.

use anyhow::Result;
use crds::instance::Phase::{Degraded, Failed};
use crds::{ServicePlan, reasons};
use futures::FutureExt as _;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::row::{Row, seen, serves};
use super::{Case, Stage};
use crate::broken::catalogue;

pub(super) fn cases(stage: Stage<'_>) -> Vec<Case<'_>> {
    vec![edited(stage).boxed_local(), disabled(stage).boxed_local(), retired(stage).boxed_local()]
}

type Edit = fn(&mut Value);

/// A template that is edited under an instance that runs: it serves on, and each edit is taken back.
async fn edited(stage: Stage<'_>) -> Result<Vec<Row>> {
    catalogue::app(stage.world, "edited", |_| {}).await?;
    let one = stage.running("edited", "edited-small").await?;
    let edits: [(Edit, &'static str, &'static str); 4] = [
        (
            |spec| {
                let more = json!({"name": "more", "type": "Alphanumeric", "length": 32});
                spec["secrets"].as_array_mut().into_iter().for_each(|all| all.push(more.clone()));
            },
            reasons::SECRET_INCOMPLETE,
            "a secret more in the template",
        ),
        (
            |spec| spec["components"][0]["volumes"][0]["name"] = json!("renamed"),
            reasons::VOLUME_NOT_IN_TEMPLATE,
            "a volume renamed in the template",
        ),
        (
            |spec| spec["components"][0]["stateful"] = json!(false),
            reasons::COMPONENT_KIND_CHANGED,
            "a component made stateless in the template",
        ),
        (
            |spec| spec["expose"]["tcp"]["port"] = json!("nowhere"),
            reasons::TEMPLATE_INVALID,
            "a template that names a port it does not have",
        ),
    ];
    let mut rows = Vec::new();
    for (edit, reason, how) in edits {
        catalogue::app(stage.world, "edited", edit).await?;
        rows.push(seen(&one, reason, Degraded, how).await?.cured("the template is put back"));
        catalogue::app(stage.world, "edited", |_| {}).await?;
        serves(&one).await?;
    }
    catalogue::remove(stage.world, "edited").await?;
    let row = seen(&one, reasons::TEMPLATE_NOT_FOUND, Degraded, "a template deleted").await?;
    rows.push(row.cured("it is applied again"));
    catalogue::app(stage.world, "edited", |_| {}).await?;
    serves(&one).await?;
    Ok(rows)
}

async fn disabled(stage: Stage<'_>) -> Result<Vec<Row>> {
    catalogue::app(stage.world, "off", |spec| spec["disabled"] = json!(true)).await?;
    let one = stage.order("off", "off-small").await?;
    let row = seen(&one, reasons::TEMPLATE_DISABLED, Failed, "an order of an app that is disabled").await?;
    catalogue::app(stage.world, "off", |_| {}).await?;
    serves(&one).await?;
    Ok(vec![row.cured("it is enabled")])
}

async fn retired(stage: Stage<'_>) -> Result<Vec<Row>> {
    catalogue::plan(stage.world, "plain-old", "plain", "5Gi").await?;
    let before = stage.running("before", "plain-old").await?;
    let plans: Api<ServicePlan> = Api::all(stage.world.admin());
    let retire = |yes: bool| Patch::Merge(json!({"spec": {"retired": yes}}));
    plans.patch("plain-old", &PatchParams::default(), &retire(true)).await?;
    let one = stage.order("too-late", "plain-old").await?;
    let row = seen(&one, reasons::PLAN_RETIRED, Failed, "an order by a plan that is retired").await?;
    // What runs by it goes on.
    serves(&before).await?;
    plans.patch("plain-old", &PatchParams::default(), &retire(false)).await?;
    serves(&one).await?;
    Ok(vec![row.cured("it is sold again")])
}
