//! What a reconcile needs to know, gathered once: from the caches, and the generated secrets live.

use super::{data, events::Told, power};
use crate::{
    apply::{self, CallError},
    context::Context,
    domains::{self, decide::Decided},
    kinds::Kind,
    observed::{Child, Owner},
};
use base64::Engine as _;
use crds::{
    ServiceInstance, ServicePlan, ServiceTemplate, TenantQuota, labels, names, quota::Admitted,
    quota::Waiting,
};
use jiff::Timestamp;
use kube::ResourceExt as _;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// Everything about an instance that its reconcile decides by.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The instance, as new as anything we know.
    pub instance: Arc<ServiceInstance>,
    /// Its tenant; none where there is no such `TenantQuota`.
    pub tenant: Option<Arc<TenantQuota>>,
    /// Its place in the tenant's quota.
    pub place: Place,
    /// The name of the plan that counts: the admitted one.
    pub plan_name: String,
    /// That plan.
    pub plan: Option<Arc<ServicePlan>>,
    /// The plan's template.
    pub template: Option<Arc<ServiceTemplate>>,
    /// The id of its data.
    pub data_id: String,
    /// Its children and pods.
    pub children: Vec<Arc<Child>>,
    /// The volumes of its data by name, whosever they are now: those of the template, and any other that bears the data's id.
    pub volumes: BTreeMap<String, Arc<Child>>,
    /// The generated secrets.
    pub secrets: Secrets,
    /// The uid of the Secret with them, where it is there.
    pub secret_uid: Option<String>,
    /// Its resourceVersion.
    pub secret_version: Option<String>,
    /// The annotations on it.
    pub secret_notes: BTreeMap<String, String>,
    /// The parameters that were fixed when the data was made.
    pub fixed: BTreeMap<String, String>,
    /// Whether the Service of the instance's own name is somebody else's.
    pub in_the_way: InTheWay,
    /// Name and uid of the Secret with credentials that its status names, where it is there.
    pub credentials_there: Option<(String, String)>,
    /// What events tell of children that are stuck; filled in only where something is.
    pub told: Told,
    /// Whose each of its hosts is.
    pub domains: Vec<Decided>,
}

/// The place in the tenant's quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The tenant controller has not looked at it yet.
    Unknown,
    /// It has a place, with this plan.
    Admitted(Admitted),
    /// It waits for one.
    Waiting(Waiting),
}

/// Whether an object that must have the instance's own name is somebody else's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InTheWay {
    /// Nothing is.
    #[default]
    Nothing,
    /// What an earlier instance of this name left, which is being collected.
    Earlier,
    /// Something that Nakhoda did not make.
    Foreign,
}

/// What was generated for the data.
#[derive(Clone, PartialEq, Eq)]
pub enum Secrets {
    /// The values by name.
    There(BTreeMap<String, String>),
    /// There are none, and no data that they would belong to.
    NotYet,
    /// There are none, but there is data: generating others would lock everybody out of it.
    Lost,
    /// There is a Secret of that name which is not ours.
    Foreign,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::There(_) => "There(…)",
            Self::NotYet => "NotYet",
            Self::Lost => "Lost",
            Self::Foreign => "Foreign",
        })
    }
}

/// Gathers it all.
///
/// # Errors
/// When the secrets can't be read.
pub async fn fetch(
    context: &Context,
    instance: Arc<ServiceInstance>,
    now: Timestamp,
) -> Result<Fetched, CallError> {
    let namespace = instance.namespace().unwrap_or_default();
    let uid = instance.uid().unwrap_or_default();
    let tenant = instance.tenant().and_then(|name| context.caches.tenant(name));
    let place = place(tenant.as_deref(), &uid);
    let plan_name = match &place {
        Place::Admitted(admitted) => admitted.plan.clone(),
        _ => instance.spec.plan_ref.clone(),
    };
    let plan = context.caches.plan(&plan_name);
    let template = plan.as_ref().and_then(|plan| context.caches.template(&plan.spec.template_ref));
    let data_id = data_id(&instance);
    let volumes = template.as_ref().map(|t| volumes(context, &namespace, t, &data_id)).unwrap_or_default();
    let admitted = matches!(place, Place::Admitted(_));
    let (secrets, secret) = if admitted {
        read_secrets(context, &namespace, &data_id, &volumes).await?
    } else {
        (Secrets::NotYet, None)
    };
    let credentials_there =
        if admitted { read_credentials(context, &instance, &namespace).await? } else { None };
    let in_the_way = match &template {
        Some(template) if admitted && template.spec.expose.tcp.is_some() => {
            in_the_way(context, &instance, &namespace).await?
        }
        _ => InTheWay::Nothing,
    };
    let children = context.children_of(&instance);
    let (power, _) = power::decide(&instance.spec, context.settings.unsubscribed, now);
    let may_ask = domains::may_ask(&place, &power);
    let domains = domains::decide(context, &instance, template.as_deref(), &children, may_ask, now);
    Ok(Fetched {
        domains,
        in_the_way,
        instance,
        tenant,
        place,
        plan_name,
        plan,
        template,
        data_id,
        children,
        volumes,
        secrets,
        secret_uid: secret
            .as_ref()
            .and_then(|one| one.pointer("/metadata/uid"))
            .and_then(Value::as_str)
            .map(str::to_owned),
        secret_version: secret
            .as_ref()
            .and_then(|one| one.pointer("/metadata/resourceVersion"))
            .and_then(Value::as_str)
            .map(str::to_owned),
        secret_notes: secret.as_ref().map(notes).unwrap_or_default(),
        fixed: secret.as_ref().map(fixed).unwrap_or_default(),
        credentials_there,
        told: Told::new(),
    })
}

/// The data that the instance has: what it restores, or its own.
pub fn data_id(instance: &ServiceInstance) -> String {
    let own = || names::short_id(instance.metadata.uid.as_deref().unwrap_or_default());
    instance.spec.restore_from.clone().unwrap_or_else(own)
}

fn place(tenant: Option<&TenantQuota>, uid: &str) -> Place {
    let Some(status) = tenant.and_then(|tenant| tenant.status.as_ref()) else { return Place::Unknown };
    if let Some(admitted) = status.admitted.iter().find(|one| one.uid == uid) {
        return Place::Admitted(admitted.clone());
    }
    status.waiting.iter().find(|one| one.uid == uid).map_or(Place::Unknown, |one| Place::Waiting(one.clone()))
}

/// Those that the template names, and whatever else bears the data's id: it must not be left behind unseen.
fn volumes(
    context: &Context,
    namespace: &str,
    template: &ServiceTemplate,
    data_id: &str,
) -> BTreeMap<String, Arc<Child>> {
    let named = data::claim_names(template, data_id)
        .filter_map(|name| context.children.get(&apply::key(Kind::PersistentVolumeClaim, namespace, &name)));
    let all = context.children.claims_in(namespace).into_iter();
    let of_data = all.filter(|child| child.data.as_deref() == Some(data_id) && child.owner.is_some());
    named.chain(of_data).map(|child| (child.key.name.clone(), child)).collect()
}

async fn read_secrets(
    context: &Context,
    namespace: &str,
    data_id: &str,
    volumes: &BTreeMap<String, Arc<Child>>,
) -> Result<(Secrets, Option<Value>), CallError> {
    let key = apply::key(Kind::Secret, namespace, &names::data_secret(data_id));
    if let Some(secret) = context.cluster.get(&key).await? {
        let label = |name: &str| {
            secret.pointer("/metadata/labels").and_then(|all| all.get(name)).and_then(Value::as_str)
        };
        if label(labels::MANAGED_BY) != Some(labels::MANAGER) || label(labels::DATA) != Some(data_id) {
            return Ok((Secrets::Foreign, None));
        }
        return Ok((Secrets::There(decode(&secret)), Some(secret)));
    }
    if !volumes.is_empty() {
        return Ok((Secrets::Lost, None));
    }
    // The cache may be behind: before anything is generated, ask the API server itself whether there is data.
    let selector = format!("{}={data_id}", labels::DATA);
    let live = context.cluster.list(&Kind::PersistentVolumeClaim.resource(), namespace, &selector).await?;
    Ok((if live.is_empty() { Secrets::NotYet } else { Secrets::Lost }, None))
}

/// Only this one name can meet another's: all the others carry a part of the uid. It is asked live, and only until the
/// Service is known to be ours.
async fn in_the_way(
    context: &Context,
    instance: &ServiceInstance,
    namespace: &str,
) -> Result<InTheWay, CallError> {
    let uid = instance.metadata.uid.as_deref().unwrap_or_default();
    let key = apply::key(Kind::Service, namespace, &instance.name_any());
    if context.children.get(&key).is_some_and(|child| child.owner == Some(Owner::Instance(uid.to_owned()))) {
        return Ok(InTheWay::Nothing);
    }
    let Some(live) = context.cluster.get(&key).await? else { return Ok(InTheWay::Nothing) };
    let label =
        |name: &str| live.pointer("/metadata/labels").and_then(|all| all.get(name)).and_then(Value::as_str);
    Ok(match (label(labels::MANAGED_BY), label(labels::INSTANCE)) {
        (Some(labels::MANAGER), Some(owner)) if owner == uid => InTheWay::Nothing,
        (Some(labels::MANAGER), Some(_)) => InTheWay::Earlier,
        _ => InTheWay::Foreign,
    })
}

async fn read_credentials(
    context: &Context,
    instance: &ServiceInstance,
    namespace: &str,
) -> Result<Option<(String, String)>, CallError> {
    let Some(name) = instance.status.as_ref().and_then(|status| status.credentials_secret_ref.as_ref())
    else {
        return Ok(None);
    };
    let found = context.cluster.get(&apply::key(Kind::Secret, namespace, &name.name)).await?;
    // One that somebody else put in its place does not count.
    let ours = found.filter(|secret| {
        let label = |name: &str| {
            secret.pointer("/metadata/labels").and_then(|all| all.get(name)).and_then(Value::as_str)
        };
        label(labels::MANAGED_BY) == Some(labels::MANAGER)
            && label(labels::INSTANCE) == instance.metadata.uid.as_deref()
    });
    let uid = ours.as_ref().and_then(|secret| secret.pointer("/metadata/uid")).and_then(Value::as_str);
    Ok(uid.map(|uid| (name.name.clone(), uid.to_owned())))
}

/// The annotations of a Secret.
pub fn notes(secret: &Value) -> BTreeMap<String, String> {
    let annotations = secret.pointer("/metadata/annotations").cloned().unwrap_or_default();
    serde_json::from_value(annotations).unwrap_or_default()
}

fn fixed(secret: &Value) -> BTreeMap<String, String> {
    let text = secret
        .pointer("/metadata/annotations")
        .and_then(|all| all.get(labels::FIXED))
        .and_then(Value::as_str);
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// The values of a Secret as text.
pub fn decode(secret: &Value) -> BTreeMap<String, String> {
    let data = secret.get("data").and_then(Value::as_object);
    let engine = base64::engine::general_purpose::STANDARD;
    data.into_iter()
        .flatten()
        .filter_map(|(name, value)| {
            let bytes = engine.decode(value.as_str()?).ok()?;
            Some((name.clone(), String::from_utf8(bytes).ok()?))
        })
        .collect()
}
