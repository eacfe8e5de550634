//! The harness tried on itself: what the end-to-end tests rely on.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Pod, Secret};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::runtime::wait::conditions::{is_deployment_completed, is_job_completed};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::shared;
use crate::identity::Actor;
use crate::wait;

const BOUND: Duration = Duration::from_secs(30);

/// A new namespace and a client with all rights.
async fn namespace(name: &str) -> Client {
    let admin = shared().await.unwrap().cluster().admin().await.unwrap();
    let object = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
    Api::<Namespace>::all(admin.clone()).create(&PostParams::default(), &object).await.unwrap();
    admin
}

fn from<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn claim() -> PersistentVolumeClaim {
    from(json!({
        "metadata": { "name": "data" },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    }))
}

fn capacity(claim: Option<&PersistentVolumeClaim>) -> Option<String> {
    Some(claim?.status.as_ref()?.capacity.as_ref()?.get("storage")?.0.clone())
}

#[tokio::test]
async fn workloads_come_up_on_simulated_nodes() {
    let admin = namespace("workloads").await;
    let pod = json!({ "containers": [{ "name": "app", "image": "app:1" }], "initContainers": [{ "name": "i", "image": "i:1" }] });
    let template = json!({ "metadata": { "labels": { "app": "x" } }, "spec": pod });
    let spec =
        json!({ "selector": { "matchLabels": { "app": "x" } }, "serviceName": "x", "template": template });

    let deployments: Api<Deployment> = Api::namespaced(admin.clone(), "workloads");
    let sets: Api<StatefulSet> = Api::namespaced(admin.clone(), "workloads");
    let jobs: Api<Job> = Api::namespaced(admin, "workloads");
    let object = json!({ "metadata": { "name": "x" }, "spec": spec });
    deployments.create(&PostParams::default(), &from(object.clone())).await.unwrap();
    sets.create(&PostParams::default(), &from(object)).await.unwrap();
    let once = json!({ "restartPolicy": "Never", "containers": [{ "name": "app", "image": "app:1" }] });
    let job = json!({ "metadata": { "name": "x" }, "spec": { "template": { "spec": once } } });
    jobs.create(&PostParams::default(), &from(job)).await.unwrap();

    wait::within("a Deployment", BOUND, await_condition(deployments, "x", is_deployment_completed()))
        .await
        .unwrap();
    let ready = |set: Option<&StatefulSet>| {
        set.and_then(|set| set.status.as_ref()).is_some_and(|status| status.ready_replicas == Some(1))
    };
    wait::within("a StatefulSet", BOUND, await_condition(sets, "x", ready)).await.unwrap();
    wait::within("a Job", BOUND, await_condition(jobs, "x", is_job_completed())).await.unwrap();
}

#[tokio::test]
async fn a_claim_binds_and_grows() {
    let admin = namespace("claims").await;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(admin, "claims");
    claims.create(&PostParams::default(), &claim()).await.unwrap();
    let has = |size: &'static str| {
        move |claim: Option<&PersistentVolumeClaim>| capacity(claim).as_deref() == Some(size)
    };
    wait::within("the claim to bind", BOUND, await_condition(claims.clone(), "data", has("1Gi")))
        .await
        .unwrap();
    let more = json!({ "spec": { "resources": { "requests": { "storage": "2Gi" } } } });
    claims.patch("data", &PatchParams::default(), &Patch::Merge(more)).await.unwrap();
    wait::within("the claim to grow", BOUND, await_condition(claims, "data", has("2Gi"))).await.unwrap();
}

#[tokio::test]
async fn an_actor_has_the_rights_bound_to_it_and_no_others() {
    namespace("actors").await;
    let cluster = shared().await.unwrap().cluster();
    let actor = Actor::create(cluster, "actors", "reader").await.unwrap();
    actor.bind_in(cluster, "actors", "view").await.unwrap();
    let client = actor.client(None).unwrap();
    let pods: Api<Pod> = Api::namespaced(client.clone(), "actors");
    // RBAC's caches take a moment to know a new binding.
    wait::until("the rights to be known", BOUND, async || match pods.list(&ListParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(None),
        other => Ok(Some(other?)),
    })
    .await
    .unwrap();
    let secrets = Api::<Secret>::namespaced(client, "kube-system").list(&ListParams::default()).await;
    let message = secrets.unwrap_err().to_string();
    assert!(message.contains(&actor.user()) && message.contains("forbidden"), "{message}");
    let log = std::fs::read_to_string(cluster.audit_log()).unwrap();
    assert!(log.contains(&actor.user()), "the audit log names the actor");
}
