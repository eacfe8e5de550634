//! From what was fetched to an order that can't be wrong, or the one reason why there is none.

use super::{
    access::{self, Access, NoAccess},
    data,
    fetch::{Fetched, InTheWay, Place, Secrets},
    power::{self, Power},
    window::Window,
};
use crate::{digest, domains, settings::Settings, template};
use crds::{
    Quantity, ServiceTemplate,
    instance::ServiceInstanceSpec,
    labels, names,
    plan::{PlanResources, ServicePlanSpec},
    reasons::{self, Stalls},
    span,
    template::{Component, values},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};

/// An instance that can be built.
#[derive(Clone, Debug)]
pub struct Validated {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its uid.
    pub uid: String,
    /// Its tenant.
    pub tenant: String,
    /// For its children.
    pub owner: OwnerReference,
    /// The admitted plan's name.
    pub plan: String,
    /// What it has.
    pub resources: PlanResources,
    /// The class of its volumes.
    pub storage_class: Option<String>,
    /// The template's name.
    pub template_name: String,
    /// The template.
    pub template: Arc<ServiceTemplate>,
    /// Every parameter's value.
    pub parameters: BTreeMap<String, String>,
    /// The id of its data.
    pub data_id: String,
    /// Its platform host.
    pub host: String,
    /// The custom hosts that are its own.
    pub custom_hosts: Vec<String>,
    /// How it is reached from outside, where it asks for that.
    pub access: Option<Result<Access, NoAccess>>,
    /// How long its data is kept after it.
    pub keep_for: SignedDuration,
    /// The same, as written.
    pub keep_for_text: String,
    /// Whether it runs.
    pub power: Power,
    /// When the clock alone may change that.
    pub look_again: Option<Timestamp>,
    /// For which request its pods were last started.
    pub restarted_at: Option<Timestamp>,
    /// Whether it was up once with all its init jobs done.
    pub initialized: bool,
    /// When others' changes may restart it: its own window, else the platform's.
    pub window: Option<Window>,
    /// Its `rolloutAt`, where that time has come.
    pub rollout_due: Option<Timestamp>,
    /// Its `rolloutAt`, where that time has not come yet.
    pub rollout_later: Option<Timestamp>,
    /// The hash of what its owner decides of its pods.
    pub inputs: String,
}

impl Validated {
    /// The host that the app calls itself by: the first custom one that is its own, else the platform's. Apps send visitors of the
    /// others there.
    pub fn primary_host(&self) -> &str {
        self.custom_hosts.first().unwrap_or(&self.host)
    }
}

/// Why an instance can't be built now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// A constant CamelCase word.
    pub reason: &'static str,
    /// What is wrong, what happens next, who must act.
    pub message: String,
    /// Whether it is only waiting, and nobody needs to act.
    pub waiting: bool,
}

impl Invalid {
    /// One of which the registry says all there is to say.
    pub(super) fn known(reason: &'static str) -> Self {
        let known = reasons::find(reason);
        let waiting = known.is_some_and(|known| known.stalls != Stalls::AtOnce);
        Self { reason, message: reasons::sentence(reason).to_owned(), waiting }
    }

    pub(super) fn stalled(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), waiting: false }
    }
}

/// Checks everything that must hold before anything is built.
///
/// # Errors
/// The first reason why nothing can be built.
pub fn validate(fetched: &Fetched, settings: &Settings, now: Timestamp) -> Result<Validated, Invalid> {
    let instance = &fetched.instance;
    let spec = &instance.spec;
    let tenant = fetched.tenant.as_ref().ok_or_else(|| Invalid::known(reasons::TENANT_MISSING))?;
    check_place(&fetched.place)?;
    let plan = fetched.plan.as_ref().ok_or_else(|| {
        let message = format!(
            "The plan {} does not exist. Name an existing one, or ask an administrator.",
            fetched.plan_name
        );
        Invalid::stalled(reasons::PLAN_NOT_FOUND, message)
    })?;
    let template = check_template(fetched, &plan.spec)?;
    let parameters =
        values::check(&template.spec.parameters, &spec.parameters, &fetched.fixed).map_err(|problem| {
            Invalid::stalled(reasons::PARAMETER_INVALID, format!("{problem} Correct it in spec.parameters."))
        })?;
    let keep_for = span::parse_span(&spec.retention.keep_for).map_err(|problem| {
        Invalid::stalled(reasons::RETENTION_INVALID, format!("{problem}. Correct spec.retention.keepFor."))
    })?;
    data::check(fetched, &plan.spec, &template)?;
    check_name(fetched)?;
    let (power, look_again) = power::decide(spec, settings.unsubscribed, now);
    let uid = instance.uid().unwrap_or_default();
    let rollout_at = spec.rollout_at.as_ref().map(|time| time.0);
    Ok(Validated {
        name: instance.name_any(),
        namespace: instance.namespace().unwrap_or_default(),
        tenant: tenant.name_any(),
        owner: OwnerReference {
            block_owner_deletion: None,
            ..instance.controller_owner_ref(&()).unwrap_or_default()
        },
        plan: fetched.plan_name.clone(),
        resources: plan.spec.resources,
        storage_class: plan.spec.storage_class_name.clone().or_else(|| settings.storage_class_name.clone()),
        access: access::decide(spec.access.as_ref(), &template.spec.expose, settings.access.by),
        template_name: template.name_any(),
        template,
        parameters,
        data_id: fetched.data_id.clone(),
        custom_hosts: custom_hosts(fetched),
        host: names::platform_host(&uid, &settings.zone),
        uid,
        keep_for,
        keep_for_text: spec.retention.keep_for.clone(),
        power,
        look_again,
        restarted_at: spec.restarted_at.as_ref().map(|time| time.0),
        initialized: is_initialized(fetched),
        window: window(spec, settings),
        rollout_due: rollout_at.filter(|at| *at <= now),
        rollout_later: rollout_at.filter(|at| *at > now),
        inputs: inputs(&fetched.plan_name, spec, &custom_hosts(fetched)),
    })
}

/// By its status, or by a note on the data that it restores.
pub(super) fn is_initialized(fetched: &Fetched) -> bool {
    fetched.instance.status.as_ref().is_some_and(|status| status.initialized)
        || fetched.secret_notes.get(labels::INITIALIZED).is_some_and(|note| note == "true")
}

/// One that can't be understood counts as none; the status says so.
fn window(spec: &ServiceInstanceSpec, settings: &Settings) -> Option<Window> {
    let own = spec.maintenance_window.as_ref().and_then(|written| Window::parse(written).ok());
    own.or_else(|| settings.updates.window.as_ref().and_then(|written| Window::parse(written).ok()))
}

/// A host of its owner's that is proven counts as well: the app must know what it is called.
fn inputs(plan: &str, spec: &ServiceInstanceSpec, hosts: &[String]) -> String {
    let restarted = spec.restarted_at.as_ref().map(|time| time.0.to_string());
    let primary = hosts.first();
    let own = json!({"plan": plan, "parameters": spec.parameters, "restartedAt": restarted, "host": primary});
    digest::desired_hash(&own)
}

/// The custom hosts that are its own; its platform host is routed anyway.
fn custom_hosts(fetched: &Fetched) -> Vec<String> {
    let ours = fetched
        .domains
        .iter()
        .filter(|one| one.is_ours && one.status.reason != domains::decide::PLATFORM_HOST);
    ours.map(|one| one.status.host.clone()).collect()
}

fn check_place(place: &Place) -> Result<(), Invalid> {
    match place {
        Place::Admitted(_) => Ok(()),
        Place::Unknown => Err(Invalid::known(reasons::AWAITING_ADMISSION)),
        Place::Waiting(waiting) if waiting.reason == reasons::PLAN_NOT_FOUND => {
            Err(Invalid::stalled(reasons::PLAN_NOT_FOUND, waiting.message.clone()))
        }
        Place::Waiting(waiting) => Err(Invalid::stalled(reasons::QUOTA_EXCEEDED, waiting.message.clone())),
    }
}

fn check_template(fetched: &Fetched, plan: &ServicePlanSpec) -> Result<Arc<ServiceTemplate>, Invalid> {
    let Some(template) = fetched.template.clone() else {
        let message = format!(
            "The template {} of its plan does not exist. An administrator must create it.",
            plan.template_ref
        );
        return Err(Invalid::stalled(reasons::TEMPLATE_NOT_FOUND, message));
    };
    let before = fetched.instance.status.as_ref().and_then(|status| status.template.as_deref());
    if before.is_some_and(|before| before != plan.template_ref) {
        return Err(Invalid::known(reasons::PLAN_OF_ANOTHER_APP));
    }
    if let Some(problem) = template::validate::problems(&template.spec).first() {
        let message =
            format!("The template can't be used: {}. An administrator must correct it.", problem.what);
        return Err(Invalid::stalled(reasons::TEMPLATE_INVALID, message));
    }
    let made_already = before.is_some() || matches!(fetched.secrets, Secrets::There(_));
    if template.spec.disabled && !made_already {
        return Err(Invalid::known(reasons::TEMPLATE_DISABLED));
    }
    if plan.retired && !made_already {
        return Err(Invalid::known(reasons::PLAN_RETIRED));
    }
    Ok(template)
}

fn check_name(fetched: &Fetched) -> Result<(), Invalid> {
    match fetched.in_the_way {
        InTheWay::Nothing => Ok(()),
        InTheWay::Earlier => Err(Invalid::known(reasons::WAITING_FOR_DELETION)),
        InTheWay::Foreign => {
            let message = "There is a Service of the instance's name that Nakhoda did not make. Remove it, or name the instance otherwise.";
            Err(Invalid::stalled(reasons::NAME_TAKEN, message))
        }
    }
}

/// A volume's share of the plan's storage, in whole MiB.
pub fn volume_size(storage: Quantity, percent: i32) -> Quantity {
    let bytes = storage.percent(u32::try_from(percent).unwrap_or(100)).units();
    let mebi = (bytes / (1 << 20)).max(1);
    Quantity::from_units(u64::try_from(mebi << 20).unwrap_or_default())
}

/// The memory and CPU of a component: fixed, or its share of the plan's.
pub fn component_resources(component: &Component, plan: &PlanResources) -> (Quantity, Quantity) {
    let resources = &component.resources;
    let share = |percent: Option<i32>| percent.and_then(|percent| u32::try_from(percent).ok()).unwrap_or(100);
    let cpu = resources.cpu.unwrap_or_else(|| plan.cpu.percent(share(resources.cpu_percent)));
    let memory = resources.memory.unwrap_or_else(|| {
        let bytes = plan.memory.percent(share(resources.memory_percent)).units();
        Quantity::from_units(u64::try_from((bytes >> 20).max(1) << 20).unwrap_or_default())
    });
    (cpu, memory)
}
