//! Whether a template makes sense as a whole, and whether it is safe to make instances from: what its schema can't say.

mod collisions;
mod environment;
mod injection;
mod plain;
mod programs;
mod references;
mod strings;

pub use programs::{STARTERS, scripts};
pub use strings::{FACTS, placeholders};

use crate::strict::Problem;
use crds::template::{Component, Container, InitJob, Probe, ServiceTemplateSpec, values};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that is wrong with a template, a sentence each, with the place where it stands; empty for one that instances
/// can be made from.
pub fn problems(spec: &ServiceTemplateSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (what, list, names) in [
        ("component", "components", names(&spec.components, |c| &c.name)),
        ("parameter", "parameters", names(&spec.parameters, |p| &p.name)),
        ("secret", "secrets", names(&spec.secrets, |s| &s.name)),
        ("file", "files", names(&spec.files, |f| &f.name)),
        ("init job", "initJobs", names(&spec.init_jobs, |j| &j.name)),
    ] {
        problems.extend(repeated(&names).map(|(index, name)| {
            let said = format!("two entries of kind {what} are called {name}: rename one");
            Problem::new(format!("spec.{list}[{index}].name"), said)
        }));
    }
    references::check(spec, &mut problems);
    strings::check(spec, &mut problems);
    check_order(spec, &mut problems);
    check_shares(spec, &mut problems);
    check_parameters(spec, &mut problems);
    collisions::check(spec, &mut problems);
    injection::check(spec, &mut problems);
    problems
}

fn names<'a, T>(items: &'a [T], name: impl Fn(&'a T) -> &'a String) -> Vec<&'a str> {
    items.iter().map(|item| name(item).as_str()).collect()
}

/// What was there before, with the place of the later one.
fn repeated<'a>(names: &[&'a str]) -> impl Iterator<Item = (usize, &'a str)> {
    let mut seen = BTreeSet::new();
    let all = names.iter().copied().enumerate();
    all.filter(move |(_, name)| !seen.insert(*name)).collect::<Vec<_>>().into_iter()
}

/// The probes of a component, with what the template calls them.
pub fn probes(component: &Component) -> [(&'static str, &Probe); 3] {
    let probes = &component.probes;
    [("startup", &probes.startup), ("readiness", &probes.readiness), ("liveness", &probes.liveness)]
}

/// A container of the template.
#[derive(Clone, Debug)]
pub struct Owned<'a> {
    /// What messages call it.
    pub owner: String,
    /// Where it stands in the template, such as `spec.components[0].initContainers[1]`.
    pub path: String,
    /// The component in whose pod it runs; none for an init job's.
    pub component: Option<&'a Component>,
    /// The init job whose it is, if it is one's.
    pub job: Option<&'a InitJob>,
    /// Itself.
    pub container: &'a Container,
}

/// Every container of the template.
pub fn containers(spec: &ServiceTemplateSpec) -> Vec<Owned<'_>> {
    let mut all = Vec::new();
    for (index, component) in spec.components.iter().enumerate() {
        let path = format!("spec.components[{index}]");
        let inits = component.init_containers.iter().enumerate().map(|(number, init)| Owned {
            owner: format!("init container {} of component {}", init.name, component.name),
            path: format!("{path}.initContainers[{number}]"),
            component: Some(component),
            job: None,
            container: &init.container,
        });
        let inits: Vec<Owned<'_>> = inits.collect();
        let owner = format!("component {}", component.name);
        all.push(Owned {
            owner,
            path,
            component: Some(component),
            job: None,
            container: &component.container,
        });
        all.extend(inits);
    }
    all.extend(spec.init_jobs.iter().enumerate().map(|(index, job)| Owned {
        owner: format!("init job {}", job.name),
        path: format!("spec.initJobs[{index}]"),
        component: None,
        job: Some(job),
        container: &job.container,
    }));
    all
}

fn check_order(spec: &ServiceTemplateSpec, problems: &mut Vec<Problem>) {
    let done: Vec<&str> = ordered(spec).iter().map(|one| one.name.as_str()).collect();
    let stuck = spec.components.iter().position(|component| !done.contains(&component.name.as_str()));
    if let Some(index) = stuck.filter(|_| problems.is_empty()) {
        let said = "the components depend on each other in a circle: take one dependsOn out";
        problems.push(Problem::new(format!("spec.components[{index}].dependsOn"), said));
    }
}

/// The components in the order in which they start; those in a circle are left out.
pub fn ordered(spec: &ServiceTemplateSpec) -> Vec<&Component> {
    let mut done: Vec<&Component> = Vec::new();
    loop {
        let next = spec.components.iter().find(|component| {
            let is_done = |name: &str| done.iter().any(|one| one.name == name);
            !is_done(&component.name) && component.depends_on.iter().all(|other| is_done(other))
        });
        match next {
            Some(component) => done.push(component),
            None => return done,
        }
    }
}

/// Shares of the plan: all of a kind have 100 per cent together. The place is that of the share that is too much.
fn check_shares(spec: &ServiceTemplateSpec, problems: &mut Vec<Problem>) {
    let (mut storage, mut memory, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for (index, component) in spec.components.iter().enumerate() {
        let (path, given) = (format!("spec.components[{index}]"), &component.resources);
        for (number, volume) in component.volumes.iter().enumerate() {
            storage.push((format!("{path}.volumes[{number}].storagePercent"), volume.storage_percent));
        }
        let share = |percent: Option<i32>, is_fixed: bool| if is_fixed { 0 } else { percent.unwrap_or(100) };
        let of_memory = share(given.memory_percent, given.memory.is_some());
        memory.push((format!("{path}.resources.memoryPercent"), of_memory));
        cpu.push((format!("{path}.resources.cpuPercent"), share(given.cpu_percent, given.cpu.is_some())));
    }
    for (who, what, shares) in
        [("volumes", "storage", storage), ("components", "memory", memory), ("components", "CPU", cpu)]
    {
        let mut sum = 0;
        let too_much: Vec<String> = shares
            .into_iter()
            .filter_map(|(path, share)| {
                sum += share;
                (sum > 100 && share > 0).then_some(path)
            })
            .collect();
        if let Some(path) = too_much.into_iter().next() {
            let said = format!(
                "the {who} have {sum} per cent of the plan's {what} together; at most 100 can be shared out"
            );
            problems.push(Problem::new(path, said));
        }
    }
}

/// A default must be what an instance could give, and a pattern a regular expression.
fn check_parameters(spec: &ServiceTemplateSpec, problems: &mut Vec<Problem>) {
    for (index, parameter) in spec.parameters.iter().enumerate() {
        let path = format!("spec.parameters[{index}]");
        if let Some(Err(error)) = parameter.pattern.as_ref().map(|pattern| values::compile(pattern)) {
            let said =
                format!("the pattern of the parameter {} is no regular expression: {error}", parameter.name);
            problems.push(Problem::new(format!("{path}.pattern"), said));
        } else if parameter.default.is_some()
            && let Err(problem) =
                values::check(std::slice::from_ref(parameter), &BTreeMap::new(), &BTreeMap::new())
        {
            let said = format!("the default is out of its own bounds: {problem}");
            problems.push(Problem::new(format!("{path}.default"), said));
        }
    }
}

#[cfg(test)]
mod tests;
