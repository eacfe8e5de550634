//! `ServiceTemplate`: whether it makes sense, and how much it is used.

pub mod validate;

use crate::{
    apply::CallError,
    context::Context,
    own::{self, Own},
    strict::Problem,
};
use crds::{
    ServiceTemplate, ServiceTemplateStatus,
    conditions::{self, Said},
    reasons,
};
use kube::{ResourceExt as _, runtime::controller::Action};
use std::{collections::BTreeSet, sync::Arc};

/// Says of one template what there is to say.
///
/// # Errors
/// When the status could not be written.
pub async fn reconcile(template: Arc<ServiceTemplate>, context: Arc<Context>) -> Result<Action, CallError> {
    let template = context.own_templates.newest(template);
    if template.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let name = template.name_any();
    let plans: BTreeSet<String> = context
        .caches
        .plans
        .state()
        .iter()
        .filter(|plan| plan.spec.template_ref == name)
        .map(|plan| plan.name_any())
        .collect();
    let instances =
        context.caches.instances.state().iter().filter(|one| plans.contains(&one.spec.plan_ref)).count();
    let before = template.status.clone().unwrap_or_default();
    let said = judge(&validate::problems(&template.spec), template.spec.disabled);
    let status = ServiceTemplateStatus {
        observed_generation: template.metadata.generation,
        plans: i32::try_from(plans.len()).unwrap_or(i32::MAX),
        instances: i32::try_from(instances).unwrap_or(i32::MAX),
        conditions: conditions::update(
            &before.conditions,
            said,
            template.metadata.generation,
            context.clock.now(),
        ),
    };
    if template.status.as_ref() != Some(&status) {
        own::write_status(&context.cluster, &context.own_templates, &*template, &status, None).await?;
    }
    Ok(Action::await_change())
}

fn judge(problems: &[Problem], disabled: bool) -> Vec<Said> {
    let settled = Said::no(conditions::RECONCILING, reasons::SETTLED, "");
    if problems.is_empty() {
        let (reason, message) = if disabled {
            (reasons::DISABLED, "It is valid, but not offered: nothing is made from it anew.")
        } else {
            (reasons::VALID, "Instances can be made from it.")
        };
        return vec![
            Said::yes(conditions::READY, reason, message),
            settled,
            Said::no(conditions::STALLED, reasons::NOT_STALLED, ""),
        ];
    }
    let problems: Vec<&str> = problems.iter().map(|one| one.what.as_str()).collect();
    let mut message =
        format!("It contradicts itself, and no instance is made from it: {}", problems.join("; "));
    message = message.chars().take(2000).collect();
    vec![
        Said::no(conditions::READY, reasons::INVALID, message.clone()),
        settled,
        Said::yes(conditions::STALLED, reasons::INVALID, message),
    ]
}

impl Own for ServiceTemplate {
    type Status = ServiceTemplateStatus;

    fn status(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }
}
