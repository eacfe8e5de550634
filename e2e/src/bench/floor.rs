//! The floor: what the same API server does when a plain generator writes the same objects. It copies the children of a real
//! instance of each app (their kinds, number, order and size), into namespaces with a real tenant's quota and limits, with the
//! same watches open, by as many writers as the operator has.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use crds::{ServiceInstance, labels, names};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::Request;
use http_body_util::BodyExt as _;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{
    ConfigMap, LimitRange, Namespace, PersistentVolumeClaim, ResourceQuota, Secret, Service,
};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ApiResource, DynamicObject, ListParams, PostParams};
use kube::client::Body;
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use super::calls::Call;
use crate::wait;

/// How long the namespaces' quotas may take to be counted.
const COUNTED: Duration = Duration::from_mins(2);

/// How long one write may be refused for a quota that others change.
const REFUSED: Duration = Duration::from_secs(30);

/// What the generator did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Floor {
    pub(super) writes: usize,
    pub(super) took: Duration,
    /// The size of all that was written, as JSON.
    pub(super) bytes: usize,
}

/// The children of one instance, as they would be sent.
pub(super) struct Pattern {
    instance: String,
    uid: String,
    tenant: String,
    namespace: String,
    objects: Vec<(ApiResource, Value)>,
}

fn kinds() -> [ApiResource; 8] {
    [
        ApiResource::erase::<Secret>(&()),
        ApiResource::erase::<PersistentVolumeClaim>(&()),
        ApiResource::erase::<ConfigMap>(&()),
        ApiResource::erase::<NetworkPolicy>(&()),
        ApiResource::erase::<Service>(&()),
        ApiResource::erase::<Ingress>(&()),
        ApiResource::erase::<StatefulSet>(&()),
        ApiResource::erase::<Deployment>(&()),
    ]
}

impl Pattern {
    /// Reads what the operator has made for an instance.
    pub(super) async fn of(admin: &Client, instance: &ServiceInstance) -> Result<Self> {
        let (namespace, uid) =
            (instance.namespace().context("a namespace")?, instance.uid().context("a uid")?);
        let selector = ListParams::default().labels(&format!("{}={uid}", labels::INSTANCE));
        let mut objects = Vec::new();
        for resource in kinds() {
            let api: Api<DynamicObject> = Api::namespaced_with(admin.clone(), &namespace, &resource);
            for object in api.list(&selector).await?.items {
                objects.push((resource.clone(), bare(&resource, &serde_json::to_value(object)?)));
            }
        }
        let tenant = instance.tenant().context("an instance has a tenant")?.to_owned();
        Ok(Self { instance: instance.name_any(), uid, tenant, namespace, objects })
    }

    /// The same for another instance, that nobody ordered.
    fn copy(&self, number: usize, namespace: &str) -> Result<Vec<(ApiResource, DynamicObject)>> {
        let uid = format!("00000000-0000-4000-8000-{number:012}");
        let (mark, other_mark) = (names::short_hash(&self.uid, 5), names::short_hash(&uid, 5));
        let name = format!("f{number:06}");
        let mut replaced = vec![
            (names::short_id(&self.uid), names::short_id(&uid)),
            (self.uid.clone(), uid),
            (self.instance.clone(), name),
            (self.namespace.clone(), namespace.to_owned()),
            (self.tenant.clone(), namespace.to_owned()),
        ];
        for end in ["\"", "-", "."] {
            replaced.push((format!("-{mark}{end}"), format!("-{other_mark}{end}")));
        }
        let copied = self.objects.iter().map(|(resource, object)| {
            let text = replaced.iter().fold(object.to_string(), |text, (from, to)| text.replace(from, to));
            Ok((resource.clone(), serde_json::from_str(&text)?))
        });
        copied.collect()
    }
}

/// What was asked for of an object, without what the API server and its controllers added.
fn bare(resource: &ApiResource, object: &Value) -> Value {
    let kept = ["name", "labels", "annotations"];
    let metadata = kept.iter().filter(|key| !object["metadata"][**key].is_null());
    let metadata: Map<String, Value> =
        metadata.map(|key| ((*key).to_owned(), object["metadata"][*key].clone())).collect();
    let mut bare = json!({"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata});
    for part in ["spec", "data", "type", "immutable"] {
        if !object[part].is_null() {
            bare[part] = object[part].clone();
        }
    }
    if let Some(spec) = bare["spec"].as_object_mut() {
        for given in ["volumeName", "nodePort", "ipFamilies", "ipFamilyPolicy"] {
            spec.remove(given);
        }
        // Headless ones say None themselves.
        if spec.get("clusterIP").is_some_and(|address| address != "None") {
            spec.remove("clusterIP");
            spec.remove("clusterIPs");
        }
    }
    if let Some(notes) = bare["metadata"]["annotations"].as_object_mut() {
        notes.retain(|key, _| !key.contains("kubernetes.io/"));
    }
    bare
}

/// Namespaces as the operator makes them for tenants: with the same quota and limits, and Pod Security.
pub(super) async fn prepare(admin: &Client, like: &Pattern, count: usize) -> Result<Vec<String>> {
    let quotas = |namespace: &str| Api::<ResourceQuota>::namespaced(admin.clone(), namespace);
    let (quota, limits): (ResourceQuota, LimitRange) = (
        quotas(&like.namespace).get("limits").await?,
        Api::namespaced(admin.clone(), &like.namespace).get("defaults").await?,
    );
    let post = PostParams::default();
    let mut made = Vec::new();
    for number in 0..count {
        let name = format!("floor-{number:06}");
        let namespace = json!({"metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
        Api::<Namespace>::all(admin.clone()).create(&post, &serde_json::from_value(namespace)?).await?;
        let quota = ResourceQuota { metadata: named("limits"), spec: quota.spec.clone(), status: None };
        quotas(&name).create(&post, &quota).await?;
        let limits = LimitRange { metadata: named("defaults"), spec: limits.spec.clone() };
        Api::namespaced(admin.clone(), &name).create(&post, &limits).await?;
        made.push(name);
    }
    for name in &made {
        wait::until("a quota of the floor to be counted", COUNTED, async || {
            Ok(is_counted(&quotas(name).get("limits").await?).then_some(()))
        })
        .await?;
    }
    Ok(made)
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }
}

/// Whether all that is limited is counted.
fn is_counted(quota: &ResourceQuota) -> bool {
    let hard = quota.spec.as_ref().and_then(|spec| spec.hard.as_ref());
    let used = quota.status.as_ref().and_then(|status| status.used.as_ref());
    hard.is_some_and(|hard| used.is_some_and(|used| hard.keys().all(|key| used.contains_key(key))))
}

/// The watches that the operator has open, opened once more; they end when this is dropped.
pub(super) async fn watch_like(admin: &Client, watches: &[&Call]) -> Result<JoinSet<()>> {
    let mut open = JoinSet::new();
    for call in watches {
        let (path, query) = call.uri.split_once('?').unwrap_or((&call.uri, ""));
        let selects = query.split('&').find(|part| part.starts_with("labelSelector=")).unwrap_or_default();
        let request =
            Request::get(format!("{path}?watch=true&timeoutSeconds=3600&{selects}")).body(Body::empty())?;
        let mut body = admin.send(request).await?.into_body();
        open.spawn(async move { while let Some(Ok(_)) = body.frame().await {} });
    }
    Ok(open)
}

/// Writes so many instances' children, each instance's one after the other, `writers` instances at once.
pub(super) async fn write(
    admin: &Client,
    patterns: &[Pattern],
    namespaces: &[String],
    count: usize,
    writers: usize,
) -> Result<Floor> {
    let copies = (0..count).map(|number| {
        let namespace = namespaces[number % namespaces.len()].clone();
        Ok((patterns[number % patterns.len()].copy(number, &namespace)?, namespace))
    });
    let copies: Vec<_> = copies.collect::<Result<_>>()?;
    let objects = copies.iter().map(|(objects, _)| objects.len()).sum();
    let sizes = copies.iter().flat_map(|(objects, _)| objects).map(|(_, object)| serde_json::to_vec(object));
    let bytes = sizes.map(|text| text.map_or(0, |text| text.len())).sum();
    let begun = Instant::now();
    let all = copies.into_iter().map(|(objects, namespace)| write_one(admin, objects, namespace));
    stream::iter(all).buffer_unordered(writers).try_collect::<()>().await?;
    Ok(Floor { writes: objects, took: begun.elapsed(), bytes })
}

async fn write_one(
    admin: &Client,
    objects: Vec<(ApiResource, DynamicObject)>,
    namespace: String,
) -> Result<()> {
    let post = PostParams::default();
    for (resource, object) in objects {
        let api: Api<DynamicObject> = Api::namespaced_with(admin.clone(), &namespace, &resource);
        wait::until(&format!("a {} of the floor", resource.kind), REFUSED, async || {
            match api.create(&post, &object).await {
                // Many count by one quota at the same time.
                Err(kube::Error::Api(status)) if status.reason == "Conflict" => Ok(None),
                created => Ok(Some(created.map(drop)?)),
            }
        })
        .await?;
    }
    Ok(())
}
