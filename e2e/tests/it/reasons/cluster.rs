//! What the cluster refuses: each in a tenant of its own, whose namespace somebody has walled in.

use anyhow::{Context as _, Result, bail};
use crds::instance::Phase::Provisioning;
use crds::managers::CATALOGUE;
use crds::reasons;
use e2e::{apply, wait};
use futures::FutureExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, PostParams};
use kube::discovery::pinned_kind;
use serde_json::{Value, json};

use super::row::{PATIENCE, Row, seen, serves};
use super::{Case, limits, spec};
use crate::broken::catalogue;
use crate::world::{Tenant, World};

pub(super) fn cases(world: &World) -> Vec<Case<'_>> {
    walls().into_iter().map(|wall| refused(world, wall).boxed_local()).collect()
}

/// What stands in the way of pods in a namespace.
struct Wall {
    tenant: &'static str,
    /// Made in this order, and taken away again.
    objects: Vec<Value>,
    /// What the API server then says of a pod.
    says: &'static str,
    /// Whether the app is a Deployment, which has a condition for it; for a StatefulSet only an event tells.
    stateless: bool,
    reason: &'static str,
    how: &'static str,
    cure: &'static str,
}

fn walls() -> Vec<Wall> {
    let in_both_kinds =
        |names: [&'static str; 2], objects: fn(&str) -> Vec<Value>, says, reason, how, cure| {
            let again = "the same, of a component without state";
            let of = |tenant: &'static str, stateless, how| Wall {
                tenant,
                objects: objects(tenant),
                says,
                stateless,
                reason,
                how,
                cure,
            };
            [of(names[0], false, how), of(names[1], true, again)]
        };
    let (full, denied) = (reasons::RESOURCE_QUOTA_EXCEEDED, reasons::ADMISSION_DENIED);
    let room = "a ResourceQuota without room for a pod";
    let quotas =
        in_both_kinds(["wall-quota", "wall-quotas"], quota, "exceeded quota", full, room, "there is room");
    let (names, deny) = (["wall-policy", "wall-policies"], "a policy that denies its pod");
    let policies = in_both_kinds(names, policy, "denied request", denied, deny, "the policy is removed");
    let single = |tenant, objects, says, reason, how| Wall {
        tenant,
        objects,
        says,
        stateless: false,
        reason,
        how,
        cure: "it is removed",
    };
    let (silent, small) = ("a webhook that nobody answers", "a LimitRange below its CPU");
    let others = [
        single(
            "wall-webhook",
            webhook("wall-webhook"),
            "failed calling webhook",
            reasons::WEBHOOK_UNAVAILABLE,
            silent,
        ),
        single("wall-range", range("wall-range"), "maximum cpu", reasons::POD_NOT_CREATED, small),
    ];
    quotas.into_iter().chain(policies).chain(others).collect()
}

fn quota(tenant: &str) -> Vec<Value> {
    vec![json!({
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "no-pods", "namespace": format!("customer-{tenant}")}, "spec": {"hard": {"pods": "0"}},
    })]
}

fn selector(tenant: &str) -> Value {
    json!({"matchLabels": {"kubernetes.io/metadata.name": format!("customer-{tenant}")}})
}

fn policy(tenant: &str) -> Vec<Value> {
    let pods =
        json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]);
    let api = "admissionregistration.k8s.io/v1";
    vec![
        json!({
            "apiVersion": api, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": tenant},
            "spec": {
                "matchConstraints": {"resourceRules": pods, "namespaceSelector": selector(tenant)},
                "validations": [{"expression": "false", "message": "no pods today"}],
            },
        }),
        json!({
            "apiVersion": api, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": tenant},
            "spec": {"policyName": tenant, "validationActions": ["Deny"]},
        }),
    ]
}

fn webhook(tenant: &str) -> Vec<Value> {
    vec![json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": tenant},
        "webhooks": [{
            "name": "nobody.example.com", "clientConfig": {"url": "https://127.0.0.1:9/"}, "timeoutSeconds": 2,
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
            "namespaceSelector": selector(tenant), "sideEffects": "None", "failurePolicy": "Fail",
            "admissionReviewVersions": ["v1"],
        }],
    })]
}

fn range(tenant: &str) -> Vec<Value> {
    let limit = json!({"type": "Container", "max": {"cpu": "1m"}, "default": {"cpu": "1m"}, "defaultRequest": {"cpu": "1m"}});
    vec![json!({
        "apiVersion": "v1", "kind": "LimitRange",
        "metadata": {"name": "tiny", "namespace": format!("customer-{tenant}")}, "spec": {"limits": [limit]},
    })]
}

/// A pod that is refused for nothing but the wall.
fn harmless() -> Result<Pod> {
    let amounts = json!({"cpu": "10m", "memory": "16Mi"});
    let security = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    Ok(serde_json::from_value(json!({
        "metadata": {"name": "probe"},
        "spec": {
            "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "probe", "image": "simulated", "resources": {"requests": amounts, "limits": amounts},
                "securityContext": security,
            }],
        },
    }))?)
}

/// Policies and quotas take a moment until they hold.
async fn stands(world: &World, tenant: &Tenant, says: &str) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(world.admin(), tenant.namespace());
    let (pod, try_it) = (harmless()?, PostParams { dry_run: true, ..PostParams::default() });
    wait::until(&format!("pods to be refused with {says}"), PATIENCE, async || {
        match pods.create(&try_it, &pod).await {
            Err(kube::Error::Api(status)) if status.message.contains(says) => Ok(Some(())),
            Err(kube::Error::Api(_)) | Ok(_) => Ok(None),
            Err(error) => bail!(error),
        }
    })
    .await
}

async fn remove(world: &World, object: &DynamicObject) -> Result<()> {
    let types = object.types.as_ref().context("it has a kind")?;
    let kind = kube::core::GroupVersionKind::try_from(types)?;
    let (resource, _) = pinned_kind(&world.admin(), &kind).await?;
    let api: Api<DynamicObject> = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(world.admin(), namespace, &resource),
        None => Api::all_with(world.admin(), &resource),
    };
    let name = object.metadata.name.as_deref().context("it has a name")?;
    api.delete(name, &DeleteParams::default()).await?;
    Ok(())
}

async fn refused(world: &World, wall: Wall) -> Result<Vec<Row>> {
    let app = format!("of-{}", wall.tenant);
    catalogue::app(world, &app, |spec| spec["components"][0]["stateful"] = json!(!wall.stateless)).await?;
    let tenant = world.tenant(wall.tenant, limits()).await?;
    let objects: Vec<DynamicObject> =
        wall.objects.into_iter().map(serde_json::from_value).collect::<Result<_, _>>()?;
    for object in &objects {
        apply::object(&world.admin(), object, CATALOGUE).await?;
    }
    stands(world, &tenant, wall.says).await?;
    let one = tenant.instance("db", spec(&format!("{app}-small"))).await?;
    let row = seen(&one, wall.reason, Provisioning, wall.how).await?;
    for object in objects.iter().rev() {
        remove(world, object).await?;
    }
    serves(&one).await?;
    Ok(vec![row.cured(wall.cure)])
}
