//! Whether a template makes sense as a whole, and whether it is safe to make instances from: what its schema can't say.

mod collisions;
mod injection;

pub use injection::{expanded_environment, is_plain, scripts};

use crate::instance::parameters;
use crds::template::{Component, Container, InitJob, ParameterType, ServiceTemplateSpec};
use std::collections::{BTreeMap, BTreeSet};

/// The facts that strings may name, beside `service.<component>`.
pub const FACTS: [&str; 10] = [
    "host",
    "platformHost",
    "url",
    "name",
    "namespace",
    "tenant",
    "memoryMi",
    "memoryHalfMi",
    "memoryQuarterMi",
    "memoryThreeQuartersMi",
];

/// What the facts about a container's memory begin with: they mean something in its own strings alone.
const MEMORY: &str = "memory";

/// Where in a template a string stands, which says what it may name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Component,
    Job,
    Header,
    File,
    Credential,
}

/// Everything that is wrong with a template, a sentence each; empty for one that instances can be made from.
pub fn problems(spec: &ServiceTemplateSpec) -> Vec<String> {
    let mut problems = Vec::new();
    for (what, names) in [
        ("component", names(&spec.components, |c| &c.name)),
        ("parameter", names(&spec.parameters, |p| &p.name)),
        ("secret", names(&spec.secrets, |s| &s.name)),
        ("file", names(&spec.files, |f| &f.name)),
        ("init job", names(&spec.init_jobs, |j| &j.name)),
    ] {
        problems.extend(
            repeated(&names).map(|name| format!("two entries of kind {what} are called {name}: rename one")),
        );
    }
    check_references(spec, &mut problems);
    check_strings(spec, &mut problems);
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

fn repeated<'a>(names: &[&'a str]) -> impl Iterator<Item = &'a str> {
    let mut seen = BTreeSet::new();
    names.iter().copied().filter(move |name| !seen.insert(*name)).collect::<Vec<_>>().into_iter()
}

fn check_references(spec: &ServiceTemplateSpec, problems: &mut Vec<String>) {
    let exposed = spec.expose.http.as_ref().map(|e| (&e.component, &e.port));
    let exposed = exposed.or_else(|| spec.expose.tcp.as_ref().map(|e| (&e.component, &e.port)));
    if let Some((component, port)) = exposed {
        let found = spec.components.iter().find(|c| c.name == *component);
        if !found.is_some_and(|c| c.ports.iter().any(|p| p.name == *port)) {
            problems
                .push(format!("expose names the port {port} of component {component}, which does not exist"));
        }
    }
    for component in &spec.components {
        for probe in [&component.probes.startup, &component.probes.readiness, &component.probes.liveness] {
            let port = probe.http.as_ref().map(|http| &http.port).or(probe.tcp.as_ref());
            if let Some(port) = port.filter(|port| !component.ports.iter().any(|p| p.name == **port)) {
                problems.push(format!(
                    "a probe of component {} names the port {port}, which it does not have",
                    component.name
                ));
            }
        }
    }
    for Owned { owner, container, .. } in containers(spec) {
        for mount in
            container.files.iter().filter(|mount| !spec.files.iter().any(|file| file.name == mount.file))
        {
            problems.push(format!("{owner} mounts the file {}, which does not exist", mount.file));
        }
        for secret in container.env.iter().filter_map(|env| env.secret.as_ref()) {
            if !spec.secrets.iter().any(|one| one.name == *secret) {
                problems.push(format!("{owner} names the secret {secret}, which does not exist"));
            }
        }
    }
    for secret in &spec.secrets {
        let found = secret
            .of
            .as_ref()
            .is_none_or(|of| spec.secrets.iter().any(|one| one.name == *of && one.of.is_none()));
        if !found {
            problems.push(format!(
                "the secret {} is the hash of one that does not exist, or is a hash itself",
                secret.name
            ));
        }
    }
    for job in &spec.init_jobs {
        if let Some(of) = job.volumes_of.as_ref().filter(|of| !spec.components.iter().any(|c| c.name == **of))
        {
            problems.push(format!("the init job {} mounts volumes of {of}, which does not exist", job.name));
        }
    }
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

fn check_strings(spec: &ServiceTemplateSpec, problems: &mut Vec<String>) {
    let mut check = |place: Place, owner: &str, text: &str| {
        if matches!(place, Place::Component | Place::Job) && text.contains("${{") {
            problems.push(format!(
                "{owner}: a dollar right before {{{{ would let a value name a variable; write it otherwise"
            ));
        }
        for name in placeholders(text) {
            if let Err(problem) = check_name(spec, place, name) {
                problems.push(format!("{owner}: {{{{{name}}}}} {problem}"));
            }
        }
    };
    for Owned { owner, container, component, .. } in containers(spec) {
        let place = if component.is_some() { Place::Component } else { Place::Job };
        let values = container.env.iter().filter_map(|env| env.value.as_ref());
        let texts = container.command.iter().chain(&container.args).chain(values);
        texts.for_each(|text| check(place, &owner, text));
    }
    for component in &spec.components {
        let owner = format!("component {}", component.name);
        for probe in [&component.probes.startup, &component.probes.readiness, &component.probes.liveness] {
            probe.exec.iter().for_each(|text| check(Place::Component, &owner, text));
            let headers = probe.http.iter().flat_map(|http| &http.headers);
            headers.for_each(|header| check(Place::Header, &owner, &header.value));
        }
    }
    spec.files.iter().for_each(|file| check(Place::File, &format!("file {}", file.name), &file.content));
    spec.credentials
        .iter()
        .for_each(|one| check(Place::Credential, &format!("credential {}", one.name), &one.value));
}

fn check_name(spec: &ServiceTemplateSpec, place: Place, name: &str) -> Result<(), String> {
    if let Some(fact) = name.strip_prefix("facts.") {
        return check_fact(spec, place, fact);
    }
    if let Some(parameter) = name.strip_prefix("parameters.") {
        let found = spec
            .parameters
            .iter()
            .find(|one| one.name == parameter)
            .ok_or("is no parameter of this template")?;
        let is_text = found.type_ == ParameterType::String;
        return if is_text && matches!(place, Place::File | Place::Header) {
            Err("is free text and could break out of its file: pass it as an environment variable".to_owned())
        } else {
            Ok(())
        };
    }
    if let Some(secret) = name.strip_prefix("secrets.") {
        if place != Place::Credential {
            return Err("may stand only in credentials; give it to a container with env[].secret".to_owned());
        }
        let found = spec.secrets.iter().any(|one| one.name == secret);
        return if found { Ok(()) } else { Err("is no secret of this template".to_owned()) };
    }
    Err("begins with neither facts., parameters. nor secrets.".to_owned())
}

fn check_fact(spec: &ServiceTemplateSpec, place: Place, fact: &str) -> Result<(), String> {
    let service =
        fact.strip_prefix("service.").is_some_and(|of| spec.components.iter().any(|c| c.name == of));
    if !service && !FACTS.contains(&fact) {
        return Err(format!("is no fact; there are {} and service.<component>", FACTS.join(", ")));
    }
    let in_container = matches!(place, Place::Component | Place::Job | Place::Header);
    if fact.starts_with(MEMORY) && !in_container {
        return Err("is known in the strings of a container only, and would be empty here".to_owned());
    }
    Ok(())
}

/// The names between `{{` and `}}`, read from left to right exactly as they are filled.
pub fn placeholders(text: &str) -> Vec<&str> {
    let (mut names, mut rest) = (Vec::new(), text);
    while let Some((_, after)) = rest.split_once("{{") {
        let Some((name, tail)) = after.split_once("}}") else { break };
        names.push(name.trim());
        rest = tail;
    }
    names
}

fn check_order(spec: &ServiceTemplateSpec, problems: &mut Vec<String>) {
    let by_name: BTreeMap<&str, &Component> = spec.components.iter().map(|c| (c.name.as_str(), c)).collect();
    for component in &spec.components {
        for other in component.depends_on.iter().filter(|other| !by_name.contains_key(other.as_str())) {
            problems.push(format!("component {} depends on {other}, which does not exist", component.name));
        }
    }
    if ordered(spec).len() < spec.components.len() && problems.is_empty() {
        problems.push("the components depend on each other in a circle: take one dependsOn out".to_owned());
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

fn check_shares(spec: &ServiceTemplateSpec, problems: &mut Vec<String>) {
    let storage: i32 =
        spec.components.iter().flat_map(|c| &c.volumes).map(|volume| volume.storage_percent).sum();
    if storage > 100 {
        problems.push(format!("the volumes have {storage} per cent of the plan's storage together; at most 100 can be shared out"));
    }
    let share = |percent: Option<i32>, fixed: bool| if fixed { 0 } else { percent.unwrap_or(100) };
    let memory: i32 =
        spec.components.iter().map(|c| share(c.resources.memory_percent, c.resources.memory.is_some())).sum();
    let cpu: i32 =
        spec.components.iter().map(|c| share(c.resources.cpu_percent, c.resources.cpu.is_some())).sum();
    for (what, sum) in [("memory", memory), ("CPU", cpu)] {
        if sum > 100 {
            problems.push(format!("the components have {sum} per cent of the plan's {what} together; at most 100 can be shared out"));
        }
    }
}

/// A default must be what an instance could give, and a pattern a regular expression.
fn check_parameters(spec: &ServiceTemplateSpec, problems: &mut Vec<String>) {
    for parameter in &spec.parameters {
        if let Some(Err(error)) = parameter.pattern.as_ref().map(|pattern| parameters::compile(pattern)) {
            problems.push(format!(
                "the pattern of the parameter {} is no regular expression: {error}",
                parameter.name
            ));
        } else if parameter.default.is_some()
            && let Err(problem) =
                parameters::check(std::slice::from_ref(parameter), &BTreeMap::new(), &BTreeMap::new())
        {
            problems.push(format!("the default is out of its own bounds: {problem}"));
        }
    }
}

#[cfg(test)]
mod tests;
