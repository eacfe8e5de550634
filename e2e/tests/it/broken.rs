//! Bad input: refused by the API server with a sentence, or said in a condition; never half-made, never a hot loop.

pub(crate) mod catalogue;
mod changed;
mod ordered;

use std::collections::BTreeMap;
use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use crds::managers;
use e2e::{apply, repository};
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, ValidationDirective};
use kube::core::GroupVersionKind;
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;

use crate::world::{World, block_on};

/// How many ways to break a kind there are at least.
const WAYS: usize = 10;

fn folder() -> PathBuf {
    repository::root().join("config/samples/broken")
}

/// What the API server must say, from the first line of the file.
fn expected(path: &Path) -> Result<String> {
    let text = read_to_string(path)?;
    let line = text.lines().next().and_then(|line| line.strip_prefix("# expect: "));
    line.map(str::to_owned).with_context(|| format!("{} does not begin with # expect:", path.display()))
}

/// Applies as `kubectl apply --server-side --validate=strict` does; what the API server says against it.
async fn refusal(client: &Client, object: &DynamicObject) -> Result<String> {
    let types = object.types.as_ref().context("a sample has a kind")?;
    let kind = GroupVersionKind::try_from(types)?;
    let plural = match kind.kind.as_str() {
        "ServiceTemplate" => "servicetemplates",
        "ServicePlan" => "serviceplans",
        "TenantQuota" => "tenantquotas",
        "ServiceInstance" => "serviceinstances",
        other => bail!("a broken sample of kind {other}"),
    };
    let resource = ApiResource::from_gvk_with_plural(&kind, plural);
    let api: Api<DynamicObject> = match object.namespace() {
        Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let params = PatchParams {
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply(managers::OWNER).force()
    };
    match api.patch(&object.name_any(), &params, &Patch::Apply(object)).await {
        Ok(_) => bail!("it was accepted"),
        Err(kube::Error::Api(status)) => Ok(status.message.clone()),
        Err(error) => Err(error).context("the API server did not get to see it"),
    }
}

#[test]
fn every_broken_sample_is_refused_with_its_sentence() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let _operator = world.operator("a").await?;
        // Only what is broken is refused: the namespace is there, and the same client may write whole samples.
        apply::file(&world.admin(), &repository::root().join("config/samples/tenant.yaml"), managers::TENANT)
            .await?;
        world.tenant("sample", json!({"instances": 20})).await?;
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut wrong = Vec::new();
        let mut paths: Vec<PathBuf> = read_dir(folder())?.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let expected = expected(&path)?;
            let [object] = apply::read(&path)?.try_into().ok().context("one object a file")?;
            let kind = object.types.as_ref().map(|types| types.kind.clone()).unwrap_or_default();
            *counts.entry(kind).or_default() += 1;
            match refusal(&world.admin(), &object).await {
                Ok(said) if said.contains(&expected) => {}
                Ok(said) => wrong.push(format!("{}: {said}", path.display())),
                Err(error) => wrong.push(format!("{}: {error:#}", path.display())),
            }
        }
        assert!(wrong.is_empty(), "not refused as they say:\n{}", wrong.join("\n"));
        println!(
            "broken samples refused with their sentence: {counts:?}, {} in all",
            counts.values().sum::<usize>()
        );
        assert!(
            counts.len() == 4 && counts.values().all(|count| *count >= WAYS),
            "each kind in {WAYS} ways: {counts:?}"
        );
        let whole = repository::root().join("config/samples/tenant.yaml");
        let [whole] = apply::read(&whole)?.try_into().ok().context("one object a file")?;
        assert!(refusal(&world.admin(), &whole).await.is_err(), "a sample that is accepted is seen as such");
        Ok(())
    })
}

#[test]
fn a_file_of_a_megabyte_is_refused_with_a_sentence() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let shipped = apply::read(&repository::root().join("config/catalog/postgresql.yaml"))?;
        let mut template =
            serde_json::to_value(shipped.into_iter().next().context("the file begins with it")?)?;
        template["metadata"]["name"] = json!("megabyte");
        template["spec"]["files"][0]["content"] = json!("x".repeat(1 << 20));
        let said = refusal(&world.admin(), &serde_json::from_value(template)?).await?;
        assert!(said.contains("spec.files[0].content: Too long"), "{said}");
        Ok(())
    })
}

#[test]
fn a_template_that_a_parameter_could_break_out_of_says_so() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let _operator = world.operator("a").await?;
        catalogue::app(&world, "breakout", |spec| {
            spec["components"][0]["args"] = json!(["sh", "-c", "exec postgres -D {{parameters.database}}"]);
        })
        .await?;
        catalogue::contradicts_itself(&world, "breakout", "stands in a script on the command line").await?;
        catalogue::remove(&world, "breakout").await
    })
}
