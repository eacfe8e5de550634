//! Strings: what is filled in, what is left over, and what a script does with it.

use super::Findings;
use crate::template::validate::{containers, placeholders};
use crds::template::{Parameter, ParameterType, ServiceTemplateSpec};
use serde_json::Value;
use std::collections::BTreeSet;

/// Fields whose strings are filled, by the last names of their path; everywhere else a placeholder stays as it is.
const FILLED: [&str; 6] = ["command", "args", "value", "exec", "content", "default"];

pub(super) fn check(spec: &ServiceTemplateSpec, document: &Value, said: &mut Findings<'_>) {
    let mut filled = Vec::new();
    walk("spec", &document["spec"], &mut filled, said);
    check_parameters(spec, &filled, said);
    check_files(spec, said);
    check_options(spec, said);
    if spec.expose.http.is_some() && document["spec"]["expose"]["http"]["maxBodyMebibytes"].is_null() {
        said.warning(
            "body-size",
            "spec.expose.http.maxBodyMebibytes",
            "it does not say how large a request may be, and has 16 MiB then: larger uploads fail",
            "set it to what the app takes",
        );
    }
}

/// Gathers the strings that are filled, and says where a placeholder is not.
fn walk(path: &str, value: &Value, filled: &mut Vec<String>, said: &mut Findings<'_>) {
    match value {
        Value::String(text) => {
            let field = path.rsplit('.').next().unwrap_or_default();
            let field = field.split('[').next().unwrap_or_default();
            if FILLED.contains(&field) && !path.contains("sysctls") {
                filled.push(text.clone());
                check_braces(path, text, said);
            } else if !placeholders(text).is_empty() {
                said.warning(
                    "not-filled",
                    path,
                    "nothing is filled in here: the braces stay as they are",
                    "write it out; command, args, env, exec, headers, files and credentials are filled",
                );
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| {
                walk(&format!("{path}[{index}]"), item, filled, said);
            });
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| walk(&format!("{path}.{name}"), field, filled, said));
        }
        _ => {}
    }
}

fn check_braces(path: &str, text: &str, said: &mut Findings<'_>) {
    if text.matches("{{").count() > placeholders(text).len() {
        said.warning(
            "open-braces",
            path,
            "there is a {{ that is never closed, and stays as it is",
            "close it with }}, or put a space between the braces",
        );
    }
}

fn check_parameters(spec: &ServiceTemplateSpec, filled: &[String], said: &mut Findings<'_>) {
    let used: BTreeSet<&str> = filled
        .iter()
        .flat_map(|text| placeholders(text))
        .filter_map(|name| name.strip_prefix("parameters."))
        .collect();
    for (index, parameter) in spec.parameters.iter().enumerate() {
        let path = format!("spec.parameters[{index}]");
        if !used.contains(parameter.name.as_str()) {
            said.warning(
                "parameter-unused",
                &path,
                &format!("the parameter {} has no effect", parameter.name),
                "fill it in somewhere, or take it out",
            );
        }
        let bounded = parameter.max_length.is_some() || parameter.pattern.is_some();
        if parameter.type_ == ParameterType::String && !bounded {
            said.warning(
                "unbounded-parameter",
                &path,
                &format!(
                    "the parameter {} takes any text of up to 4096 characters, over several lines",
                    parameter.name
                ),
                "give it a maxLength that the app can take, or a pattern",
            );
        }
    }
}

fn check_files(spec: &ServiceTemplateSpec, said: &mut Findings<'_>) {
    let all = containers(spec);
    for (index, file) in spec.files.iter().enumerate() {
        let path = format!("spec.files[{index}]");
        if !all.iter().any(|one| one.container.files.iter().any(|mount| mount.file == file.name)) {
            said.warning(
                "file-unused",
                &path,
                &format!("nothing mounts the file {}", file.name),
                "mount it, or take it out",
            );
        }
        let evaluates = file.content.lines().map(str::trim).find(|line| evaluates(line));
        if let Some(line) = evaluates {
            let line: String = line.chars().take(60).collect();
            said.warning(
                "script-evaluates",
                &format!("{path}.content"),
                &format!("{line:?} runs what stands in a variable, which a customer may have written"),
                "quote the variable and let nothing evaluate it",
            );
        }
    }
}

/// Whether a line of a script hands a variable to something that runs it.
fn evaluates(line: &str) -> bool {
    let variable = line.contains('$') || line.contains("process.env") || line.contains("getenv(");
    let runs = ["eval ", "eval(", "sh -c \"", "bash -c \"", "new Function("];
    !line.starts_with('#') && variable && runs.iter().any(|call| line.contains(call))
}

/// A value that begins with a hyphen is an option to most programs. Free text is refused by the template check; numbers
/// and choices are the template's own, and a mistake at worst.
fn check_options(spec: &ServiceTemplateSpec, said: &mut Findings<'_>) {
    for owned in containers(spec) {
        let operands = owned.container.args.iter().position(|word| word == "--");
        for (index, word) in owned.container.args.iter().enumerate().take(operands.unwrap_or(usize::MAX)) {
            let name = word.trim().strip_prefix("{{").and_then(|rest| rest.split_once("}}"));
            let name = name.and_then(|(name, _)| name.trim().strip_prefix("parameters."));
            let parameter = name.and_then(|name| spec.parameters.iter().find(|one| one.name == name));
            if let Some(parameter) = parameter.filter(|one| has_hyphen(one)) {
                said.warning(
                    "option-from-parameter",
                    &format!("{}.args[{index}]", owned.path),
                    &format!("the argument begins with the parameter {}, and one that begins with a hyphen is an option to most programs", parameter.name),
                    "write --option={{parameters.…}}, pass it by a variable, or give it a minimum of 0 or choices without a hyphen",
                );
            }
        }
    }
}

/// Whether a number or a choice can begin with a hyphen.
fn has_hyphen(parameter: &Parameter) -> bool {
    match parameter.type_ {
        ParameterType::Integer => parameter.minimum.is_none_or(|least| least < 0),
        ParameterType::Enum => parameter.values.iter().any(|value| value.starts_with('-')),
        ParameterType::String | ParameterType::Boolean => false,
    }
}
