//! Things of our names that are not ours: left exactly as they are, and said so.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use crds::instance::Phase;
use crds::{ServiceInstance, TenantQuota, conditions, labels, managers, names};
use e2e::proxy::Matcher;
use e2e::wait;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{
    ConfigMap, LimitRange, Namespace, PersistentVolumeClaim, ResourceQuota, Secret, Service,
};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt as _};
use serde_json::json;

use super::limit;
use crate::world::{BOUND, World, block_on};

/// How long until the operator looks again at what it doesn't watch.
const LOOKS_AGAIN: std::time::Duration = std::time::Duration::from_secs(90);

/// Every object that an operator could make in a namespace and that has these labels, by kind and name, with uid and
/// version.
pub(crate) async fn contents(
    world: &World,
    namespace: &str,
    selector: &str,
) -> Result<BTreeMap<String, String>> {
    let kinds = [
        ApiResource::erase::<RoleBinding>(&()),
        ApiResource::erase::<NetworkPolicy>(&()),
        ApiResource::erase::<ResourceQuota>(&()),
        ApiResource::erase::<LimitRange>(&()),
        ApiResource::erase::<Secret>(&()),
        ApiResource::erase::<PersistentVolumeClaim>(&()),
        ApiResource::erase::<ConfigMap>(&()),
        ApiResource::erase::<Service>(&()),
        ApiResource::erase::<StatefulSet>(&()),
        ApiResource::erase::<Deployment>(&()),
        ApiResource::erase::<Ingress>(&()),
    ];
    let mut all = BTreeMap::new();
    for kind in kinds {
        let api: Api<DynamicObject> = Api::namespaced_with(world.admin(), namespace, &kind);
        for object in api.list(&ListParams::default().labels(selector)).await?.items {
            let version = format!("{:?} {:?}", object.uid(), object.resource_version());
            // The cluster's own, made a moment after the namespace.
            if object.name_any() != "kube-root-ca.crt" {
                all.insert(format!("{} {}", kind.kind, object.name_any()), version);
            }
        }
    }
    Ok(all)
}

fn is_stalled(tenant: &TenantQuota, reason: &str) -> bool {
    let said =
        tenant.status.as_ref().and_then(|status| conditions::find(&status.conditions, conditions::STALLED));
    said.is_some_and(|stalled| {
        stalled.status == "True" && stalled.reason == reason && stalled.message.contains("exists")
    })
}

#[test]
fn a_namespace_of_the_right_name_that_we_did_not_make_is_nobodys_to_take() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let operator = world.operator("a").await?;
        let (namespaces, tenants): (Api<Namespace>, Api<TenantQuota>) =
            (Api::all(world.admin()), Api::all(world.admin()));
        let namespace = json!({"metadata": {"name": "customer-foreign", "labels": {"team": "another"}}});
        namespaces.create(&PostParams::default(), &serde_json::from_value(namespace)?).await?;
        let maps: Api<ConfigMap> = Api::namespaced(world.admin(), "customer-foreign");
        let map = json!({"metadata": {"name": "theirs"}, "data": {"a": "b"}});
        maps.create(&PostParams::default(), &serde_json::from_value(map)?).await?;
        let (before, was) =
            (contents(&world, "customer-foreign", "").await?, namespaces.get("customer-foreign").await?);
        let begun = world.proxy().log().mark();

        let quota = json!({
            "apiVersion": "nakhoda.dev/v1alpha1", "kind": "TenantQuota", "metadata": {"name": "foreign"},
            "spec": {"owner": "somebody", "limits": limit(5)},
        });
        tenants.patch("foreign", &PatchParams::apply(managers::TENANT), &Patch::Apply(quota)).await?;
        let told = await_condition(tenants.clone(), "foreign", |found: Option<&TenantQuota>| {
            found.is_some_and(|tenant| is_stalled(tenant, "NamespaceTaken"))
        });
        wait::within("the tenant to say NamespaceTaken", BOUND, told).await?;

        assert_eq!(contents(&world, "customer-foreign", "").await?, before);
        let is = namespaces.get("customer-foreign").await?;
        assert_eq!((is.resource_version(), is.labels()), (was.resource_version(), was.labels()));
        let there = operator.own_calls().namespace("customer-foreign");
        let tried = world.proxy().log().writes(begun, &there);
        assert!(tried.is_empty(), "not even tried: {tried:?}");

        // Gone, and the name is free.
        namespaces.delete("customer-foreign", &DeleteParams::default()).await?;
        let ready = await_condition(tenants, "foreign", |found: Option<&TenantQuota>| {
            let status = found.and_then(|tenant| tenant.status.as_ref());
            status.is_some_and(|status| {
                conditions::find(&status.conditions, conditions::READY)
                    .is_some_and(|one| one.status == "True")
            })
        });
        wait::within("the tenant to have its namespace", LOOKS_AGAIN, ready).await?;
        let made = namespaces.get("customer-foreign").await?;
        assert_eq!(made.labels().get(labels::PAAS_MANAGED).map(String::as_str), Some("true"));
        Ok(())
    })
}

#[test]
fn a_secret_of_the_right_name_that_is_not_ours_is_neither_used_nor_changed() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let operator = world.operator("a").await?;
        let tenant = world.tenant("squatter", limit(0)).await?;
        let db = world.instance(&tenant, "db", json!({"planRef": "postgresql-small"})).await?;
        db.entitle().await?;
        db.wait_for("waiting for a place", BOUND, |one| {
            says(one, conditions::ADMITTED, "False", "QuotaExceeded")
        })
        .await?;

        // Its name follows from the uid, which everybody may read.
        let name = names::data_secret(&names::short_id(&db.uid().await?));
        let secrets: Api<Secret> = Api::namespaced(world.admin(), tenant.namespace());
        let secret = json!({"metadata": {"name": name}, "stringData": {"password": "known", "superuserPassword": "known"}});
        secrets.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
        let before = contents(&world, tenant.namespace(), "").await?;
        let begun = world.proxy().log().mark();
        tenant.limit(limit(1)).await?;
        let told = db.wait_for("stalled by the Secret", BOUND, |one| {
            says(one, conditions::STALLED, "True", "SecretNameTaken")
        });
        let told = told.await?.status.context("a status")?;
        assert_eq!((told.phase, told.credentials_secret_ref), (Some(Phase::Failed), None));

        let mut now = contents(&world, tenant.namespace(), "").await?;
        let quota = "ResourceQuota limits";
        assert_ne!(
            now.insert(quota.to_owned(), before[quota].clone()),
            Some(before[quota].clone()),
            "the limit was raised"
        );
        assert_eq!(now, before, "nothing was made, and the Secret is as it was");
        let secret_writes = Matcher::writes().actor(operator.name()).resource("", "secrets");
        assert!(world.proxy().log().calls(begun, &secret_writes).is_empty());

        // Taken away, it goes on by itself, with passwords of its own.
        secrets.delete(&name, &DeleteParams::default()).await?;
        db.settled_in(Phase::Running, LOOKS_AGAIN).await?;
        let made = secrets.get(&name).await?;
        let password = made.data.as_ref().and_then(|data| data.get("password")).context("a password")?;
        assert!(password.0 != b"known" && made.immutable == Some(true));
        db.delete().await?;
        db.gone(BOUND).await
    })
}

#[test]
fn credentials_that_somebody_put_in_the_place_of_ours_are_not_shown() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let operator = world.operator("a").await?;
        let tenant = world.tenant("forger", limit(2)).await?;
        let db = world.instance(&tenant, "db", json!({"planRef": "postgresql-small"})).await?;
        db.entitle().await?;
        let running = db.settled_in(Phase::Running, BOUND).await?.status.context("a status")?;
        let name = running.credentials_secret_ref.context("credentials")?.name;
        let secrets: Api<Secret> = Api::namespaced(world.admin(), tenant.namespace());
        operator.stop();
        secrets.delete(&name, &DeleteParams::default()).await?;
        let forged =
            json!({"metadata": {"name": name}, "stringData": {"host": "elsewhere", "password": "known"}});
        secrets.create(&PostParams::default(), &serde_json::from_value(forged)?).await?;
        operator.restart().await?;
        let now = db.wait_for("rid of the forged credentials", BOUND, |one| {
            let status = one.status.as_ref();
            let shown = status.and_then(|status| status.credentials_secret_ref.as_ref());
            shown.is_none_or(|shown| shown.name != name)
                && says(one, conditions::STALLED, "True", "NameTaken")
        });
        now.await?;
        secrets.delete(&name, &DeleteParams::default()).await?;
        db.delete().await?;
        db.gone(BOUND).await
    })
}

pub(crate) fn says(instance: &ServiceInstance, condition: &str, status: &str, reason: &str) -> bool {
    let said = instance.status.as_ref().and_then(|all| conditions::find(&all.conditions, condition));
    said.is_some_and(|said| said.status == status && said.reason == reason && !said.message.is_empty())
}
