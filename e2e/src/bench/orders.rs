//! What customers do: tenants and instances, as many and as fast as the API server takes them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use crds::{ServiceInstance, ServicePlan, ServiceTemplate, TenantQuota, conditions, managers, names};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::{Patch, PatchParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::apply::{self, is_not_counted_yet};
use crate::wait;

/// How many orders are under way at once.
const AT_ONCE: usize = 16;
/// Until when everything is paid for: long after any run.
const PAID_UNTIL: &str = "2098-12-31T17:00:00Z";
/// When it would be suspended.
const SUSPEND_AT: &str = "2099-01-03T17:00:00Z";
/// What a parameter that has to be given gets.
const GIVEN: &str = "owner@example.com";

/// What is ordered: a plan of the catalogue.
#[derive(Clone, Debug)]
pub(super) struct Product {
    /// The plan.
    pub(super) plan: String,
    /// What its template wants to be told.
    parameters: BTreeMap<String, String>,
    /// How many pods an instance has.
    pub(super) pods: usize,
}

/// The plans of those names, in the catalogue's folder.
pub(super) fn products(catalogue: &Path, plans: &[String]) -> Result<Vec<Product>> {
    let mut templates: HashMap<String, ServiceTemplate> = HashMap::new();
    let mut template_of: HashMap<String, String> = HashMap::new();
    for entry in std::fs::read_dir(catalogue)?.flatten() {
        for object in apply::read(&entry.path())? {
            let name = object.name_any();
            match object.types.as_ref().map(|types| types.kind.as_str()) {
                Some("ServiceTemplate") => drop(templates.insert(name, object.try_parse()?)),
                Some("ServicePlan") => {
                    template_of.insert(name, object.try_parse::<ServicePlan>()?.spec.template_ref);
                }
                _ => {}
            }
        }
    }
    let product = |plan: &String| {
        let template = template_of.get(plan).and_then(|name| templates.get(name));
        let spec = &template.with_context(|| format!("the catalogue has no plan {plan}"))?.spec;
        ensure!(!spec.disabled, "the app of the plan {plan} is not offered");
        let required = spec.parameters.iter().filter(|one| one.required);
        let parameters = required.map(|one| (one.name.clone(), GIVEN.to_owned())).collect();
        Ok(Product { plan: plan.clone(), parameters, pods: spec.components.len() })
    };
    plans.iter().map(product).collect()
}

/// Everything of a kind that has come so far as it should, and when that was.
pub(super) struct Arrivals {
    watch: JoinHandle<Result<Vec<Instant>>>,
}

impl Arrivals {
    /// Watches until `count` objects have come so far as `arrived` says.
    pub(super) fn expect<K>(client: &Client, count: usize, arrived: fn(&K) -> bool) -> Self
    where
        K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
    {
        let events = watcher(Api::<K>::all(client.clone()), watcher::Config::default()).default_backoff();
        let watch = async move {
            let mut events = std::pin::pin!(events);
            let mut times: HashMap<String, Instant> = HashMap::new();
            while times.len() < count {
                let event = events.next().await.context("a watch does not end")??;
                if let Event::Apply(object) | Event::InitApply(object) = event
                    && arrived(&object)
                {
                    times.entry(object.uid().unwrap_or_default()).or_insert_with(Instant::now);
                }
            }
            let mut times: Vec<Instant> = times.into_values().collect();
            times.sort();
            Ok(times)
        };
        Self { watch: tokio::spawn(watch) }
    }

    /// When each of them arrived, in order.
    pub(super) async fn times(self, what: &str, bound: Duration) -> Result<Vec<Instant>> {
        wait::within(what, bound, self.watch).await?
    }
}

/// Whether a tenant can be ordered in.
pub(super) fn is_ready(tenant: &TenantQuota) -> bool {
    let said = tenant.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions::is_true(said, conditions::READY, tenant.metadata.generation)
}

/// Whether an instance serves.
pub(super) fn is_available(instance: &ServiceInstance) -> bool {
    instance.is(conditions::AVAILABLE)
}

/// The name of a tenant; all have one length.
pub(super) fn tenant(number: usize) -> String {
    format!("t{number:06}")
}

/// The name of an instance; all have one length.
pub(super) fn instance(number: usize) -> String {
    format!("i{number:06}")
}

/// Applies tenants that have room for so many instances each.
pub(super) async fn open(admin: &Client, tenants: usize, room: usize) -> Result<()> {
    let limits = json!({"instances": room, "cpu": "4000", "memory": "8Ti", "storage": "400Ti"});
    let api: Api<TenantQuota> = Api::all(admin.clone());
    let params = PatchParams::apply(managers::TENANT).force();
    let all = (0..tenants).map(|number| {
        let quota = json!({
            "apiVersion": "nakhoda.dev/v1alpha1", "kind": "TenantQuota", "metadata": {"name": tenant(number)},
            "spec": {"owner": "01936b1e-7c5a-7f3e-9d42-5b8e6a1c0f27", "limits": limits},
        });
        let (api, params) = (&api, &params);
        async move { api.patch(&tenant(number), params, &Patch::Apply(&quota)).await.map(drop) }
    });
    Ok(stream::iter(all).buffer_unordered(AT_ONCE).try_collect().await?)
}

/// Orders instances, the tenants taking turns, and the plans; each is paid for.
pub(super) async fn order(admin: &Client, count: usize, tenants: usize, products: &[Product]) -> Result<()> {
    let all = (0..count).map(|number| {
        let product = &products[number % products.len()];
        let spec = json!({
            "planRef": product.plan, "parameters": product.parameters,
            "entitlement": {"paidUntil": PAID_UNTIL, "suspendAt": SUSPEND_AT},
        });
        order_one(admin, names::tenant_namespace(&tenant(number % tenants)), instance(number), spec)
    });
    stream::iter(all).buffer_unordered(AT_ONCE).try_collect().await
}

async fn order_one(admin: &Client, namespace: String, name: String, spec: Value) -> Result<()> {
    let api: Api<ServiceInstance> = Api::namespaced(admin.clone(), &namespace);
    let object = json!({
        "apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServiceInstance",
        "metadata": {"name": name, "namespace": namespace}, "spec": spec,
    });
    let params = PatchParams::apply(managers::OWNER).force();
    wait::until(&format!("the order of {namespace}/{name}"), Duration::from_mins(1), async || {
        match api.patch(&name, &params, &Patch::Apply(&object)).await {
            Ok(_) => Ok(Some(())),
            Err(kube::Error::Api(status)) if is_not_counted_yet(&status.message) => Ok(None),
            Err(error) => Err(error.into()),
        }
    })
    .await
}
