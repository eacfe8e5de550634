//! Strings that are filled: what they may name, by the place where they stand.

use super::{Owned, Problem, containers, probes};
use crds::template::{ParameterType, ServiceTemplateSpec};

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

pub(super) fn check(spec: &ServiceTemplateSpec, problems: &mut Vec<Problem>) {
    for filled in filled(spec) {
        let Filled { place, owner, path, text } = &filled;
        if matches!(place, Place::Component | Place::Job) && text.contains("${{") {
            let said = format!(
                "{owner}: a dollar right before {{{{ would let a value name a variable; write it otherwise"
            );
            problems.push(Problem::new(path, said));
        }
        for name in placeholders(text) {
            if let Err(problem) = check_name(spec, *place, name) {
                problems.push(Problem::new(path, format!("{owner}: {{{{{name}}}}} {problem}")));
            }
        }
    }
}

/// A string that is filled.
struct Filled<'a> {
    place: Place,
    owner: String,
    path: String,
    text: &'a str,
}

/// Every string that is filled.
fn filled(spec: &ServiceTemplateSpec) -> Vec<Filled<'_>> {
    let mut all = Vec::new();
    let mut add = |place: Place, owner: &str, path: String, text| {
        all.push(Filled { place, owner: owner.to_owned(), path, text });
    };
    for Owned { owner, path, container, component, .. } in containers(spec) {
        let place = if component.is_some() { Place::Component } else { Place::Job };
        for (list, words) in [("command", &container.command), ("args", &container.args)] {
            let words = words.iter().enumerate();
            words.for_each(|(index, word)| add(place, &owner, format!("{path}.{list}[{index}]"), word));
        }
        for (index, env) in container.env.iter().enumerate() {
            let value = env.value.iter();
            value.for_each(|value| add(place, &owner, format!("{path}.env[{index}].value"), value));
        }
    }
    for (number, component) in spec.components.iter().enumerate() {
        let owner = format!("component {}", component.name);
        for (name, probe) in probes(component) {
            let path = format!("spec.components[{number}].probes.{name}");
            for (index, word) in probe.exec.iter().enumerate() {
                add(Place::Component, &owner, format!("{path}.exec[{index}]"), word);
            }
            for (index, header) in probe.http.iter().flat_map(|http| &http.headers).enumerate() {
                add(Place::Header, &owner, format!("{path}.http.headers[{index}].value"), &header.value);
            }
        }
    }
    for (index, file) in spec.files.iter().enumerate() {
        let owner = format!("file {}", file.name);
        add(Place::File, &owner, format!("spec.files[{index}].content"), &file.content);
    }
    for (index, one) in spec.credentials.iter().enumerate() {
        let owner = format!("credential {}", one.name);
        add(Place::Credential, &owner, format!("spec.credentials[{index}].value"), &one.value);
    }
    all
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
