//! What is there in a tenant's namespace, comparable between runs.

use anyhow::Result;
use crds::{ServiceInstance, TenantQuota, labels, names};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{
    ConfigMap, LimitRange, PersistentVolumeClaim, Pod, ResourceQuota, Secret, Service,
};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, ResourceExt as _};
use regex_lite::Regex;
use serde_json::{Map, Value, json};

use super::Tenant;

/// What of an object's metadata is the operator's doing.
const METADATA: [&str; 4] = ["name", "labels", "annotations", "finalizers"];
/// Addresses and ports that the API server makes up.
const GIVEN: [&str; 4] = ["clusterIP", "clusterIPs", "nodePort", "healthCheckNodePort"];

/// Takes it: a JSON text, the objects in the order of kind and masked name.
pub(super) async fn take(tenant: &Tenant) -> Result<String> {
    take_some(tenant, |_| true).await
}

/// The same without what people order: the instances and the tenant.
pub(super) async fn take_children(tenant: &Tenant) -> Result<String> {
    take_some(tenant, |resource| resource.group != crds::GROUP).await
}

async fn take_some(tenant: &Tenant, wanted: fn(&ApiResource) -> bool) -> Result<String> {
    let mut objects = Vec::new();
    for resource in kinds() {
        objects.extend(list(tenant, &resource).await?);
    }
    let quota: ApiResource = ApiResource::erase::<TenantQuota>(&());
    objects.push((quota, serde_json::from_value(serde_json::to_value(tenant.get().await?)?)?));
    let masks = Masks::of(tenant, &objects)?;
    let mut texts: Vec<String> = Vec::new();
    for (resource, object) in objects.iter().filter(|(resource, _)| wanted(resource)) {
        texts.extend(reduce(resource, object)?.map(|value| masks.mask(&value)));
    }
    texts.sort();
    Ok(texts.join("\n"))
}

fn kinds() -> [ApiResource; 14] {
    [
        ApiResource::erase::<ServiceInstance>(&()),
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
        ApiResource::erase::<Job>(&()),
        ApiResource::erase::<Pod>(&()),
    ]
}

async fn list(tenant: &Tenant, resource: &ApiResource) -> Result<Vec<(ApiResource, DynamicObject)>> {
    let api: Api<DynamicObject> =
        Api::namespaced_with(tenant.people.admin.clone(), tenant.namespace(), resource);
    let objects = api.list(&ListParams::default()).await?.items.into_iter();
    let ours = objects.filter(|object| object.name_any() != "kube-root-ca.crt");
    Ok(ours.map(|object| (resource.clone(), object)).collect())
}

/// The part of an object that is compared.
fn reduce(resource: &ApiResource, object: &DynamicObject) -> Result<Option<Value>> {
    let value = serde_json::to_value(object)?;
    let mut kept = Map::new();
    kept.insert("kind".to_owned(), json!(resource.kind));
    let metadata: Map<String, Value> =
        METADATA.iter().map(|key| ((*key).to_owned(), value["metadata"][*key].clone())).collect();
    kept.insert("metadata".to_owned(), Value::Object(metadata));
    kept.insert("owners".to_owned(), value["metadata"]["ownerReferences"].clone());
    kept.insert("terminating".to_owned(), json!(object.metadata.deletion_timestamp.is_some()));
    if resource.group == crds::GROUP {
        kept.insert("generation".to_owned(), json!(object.metadata.generation));
    }
    match resource.kind.as_str() {
        // Which pods there are says enough: their specs follow from the workloads'.
        "Pod" => {
            kept.remove("metadata");
            kept.insert("component".to_owned(), json!(object.labels().get(labels::COMPONENT)));
            kept.insert("phase".to_owned(), value["status"]["phase"].clone());
        }
        "Secret" => {
            let data = value["data"].as_object().into_iter().flatten();
            let lengths: Map<String, Value> =
                data.map(|(key, text)| (key.clone(), json!(text.as_str().map(str::len)))).collect();
            kept.insert("lengths".to_owned(), Value::Object(lengths));
            kept.insert("immutable".to_owned(), value["immutable"].clone());
        }
        _ => {
            for part in ["spec", "data", "roleRef", "subjects"] {
                kept.insert(part.to_owned(), value[part].clone());
            }
        }
    }
    match resource.kind.as_str() {
        "ServiceInstance" | "TenantQuota" => _ = kept.insert("status".to_owned(), value["status"].clone()),
        "PersistentVolumeClaim" => _ = kept.insert("phase".to_owned(), value["status"]["phase"].clone()),
        _ => {}
    }
    let mut value = Value::Object(kept);
    forget(&mut value);
    Ok(Some(value))
}

/// Masks by key what no pattern would find.
fn forget(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if [labels::HASH, labels::PODS, labels::INPUTS].contains(&key.as_str()) {
                    *value = json!("<hash>");
                } else if GIVEN.contains(&key.as_str()) && *value != json!("None") && !value.is_null() {
                    *value = json!("<given>");
                } else {
                    forget(value);
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(forget),
        _ => {}
    }
}

/// What differs from run to run, and what stands in its place.
struct Masks {
    texts: Vec<(String, String)>,
    patterns: Vec<(Regex, &'static str)>,
}

impl Masks {
    fn of(tenant: &Tenant, objects: &[(ApiResource, DynamicObject)]) -> Result<Self> {
        let mut texts = Vec::new();
        let mut ids: Vec<&String> =
            objects.iter().filter_map(|(_, object)| object.labels().get(labels::DATA)).collect();
        ids.sort();
        ids.dedup();
        for (number, id) in ids.iter().enumerate() {
            texts.push(((*id).clone(), format!("<data {}>", number + 1)));
        }
        let instances = objects.iter().filter(|(resource, _)| resource.kind == "ServiceInstance");
        for (name, uid) in instances.filter_map(|(_, object)| Some((object.name_any(), object.uid()?))) {
            texts.push((names::short_id(&uid), format!("<id of {name}>")));
            // Only at the end of a name: five letters may stand anywhere else by chance.
            for end in ["\"", "-", "."] {
                texts.push((
                    format!("-{}{end}", names::short_hash(&uid, 5)),
                    format!("-<mark of {name}>{end}"),
                ));
            }
            texts.push((uid, format!("<uid of {name}>")));
        }
        texts.push((names::verification_value(tenant.name()), "<proof>".to_owned()));
        texts.push((tenant.name().to_owned(), "<tenant>".to_owned()));
        let patterns = [
            ("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uid>"),
            (r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z", "<time>"),
            ("credentials-[a-z0-9]{8}", "credentials-<digest>"),
        ];
        let patterns = patterns.into_iter().map(|(pattern, mask)| anyhow::Ok((Regex::new(pattern)?, mask)));
        Ok(Self { texts, patterns: patterns.collect::<Result<_>>()? })
    }

    fn mask(&self, value: &Value) -> String {
        let mut text = format!("{value:#}");
        for (what, mask) in &self.texts {
            text = text.replace(what, mask);
        }
        for (pattern, mask) in &self.patterns {
            text = pattern.replace_all(&text, *mask).into_owned();
        }
        text
    }
}
