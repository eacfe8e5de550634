//! What tests decide by: instances of the shipped catalogue, and no cluster.

use super::{
    build::{self, Desired, Facts},
    fetch::{Fetched, InTheWay, Place, Secrets},
    plan,
    rollout::{self, Rollout},
    validate::{self, Invalid, Validated},
};
use crate::{
    apply,
    kinds::Kind,
    observed::{Child, Owner, State},
    settings::Settings,
};
use crds::{
    ServiceInstance, ServicePlan, ServiceTemplate, TenantQuota, TenantQuotaSpec,
    instance::{Entitlement, Hold, Holds, PowerState, ServiceInstanceSpec},
    names,
    quota::Admitted,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Deserialize as _;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::{Arc, LazyLock},
};

/// The uid of the instance that tests build.
pub const UID: &str = "6b9c2a54-9d1e-4f6e-9a62-3c1f6f3f0a11";
/// The tenant that it belongs to.
pub const TENANT: &str = "sample";

/// The apps of the catalogue.
pub const APPS: [&str; 4] = ["postgresql", "wordpress", "ghost", "n8n"];

/// Whether and why an instance runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Entitled, and wanted by its owner.
    Running,
    /// Entitled, and stopped by its owner.
    Stopped,
    /// Held by billing.
    Suspended,
}

/// The time at which tests happen.
pub fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// A child of the instance, as the cache has it, of the component `db`.
pub fn child(kind: Kind, name: &str, state: State) -> Arc<Child> {
    Arc::new(Child {
        key: apply::key(kind, "customer-sample", name),
        owner: Some(Owner::Instance(UID.into())),
        uid: format!("uid-{name}"),
        version: 1,
        hash: None,
        digest: None,
        inputs: None,
        way_in: None,
        component: Some("db".into()),
        data: None,
        tenant: None,
        terminating: false,
        hands_off: false,
        state,
    })
}

fn config(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../config").join(path)
}

/// The shipped settings.
pub fn settings() -> &'static Settings {
    static SETTINGS: LazyLock<Settings> = LazyLock::new(|| Settings::load(&config("default.yaml")).unwrap());
    &SETTINGS
}

/// The names of every app in the catalogue.
pub fn catalogue() -> Vec<String> {
    let entries = fs::read_dir(config("catalog")).unwrap();
    let mut apps: Vec<String> = entries
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    apps.sort();
    apps
}

/// An app's template and plans, from its file.
pub fn app(name: &str) -> (ServiceTemplate, Vec<ServicePlan>) {
    let text = fs::read_to_string(config(&format!("catalog/{name}.yaml"))).unwrap();
    let documents = serde_yaml::Deserializer::from_str(&text).map(|one| Value::deserialize(one).unwrap());
    let (templates, plans): (Vec<Value>, Vec<Value>) =
        documents.filter(|one| !one.is_null()).partition(|one| one["kind"] == "ServiceTemplate");
    let template = templates.into_iter().next().unwrap();
    (
        serde_json::from_value(template).unwrap(),
        plans.into_iter().map(|plan| serde_json::from_value(plan).unwrap()).collect(),
    )
}

/// An instance of the app's smallest plan, admitted, of which nothing is there yet. What is off in the catalogue is on.
pub fn fetched(app_name: &str, wanted: Wanted) -> Fetched {
    let (mut template, plans) = app(app_name);
    template.spec.disabled = false;
    let plan = plans.into_iter().next().unwrap();
    let plan_name = plan.metadata.name.clone().unwrap();
    let instance = instance(&plan_name, &template, wanted);
    let name = instance.metadata.name.clone().unwrap();
    let admitted = Admitted { name, uid: UID.into(), plan: plan_name.clone() };
    let tenant =
        TenantQuota::new(TENANT, TenantQuotaSpec { owner: "owner".into(), ..TenantQuotaSpec::default() });
    Fetched {
        instance: Arc::new(instance),
        tenant: Some(Arc::new(tenant)),
        place: Place::Admitted(admitted),
        plan_name,
        plan: Some(Arc::new(plan)),
        template: Some(Arc::new(template)),
        data_id: names::short_id(UID),
        children: Vec::new(),
        volumes: BTreeMap::new(),
        secrets: Secrets::NotYet,
        secret_uid: None,
        secret_version: None,
        secret_notes: BTreeMap::new(),
        fixed: BTreeMap::new(),
        in_the_way: InTheWay::Nothing,
        credentials_there: None,
        told: BTreeMap::new(),
        domains: Vec::new(),
    }
}

fn instance(plan: &str, template: &ServiceTemplate, wanted: Wanted) -> ServiceInstance {
    let required = template.spec.parameters.iter().filter(|one| one.required);
    let mut spec = ServiceInstanceSpec {
        plan_ref: plan.to_owned(),
        parameters: required.map(|one| (one.name.clone(), "owner@example.com".to_owned())).collect(),
        entitlement: Some(Entitlement::default()),
        ..ServiceInstanceSpec::default()
    };
    want(&mut spec, wanted);
    let mut instance = ServiceInstance::new("shop", spec);
    instance.metadata.namespace = Some(names::tenant_namespace(TENANT));
    instance.metadata.uid = Some(UID.to_owned());
    instance.metadata.generation = Some(1);
    instance
}

/// Says of a spec that it should run, or why not.
pub fn want(spec: &mut ServiceInstanceSpec, wanted: Wanted) {
    let hold = Hold { reason: "The bill is open".into(), since: Time(now()) };
    spec.power_state = if wanted == Wanted::Stopped { PowerState::Stopped } else { PowerState::Running };
    spec.holds = (wanted == Wanted::Suspended).then(|| Holds { billing: Some(hold), ..Holds::default() });
}

/// What is known of an instance all of whose parts are up (or were, before it was stopped).
pub fn all_up(template: &ServiceTemplate) -> Facts {
    let components: BTreeSet<String> = template.spec.components.iter().map(|one| one.name.clone()).collect();
    Facts {
        secrets: Some(generated(template)),
        ready: components.clone(),
        existing: components.clone(),
        started: components,
        jobs: template.spec.init_jobs.iter().map(|job| (job.name.clone(), true)).collect(),
        ..Facts::default()
    }
}

/// What is known of one whose pods have all ended.
pub fn all_down(template: &ServiceTemplate) -> Facts {
    let Facts { secrets, existing, jobs, .. } = all_up(template);
    Facts { secrets, existing, jobs, ..Facts::default() }
}

/// A value for every secret of a template.
pub fn generated(template: &ServiceTemplate) -> BTreeMap<String, String> {
    template.spec.secrets.iter().map(|one| (one.name.clone(), format!("the-{}", one.name))).collect()
}

/// The order that follows.
///
/// # Errors
/// As `validate`.
pub fn order(fetched: &Fetched) -> Result<Validated, Invalid> {
    validate::validate(fetched, settings(), now())
}

/// One round of a reconcile, up to its plan.
///
/// # Errors
/// As `validate`.
pub fn round(fetched: &Fetched) -> Result<(Desired, plan::Plan), Invalid> {
    let (desired, plan, _) = round_at(fetched, settings(), now())?;
    Ok((desired, plan))
}

/// The same by other settings, at another time, with what becomes of changes that are not the owner's.
///
/// # Errors
/// As `validate`.
pub fn round_at(
    fetched: &Fetched,
    settings: &Settings,
    now: Timestamp,
) -> Result<(Desired, plan::Plan, Rollout), Invalid> {
    let order = validate::validate(fetched, settings, now)?;
    let mut desired = build::build(&order, &plan::facts(fetched), settings);
    let rollout = rollout::decide(&desired, fetched, &order, now);
    if matches!(rollout, Rollout::Waits { .. }) {
        rollout::hold(&mut desired, fetched);
    }
    let plan = plan::plan(&desired, fetched);
    Ok((desired, plan, rollout))
}
