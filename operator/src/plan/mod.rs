//! `ServicePlan`: whether it can be sold, and how much it is used.

use crate::{
    apply::CallError,
    context::Context,
    own::{self, Own},
    template::validate,
};
use crds::{
    ServicePlan, ServicePlanStatus, ServiceTemplate,
    conditions::{self, Said},
    reasons,
};
use kube::{ResourceExt as _, runtime::controller::Action};
use std::sync::Arc;

/// Says of one plan what there is to say.
///
/// # Errors
/// When the status could not be written.
pub async fn reconcile(plan: Arc<ServicePlan>, context: Arc<Context>) -> Result<Action, CallError> {
    let plan = context.own_plans.newest(plan);
    if plan.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let name = plan.name_any();
    let instances = context.caches.instances.state().iter().filter(|one| one.spec.plan_ref == name).count();
    let template = context.caches.template(&plan.spec.template_ref);
    let before = plan.status.clone().unwrap_or_default();
    let said = judge(&plan, template.as_deref());
    let status = ServicePlanStatus {
        observed_generation: plan.metadata.generation,
        instances: i32::try_from(instances).unwrap_or(i32::MAX),
        conditions: conditions::update(
            &before.conditions,
            said,
            plan.metadata.generation,
            context.clock.now(),
        ),
    };
    if plan.status.as_ref() != Some(&status) {
        own::write_status(&context.cluster, &context.own_plans, &*plan, &status, None).await?;
    }
    Ok(Action::await_change())
}

fn judge(plan: &ServicePlan, template: Option<&ServiceTemplate>) -> Vec<Said> {
    let name = &plan.spec.template_ref;
    let stalled = |reason, message: String| {
        vec![
            Said::no(conditions::READY, reason, message.clone()),
            Said::no(conditions::RECONCILING, reasons::SETTLED, ""),
            Said::yes(conditions::STALLED, reason, message),
        ]
    };
    let ready = |reason, message: &str| {
        vec![
            Said::yes(conditions::READY, reason, message),
            Said::no(conditions::RECONCILING, reasons::SETTLED, ""),
            Said::no(conditions::STALLED, reasons::NOT_STALLED, ""),
        ]
    };
    match template {
        None => stalled(
            reasons::TEMPLATE_NOT_FOUND,
            format!("The template {name} does not exist. An administrator must create it."),
        ),
        Some(template) if !validate::problems(&template.spec).is_empty() => stalled(
            reasons::TEMPLATE_INVALID,
            format!("The template {name} contradicts itself; its own status says where."),
        ),
        Some(template) if template.spec.disabled => {
            ready(reasons::TEMPLATE_DISABLED, "Its app is not offered at present.")
        }
        Some(_) if plan.spec.retired => {
            ready(reasons::RETIRED, "It is not sold any more; what runs by it goes on.")
        }
        Some(_) => ready(reasons::SELLABLE, "Instances can be made by it."),
    }
}

impl Own for ServicePlan {
    type Status = ServicePlanStatus;

    fn status(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }
}
