//! What is kept of the cluster by watching it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use api_server::cluster::watch::{self, Key};
use api_server::state::State;
use crds::ServiceInstance;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::kubernetes::Kubernetes;
use crate::world::{BOUND, World};

const NAMESPACE: &str = "customer-u1";

fn instance(name: &str, plan: &str) -> Value {
    json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServiceInstance",
        "metadata": {"namespace": NAMESPACE, "name": name, "managedFields": [{"manager": "nakhoda-order"}]},
        "spec": {"planRef": plan}})
}

/// A process that follows a cluster and serves nothing.
struct Following {
    kubernetes: Kubernetes,
    state: Arc<State>,
    stop: CancellationToken,
    _world: World,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Following {
    async fn new() -> Result<Self> {
        let (world, kubernetes) = (World::new().await?, Kubernetes::start().await?);
        let state = world.state_on(kubernetes.cluster()?)?;
        Ok(Self { kubernetes, state, stop: CancellationToken::new(), _world: world })
    }

    fn begin(&self) {
        tokio::spawn(watch::run(Arc::clone(&self.state), self.stop.clone()));
    }

    fn instances(&self) -> &watch::Cache<ServiceInstance> {
        &self.state.cluster.watches().instances
    }

    async fn sees(&self, name: &str, is_so: impl Fn(Option<&ServiceInstance>) -> bool) {
        let key = Key::within(NAMESPACE, name);
        assert!(self.instances().wait_for(&key, is_so, BOUND).await, "{name} is not seen so");
    }
}

#[tokio::test]
async fn what_is_there_and_what_changes_is_seen_and_found_by_name_and_uid() -> Result<()> {
    let following = Following::new().await?;
    let kubernetes = &following.kubernetes;
    // More than a page of them.
    let mut uids = Vec::new();
    for index in 0..8 {
        let made = kubernetes.put(instance(&format!("a{index}"), "ghost-small")).await;
        uids.push(made["metadata"]["uid"].as_str().unwrap_or_default().to_owned());
    }
    assert!(following.instances().last_known().is_err());
    following.begin();
    following.sees("a7", |one| one.is_some()).await;
    let all = following.instances().fresh().map_err(|_| anyhow::anyhow!("not fresh"))?;
    let plan = |uid: &str| all.by_uid(uid).map(|one| one.spec.plan_ref.clone());
    assert_eq!((all.len(), plan(&uids[0]).as_deref()), (8, Some("ghost-small")));
    assert!(all.all().all(|one| one.metadata.managed_fields.is_none()));
    assert_eq!((all.within(NAMESPACE).count(), all.within("customer-u").count()), (8, 0));
    let mut changes = following.instances().changes();
    kubernetes.put(instance("a0", "ghost-large")).await;
    following.sees("a0", |one| one.is_some_and(|one| one.spec.plan_ref == "ghost-large")).await;
    kubernetes.delete("serviceinstances", NAMESPACE, "a1").await;
    following.sees("a1", |one| one.is_none()).await;
    let told = [changes.recv().await?, changes.recv().await?];
    assert_eq!(told.map(|one| (one.uid, one.is_gone)), [(uids[0].clone(), false), (uids[1].clone(), true)]);
    // A snapshot stays as it was.
    assert_eq!(all.len(), 8);
    Ok(())
}

#[tokio::test]
async fn after_an_absence_and_after_a_gap_what_changed_meanwhile_is_seen() -> Result<()> {
    let following = Following::new().await?;
    let kubernetes = &following.kubernetes;
    kubernetes.put(instance("a", "ghost-small")).await;
    kubernetes.put(instance("b", "ghost-small")).await;
    following.begin();
    following.sees("a", |one| one.is_some()).await;
    let mut changes = following.instances().changes();
    kubernetes.set_away(true).await;
    kubernetes.put(instance("a", "ghost-large")).await;
    kubernetes.delete("serviceinstances", NAMESPACE, "b").await;
    // Known still, while it is away.
    assert_eq!(following.instances().last_known().map(|all| all.len()).ok(), Some(2));
    kubernetes.forget().await;
    kubernetes.set_away(false).await;
    following.sees("a", |one| one.is_some_and(|one| one.spec.plan_ref == "ghost-large")).await;
    following.sees("b", |one| one.is_none()).await;
    let told = [changes.recv().await?, changes.recv().await?];
    assert_eq!(
        told.map(|one| (one.key.name, one.is_gone)),
        [("b".to_owned(), true), ("a".to_owned(), false)]
    );
    Ok(())
}

#[tokio::test]
async fn one_that_cant_be_read_keeps_nobody_from_the_others() -> Result<()> {
    let following = Following::new().await?;
    let mut strange = instance("strange", "ghost-small");
    strange["spec"] = json!({"planRef": 7});
    following.kubernetes.put(strange).await;
    following.kubernetes.put(instance("a", "ghost-small")).await;
    following.begin();
    following.sees("a", |one| one.is_some()).await;
    following.sees("strange", |one| one.is_none()).await;
    // It can be read while it is watched, and then no more.
    following.kubernetes.put(instance("strange", "ghost-small")).await;
    following.sees("strange", |one| one.is_some()).await;
    let mut strange = instance("strange", "ghost-small");
    strange["spec"] = json!({});
    following.kubernetes.put(strange).await;
    following.sees("strange", |one| one.is_none()).await;
    Ok(())
}

#[tokio::test]
async fn readiness_names_what_was_not_read_and_fails_nobody_for_it() -> Result<()> {
    let (world, kubernetes) = (World::new().await?, Kubernetes::start().await?);
    kubernetes.set_away(true).await;
    let api = world.replica_on(kubernetes.cluster()?).await?;
    let ready = async || api.send(api.request(Method::GET, "/readyz")).await?.expect(StatusCode::OK);
    let notes = ready().await?.body["notes"].clone();
    assert!(notes.to_string().contains("no ServiceInstance could be read from the cluster yet"), "{notes}");
    kubernetes.set_away(false).await;
    e2e::wait::until("everything to be read", BOUND, async || {
        Ok((ready().await?.body["notes"] == json!([])).then_some(()))
    })
    .await?;
    let metrics = api.send(api.request(Method::GET, "/metrics")).await?.body;
    let text = metrics.as_str().unwrap_or_default();
    assert!(text.contains("nakhoda_api_watch_objects{kind=\"ServicePlan\"} 0"), "{text}");
    assert!(!text.contains("nakhoda_api_watch_failures_total{kind=\"ServicePlan\"} 0"), "{text}");
    // One started without a cluster says nothing of it.
    let ready = world.api.send(world.api.request(Method::GET, "/readyz")).await?;
    assert_eq!(ready.body["notes"], json!([]));
    Ok(())
}

#[tokio::test]
async fn a_write_is_waited_for_until_it_is_seen_and_not_for_ever() -> Result<()> {
    let following = Following::new().await?;
    following.begin();
    let made = following.kubernetes.put(instance("a", "ghost-small")).await;
    let mut written: ServiceInstance = serde_json::from_value(made)?;
    assert!(following.instances().wait_to_see(&written, BOUND).await);
    written.metadata.generation = Some(2);
    assert!(!following.instances().wait_to_see(&written, Duration::from_millis(1)).await);
    written.metadata.uid = Some("another".to_owned());
    assert!(!following.instances().wait_to_see(&written, Duration::from_millis(1)).await);
    Ok(())
}
