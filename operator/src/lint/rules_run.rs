//! What is run, and in which order: scripts that can be executed, and components that wait for those they call.

use super::Findings;
use crate::template::validate::{Owned, STARTERS, containers, placeholders, probes, scripts};
use crds::template::{Component, ServiceTemplateSpec};
use std::collections::BTreeSet;

pub(super) fn check(spec: &ServiceTemplateSpec, said: &mut Findings<'_>) {
    for owned in containers(spec) {
        check_programs(spec, &owned, said);
    }
    for (index, component) in spec.components.iter().enumerate() {
        check_probes(spec, &format!("spec.components[{index}]"), component, said);
        check_calls(spec, index, component, said);
    }
}

/// Files that are run as programs and can't be.
fn check_programs(spec: &ServiceTemplateSpec, owned: &Owned<'_>, said: &mut Findings<'_>) {
    let Owned { path, container, .. } = owned;
    let lists = [("command", &container.command), ("args", &container.args)];
    let places: Vec<String> = lists
        .iter()
        .flat_map(|(list, words)| (0..words.len()).map(move |index| format!("{path}.{list}[{index}]")))
        .collect();
    let words: Vec<&str> = lists.iter().flat_map(|(_, words)| *words).map(String::as_str).collect();
    let named = !container.command.is_empty();
    check_line(spec, owned, &words, named, |index| places[index].clone(), said);
    for mount in &container.files {
        let Some(index) = spec.files.iter().position(|file| file.name == mount.file) else { continue };
        for program in programs(&spec.files[index].content) {
            if let Some(file) = not_executable(spec, owned, program) {
                not_run(false, &format!("spec.files[{index}].content"), program, file, said);
            }
        }
    }
}

fn check_probes(spec: &ServiceTemplateSpec, path: &str, component: &Component, said: &mut Findings<'_>) {
    let owned = containers(spec).into_iter().find(|one| one.path == path);
    let Some(owned) = owned else { return };
    for (name, probe) in probes(component) {
        let words: Vec<&str> = probe.exec.iter().map(String::as_str).collect();
        let place = |index| format!("{path}.probes.{name}.exec[{index}]");
        check_line(spec, &owned, &words, true, place, said);
    }
}

/// A command line: its program, what a starter starts, and what a script in it calls. Where the image's entry point
/// is kept, the first argument is a program only if it looks like one.
fn check_line(
    spec: &ServiceTemplateSpec,
    owned: &Owned<'_>,
    words: &[&str],
    program_first: bool,
    place: impl Fn(usize) -> String,
    said: &mut Findings<'_>,
) {
    let code = scripts(words);
    for (index, word) in words.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| words[before].rsplit('/').next());
        let is_script = |name: &str| {
            let file = spec.files.iter().find(|file| file.name == name);
            file.is_some_and(|file| file.content.starts_with("#!"))
        };
        let called: Vec<&str> = if code.contains(&index) { programs(word) } else { vec![word] };
        for program in called {
            let Some(file) = not_executable(spec, owned, program) else { continue };
            let runs = match before {
                _ if code.contains(&index) => true,
                None => program_first || is_script(file),
                Some(before) => (before == "--" || STARTERS.contains(&before)) && is_script(file),
            };
            if runs {
                not_run(index == 0 && program_first, &place(index), program, file, said);
            }
        }
    }
}

/// The name of the file that a container has at this path, if it can't be executed.
fn not_executable<'a>(spec: &'a ServiceTemplateSpec, owned: &Owned<'_>, path: &str) -> Option<&'a str> {
    let mount = owned.container.files.iter().find(|mount| mount.path == path)?;
    let file = spec.files.iter().find(|file| file.name == mount.file)?;
    (!file.executable).then_some(file.name.as_str())
}

/// An error where the runtime starts it itself; what a script seems to call may be something else.
fn not_run(is_certain: bool, path: &str, program: &str, file: &str, said: &mut Findings<'_>) {
    let what = format!(
        "{program} is run, and the file {file} is not executable: it fails with \"permission denied\""
    );
    let advice = "give the file executable: true, or hand it to its interpreter (sh /path)";
    if is_certain {
        said.error("not-executable", path, &what, advice);
    } else {
        said.warning("not-executable", path, &what, advice);
    }
}

/// What a shell script calls: the first word of each of its commands.
fn programs(script: &str) -> Vec<&str> {
    let lines = script.lines().filter(|line| !line.trim_start().starts_with('#'));
    let commands = lines.flat_map(|line| line.split([';', '|', '&', '(', '{', '`']));
    let words = commands.filter_map(|command| {
        let is_prefix = |word: &&str| matches!(*word, "exec" | "if" | "then" | "else" | "do" | "while" | "!");
        command.split_whitespace().find(|word| !is_prefix(word))
    });
    words.map(|word| word.trim_matches(['"', '\'', ')'])).filter(|word| word.starts_with('/')).collect()
}

/// A component that calls another by its service, and may be started before that.
fn check_calls(spec: &ServiceTemplateSpec, number: usize, component: &Component, said: &mut Findings<'_>) {
    let waits_for = all_before(spec, component);
    let mut told = BTreeSet::new();
    for (path, text) in texts(spec, number, component) {
        for other in placeholders(text).into_iter().filter_map(|name| name.strip_prefix("facts.service.")) {
            let found = spec.components.iter().find(|one| one.name == other);
            // Two that call each other can't both wait.
            let waits_for_it =
                found.is_none_or(|one| all_before(spec, one).contains(component.name.as_str()));
            let harmless = other == component.name || waits_for.contains(other) || waits_for_it;
            if !harmless && told.insert(other) {
                said.warning(
                    "service-without-dependency",
                    &path,
                    &format!(
                        "the component {} calls {other} and does not depend on it: it may start before, and stop after it",
                        component.name
                    ),
                    &format!("add {other} to its dependsOn"),
                );
            }
        }
    }
}

/// The components that are ready before this one starts.
fn all_before<'a>(spec: &'a ServiceTemplateSpec, component: &'a Component) -> BTreeSet<&'a str> {
    let mut before: BTreeSet<&str> = BTreeSet::new();
    let mut next: Vec<&str> = component.depends_on.iter().map(String::as_str).collect();
    while let Some(name) = next.pop() {
        if before.insert(name) {
            let found = spec.components.iter().find(|one| one.name == name);
            next.extend(found.iter().flat_map(|one| &one.depends_on).map(String::as_str));
        }
    }
    before
}

/// What the pod of a component is told: by its containers, their files and its probes.
fn texts<'a>(
    spec: &'a ServiceTemplateSpec,
    number: usize,
    component: &'a Component,
) -> Vec<(String, &'a str)> {
    let mut all: Vec<(String, &str)> = Vec::new();
    for Owned { path, container, .. } in
        containers(spec).into_iter().filter(|one| one.component.is_some_and(|of| of.name == component.name))
    {
        for (list, words) in [("command", &container.command), ("args", &container.args)] {
            let words = words.iter().enumerate();
            all.extend(words.map(|(index, word)| (format!("{path}.{list}[{index}]"), word.as_str())));
        }
        for (index, env) in container.env.iter().enumerate() {
            all.extend(env.value.iter().map(|value| (format!("{path}.env[{index}].value"), value.as_str())));
        }
        for (index, file) in spec.files.iter().enumerate() {
            let mounted = container.files.iter().any(|mount| mount.file == file.name);
            all.extend(mounted.then(|| (format!("spec.files[{index}].content"), file.content.as_str())));
        }
    }
    for (name, probe) in probes(component) {
        let words = probe.exec.iter().enumerate();
        let path = format!("spec.components[{number}].probes.{name}.exec");
        all.extend(words.map(|(index, word)| (format!("{path}[{index}]"), word.as_str())));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_script_calls_is_told_from_what_it_names() {
        let script = "#!/bin/sh\nset -eu\n# /opt/no\nif /opt/a; then exec \"/opt/b\" /opt/no; fi\nX=$(/opt/c) && /opt/d | /opt/e\ncat /opt/no\n";
        assert_eq!(programs(script), ["/opt/a", "/opt/b", "/opt/c", "/opt/d", "/opt/e"]);
    }
}
