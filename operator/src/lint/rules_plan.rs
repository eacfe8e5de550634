//! What concerns several documents: names that stand twice, and plans that are too small for their template.

use super::{Document, Finding, Findings, Parsed};
use crate::instance::validate::{component_resources, volume_size};
use crds::{
    Quantity, ServicePlan, ServiceTemplate,
    template::{Component, ServiceTemplateSpec},
};
use std::collections::BTreeMap;

/// The least memory that a component can do anything with, and the least volume, in bytes.
const LEAST: (i64, i64) = (64 << 20, 256 << 20);
/// The least CPU that a component can do anything with, in thousandths of a core.
const LEAST_CPU: i64 = 50;

pub(super) fn check(
    templates: &[Parsed<'_, ServiceTemplate>],
    plans: &[Parsed<'_, ServicePlan>],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let documents: Vec<&Document> = templates.iter().map(|one| one.document).collect();
    twice(&documents, &mut findings);
    let documents: Vec<&Document> = plans.iter().map(|one| one.document).collect();
    twice(&documents, &mut findings);
    for plan in plans {
        let template = templates.iter().find(|one| one.document.name() == plan.resource.spec.template_ref);
        if let Some(template) = template {
            let mut said = Findings::new(plan.document);
            check_sizes(&plan.resource, &template.resource.spec, &mut said);
            findings.extend(said.into_findings());
        }
    }
    findings
}

fn twice(documents: &[&Document], findings: &mut Vec<Finding>) {
    let mut seen: BTreeMap<&str, &Document> = BTreeMap::new();
    for document in documents {
        if let Some(first) = seen.insert(document.name(), document) {
            let mut said = Findings::new(document);
            let what = format!(
                "{} {} stands in document {} of {} already",
                document.kind(),
                document.name(),
                first.number,
                first.file
            );
            said.error("twice", "metadata.name", &what, "rename one or take it out");
            findings.extend(said.into_findings());
        }
    }
}

fn check_sizes(plan: &ServicePlan, template: &ServiceTemplateSpec, said: &mut Findings<'_>) {
    let resources = &plan.spec.resources;
    check_sum(plan, template, said);
    for component in &template.components {
        let (cpu, memory) = component_resources(component, resources);
        let (cpu, memory) = (cpu.millis(), memory.units());
        if cpu < LEAST_CPU {
            said.warning(
                "plan-too-small",
                "spec.resources.cpu",
                &format!("the component {} has {cpu} thousandths of a CPU", component.name),
                "give the plan more, or the component a larger share",
            );
        }
        if memory < LEAST.0 {
            let what = format!("the component {} has {} MiB of memory", component.name, memory >> 20);
            said.warning(
                "plan-too-small",
                "spec.resources.memory",
                &what,
                "give the plan more, or the component a larger share",
            );
        }
        check_scratch(component, memory, said);
        for volume in &component.volumes {
            let size = volume_size(resources.storage, volume.storage_percent).units();
            if size < LEAST.1 {
                let what = format!("the volume {} of {} has {} MiB", volume.name, component.name, size >> 20);
                said.warning(
                    "plan-too-small",
                    "spec.resources.storage",
                    &what,
                    "give the plan more, or the volume a larger share",
                );
            }
        }
    }
}

/// What the components have for certain must fit into what is sold: fixed amounts and shares together.
fn check_sum(plan: &ServicePlan, template: &ServiceTemplateSpec, said: &mut Findings<'_>) {
    let sold = &plan.spec.resources;
    let has: Vec<(Quantity, Quantity)> =
        template.components.iter().map(|component| component_resources(component, sold)).collect();
    let cpu: i64 = has.iter().map(|(cpu, _)| cpu.millis()).sum();
    let memory: i64 = has.iter().map(|(_, memory)| memory.units()).sum();
    let fixed = |given: fn(&Component) -> bool| -> String {
        let names: Vec<&str> =
            template.components.iter().filter(|one| given(one)).map(|one| one.name.as_str()).collect();
        names.join(", ")
    };
    let mut too_much = |field: &str, what: &str, fixed: &str| {
        said.error(
            "plan-too-small",
            &format!("spec.resources.{field}"),
            &format!("{what}: instances have more than what is sold, and the tenant's quota refuses their pods in the end"),
            &format!("give the plan more, or {fixed} less or a share (the shares of the others are of the whole plan)"),
        );
    };
    if cpu > sold.cpu.millis() {
        let what = format!(
            "the components have {cpu} thousandths of a CPU together, of {} that the plan has",
            sold.cpu.millis()
        );
        too_much("cpu", &what, &fixed(|one| one.resources.cpu.is_some()));
    }
    if memory > sold.memory.units() {
        let what = format!(
            "the components have {} MiB of memory together, of {} MiB that the plan has",
            memory >> 20,
            sold.memory.units() >> 20
        );
        too_much("memory", &what, &fixed(|one| one.resources.memory.is_some()));
    }
}

/// Files in memory count toward the limit: half of it must stay for the program.
fn check_scratch(component: &Component, memory: i64, said: &mut Findings<'_>) {
    let scratch: i64 =
        component.empty_dirs.iter().filter(|dir| dir.memory).map(|dir| dir.size_limit.units()).sum();
    if scratch > memory / 2 {
        let what = format!(
            "the emptyDirs in memory of {} may grow to {} MiB of its {} MiB",
            component.name,
            scratch >> 20,
            memory >> 20
        );
        said.warning(
            "scratch-in-memory",
            "spec.resources.memory",
            &what,
            "give the plan more, or the emptyDirs a smaller sizeLimit",
        );
    }
}
