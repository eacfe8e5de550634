//! Whether what a customer writes could break out of the place that it is filled into: a script, SQL, PHP, JSON, a
//! connection string, the name of a program.
//!
//! A parameter that is alone in a variable is safe as long as nothing evaluates it, and in an argument as long as it can't
//! be taken for an option. Everything else is refused here, not only by the linter: an instance of such a template would be
//! somebody else's shell.

use super::{
    Owned, Problem, containers,
    environment::is_evaluated,
    placeholders,
    plain::{is_plain, may_be_empty, may_begin_with_hyphen},
    probes,
    programs::{first_operand, scripts},
};
use crds::template::{Container, Parameter, ServiceTemplateSpec};
use std::collections::BTreeMap;

/// What gives a text a structure that a value could break.
const STRUCTURE: [&str; 18] =
    ["'", "\"", "`", "$", "\\", ";", "|", "&", "<", ">", "(", ")", "{", "}", "[", "]", "\n", "://"];

/// A word of a command line, expanded, with the place where it stands.
struct Word {
    path: String,
    text: String,
}

pub(super) fn check(spec: &ServiceTemplateSpec, problems: &mut Vec<Problem>) {
    for Owned { owner, path, container, .. } in containers(spec) {
        let environment = expanded_environment(container);
        for (index, env) in container.env.iter().enumerate() {
            let path = format!("{path}.env[{index}].value");
            let value = environment.get(&env.name).map(String::as_str).unwrap_or_default();
            check_variable(spec, &owner, &path, (&env.name, value), problems);
        }
        let mut line = words(&format!("{path}.command"), &container.command, &environment);
        line.extend(words(&format!("{path}.args"), &container.args, &environment));
        check_words(spec, &owner, &line, !container.command.is_empty(), problems);
    }
    for (index, component) in spec.components.iter().enumerate() {
        let environment = expanded_environment(&component.container);
        let owner = format!("a probe of component {}", component.name);
        for (name, probe) in probes(component) {
            let line =
                words(&format!("spec.components[{index}].probes.{name}.exec"), &probe.exec, &environment);
            check_words(spec, &owner, &line, true, problems);
        }
    }
}

fn words(list: &str, words: &[String], environment: &BTreeMap<String, String>) -> Vec<Word> {
    let words = words.iter().enumerate();
    words
        .map(|(index, word)| Word { path: format!("{list}[{index}]"), text: expand(word, environment) })
        .collect()
}

/// The parameters that a text names.
fn named<'a>(spec: &'a ServiceTemplateSpec, text: &str) -> Vec<&'a Parameter> {
    let names: Vec<&str> =
        placeholders(text).into_iter().filter_map(|name| name.strip_prefix("parameters.")).collect();
    spec.parameters.iter().filter(|one| names.contains(&one.name.as_str())).collect()
}

fn check_variable(
    spec: &ServiceTemplateSpec,
    owner: &str,
    path: &str,
    (name, value): (&str, &str),
    problems: &mut Vec<Problem>,
) {
    let evaluated = is_evaluated(name);
    let options: Vec<&Parameter> = if evaluated { options_within(spec, value) } else { Vec::new() };
    for parameter in named(spec, value) {
        let said = if evaluated && !is_plain(parameter) {
            format!(
                "{owner}: the parameter {} stands in the variable {name}, which programs evaluate: give it a type or a \
                 pattern of letters, digits and . _ + @ % - alone, or another variable",
                parameter.name
            )
        } else if options.iter().any(|one| one.name == parameter.name) {
            format!(
                "{owner}: the parameter {} may begin with a hyphen, and be an option in the variable {name}, which \
                 programs evaluate: give it a pattern that begins with a letter or a digit, or another variable",
                parameter.name
            )
        } else if !is_plain(parameter) && has_structure(value, &["="]) {
            breaks_out(owner, &format!("the variable {name}"), parameter)
        } else {
            continue;
        };
        problems.push(Problem::new(path, said));
    }
}

fn check_words(
    spec: &ServiceTemplateSpec,
    owner: &str,
    line: &[Word],
    program: bool,
    problems: &mut Vec<Problem>,
) {
    let texts: Vec<&str> = line.iter().map(|word| word.text.as_str()).collect();
    let code = scripts(&texts);
    let operands = first_operand(&texts, &code, program);
    for (index, Word { path, text }) in line.iter().enumerate() {
        let of_script = code.contains(&index);
        let optional = if of_script || index >= operands { Vec::new() } else { options(spec, text) };
        for parameter in named(spec, text) {
            let name = &parameter.name;
            let said = if program && index == 0 {
                format!("{owner}: the parameter {name} names the program that runs: name it in the template")
            } else if of_script {
                format!(
                    "{owner}: the parameter {name} stands in a script on the command line, out of which it could \
                     break: pass it as an environment variable and quote that"
                )
            } else if !is_plain(parameter) && has_structure(text, &[]) {
                breaks_out(owner, "an argument", parameter)
            } else if optional.iter().any(|one| one.name == *name) {
                format!(
                    "{owner}: an argument begins with the parameter {name}, and one that begins with a hyphen is an \
                     option to most programs: write --option={{{{parameters.{name}}}}}, put the argument -- before \
                     it, or give it a pattern that begins with a letter or a digit"
                )
            } else {
                continue;
            };
            problems.push(Problem::new(path, said));
        }
    }
}

/// The parameters of free text that a word may begin with, where they may begin with a hyphen.
fn options<'a>(spec: &'a ServiceTemplateSpec, word: &str) -> Vec<&'a Parameter> {
    let (mut found, mut rest) = (Vec::new(), word);
    while let Some((name, tail)) = rest.strip_prefix("{{").and_then(|rest| rest.split_once("}}")) {
        let name = name.trim().strip_prefix("parameters.");
        let parameter = name.and_then(|name| spec.parameters.iter().find(|one| one.name == name));
        found.extend(parameter.filter(|one| may_begin_with_hyphen(one)));
        if parameter.is_none_or(|one| !may_be_empty(one)) {
            break;
        }
        rest = tail;
    }
    found
}

/// The same of every word within a text.
fn options_within<'a>(spec: &'a ServiceTemplateSpec, text: &str) -> Vec<&'a Parameter> {
    let begins = |at: usize| at == 0 || text[..at].ends_with(char::is_whitespace);
    let words = text.match_indices("{{").filter(|(at, _)| begins(*at));
    words.flat_map(|(at, _)| options(spec, &text[at..])).collect()
}

fn breaks_out(owner: &str, place: &str, parameter: &Parameter) -> String {
    format!(
        "{owner}: the parameter {} stands amid other text in {place}, out of which it could break: pass it alone, or \
         give it a type or a pattern of letters, digits and . _ + @ % - alone",
        parameter.name
    )
}

/// Whether there is something around the placeholders that a value could end or begin.
fn has_structure(text: &str, more: &[&str]) -> bool {
    let (mut around, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        around.push_str(before);
        rest = after.split_once("}}").map_or("", |(_, tail)| tail);
    }
    around.push_str(rest);
    STRUCTURE.iter().chain(more).any(|part| around.contains(part))
}

/// The environment as the kubelet expands it: `$(NAME)` is what was set before. Secrets are empty, since no customer
/// writes them.
fn expanded_environment(container: &Container) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    for env in &container.env {
        let value = expand(env.value.as_deref().unwrap_or_default(), &environment);
        environment.insert(env.name.clone(), value);
    }
    environment
}

fn expand(text: &str, environment: &BTreeMap<String, String>) -> String {
    let (mut expanded, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let reference = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        if let Some(tail) = after.strip_prefix('$') {
            expanded.push('$');
            rest = tail;
        } else if let Some((value, tail)) =
            reference.and_then(|(name, tail)| environment.get(name).map(|value| (value, tail)))
        {
            expanded.push_str(value);
            rest = tail;
        } else {
            expanded.push('$');
            rest = after;
        }
    }
    expanded.push_str(rest);
    expanded
}
