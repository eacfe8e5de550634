//! Whether what a customer writes could break out of the place that it is filled into: a script, SQL, PHP, JSON, a
//! connection string, the name of a program.
//!
//! A parameter that is alone in an argument or a variable is safe as long as nothing evaluates it. Everything else
//! is refused here, not only by the linter: an instance of such a template would be somebody else's shell.

use super::{Owned, containers, placeholders};
use crds::template::{Container, Parameter, ParameterType, Probe, ServiceTemplateSpec};
use regex_syntax::hir::{Class, Hir, HirKind};
use std::collections::BTreeMap;

/// Programs that run one of their arguments as code, with the options before it; `*`: every argument.
const INTERPRETERS: [(&[&str], &[&str]); 10] = [
    (&["sh", "bash", "ash", "dash", "zsh", "ksh"], &["-c"]),
    (&["su", "runuser"], &["-c", "--command"]),
    (&["node", "nodejs", "deno", "bun"], &["-e", "-p", "--eval", "--print"]),
    (&["php"], &["-r", "-B", "-R", "-E", "--run"]),
    (&["python", "pypy"], &["-c"]),
    (&["perl", "ruby", "lua"], &["-e", "-E"]),
    (&["psql"], &["-c", "--command"]),
    (&["mysql", "mariadb", "mongosh", "mongo"], &["-e", "--execute", "--eval", "--init-command"]),
    (&["env"], &["-S", "--split-string"]),
    (&["eval", "awk", "gawk", "mawk", "sed", "jq", "sqlite3", "xargs"], &["*"]),
];
/// The first of them: their options end at the name of a script.
const SHELLS: &[&str] = INTERPRETERS[0].0;
/// Variables that a program evaluates or loads code by.
const EVALUATED: [&str; 20] = [
    "BASH_ENV",
    "ENV",
    "PATH",
    "IFS",
    "PS4",
    "PROMPT_COMMAND",
    "SHELL",
    "PAGER",
    "EDITOR",
    "LD_PRELOAD",
    "LD_AUDIT",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PERL5OPT",
    "PERL5LIB",
    "RUBYOPT",
    "RUBYLIB",
    "PHP_INI_SCAN_DIR",
    "WORDPRESS_CONFIG_EXTRA",
];
/// What the names of such variables end in.
const EVALUATED_ENDS: [&str; 7] = ["_OPTIONS", "_OPTS", "_OPT", "_ARGS", "_COMMAND", "_CMD", "_EVAL"];
/// What gives a text a structure that a value could break.
const STRUCTURE: [&str; 18] =
    ["'", "\"", "`", "$", "\\", ";", "|", "&", "<", ">", "(", ")", "{", "}", "[", "]", "\n", "://"];

pub(super) fn check(spec: &ServiceTemplateSpec, problems: &mut Vec<String>) {
    for Owned { owner, container, .. } in containers(spec) {
        let environment = expanded_environment(container);
        for (name, value) in &environment {
            check_variable(spec, &owner, name, value, problems);
        }
        let words: Vec<String> =
            container.command.iter().chain(&container.args).map(|word| expand(word, &environment)).collect();
        check_words(spec, &owner, &words, !container.command.is_empty(), problems);
    }
    for component in &spec.components {
        let environment = expanded_environment(&component.container);
        for probe in [&component.probes.startup, &component.probes.readiness, &component.probes.liveness] {
            let Probe { exec, .. } = probe;
            let words: Vec<String> = exec.iter().map(|word| expand(word, &environment)).collect();
            check_words(spec, &format!("a probe of component {}", component.name), &words, true, problems);
        }
    }
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
    name: &str,
    value: &str,
    problems: &mut Vec<String>,
) {
    let evaluated = EVALUATED.contains(&name) || EVALUATED_ENDS.iter().any(|end| name.ends_with(end));
    for parameter in named(spec, value).into_iter().filter(|one| !is_plain(one)) {
        if evaluated {
            problems.push(format!(
                "{owner}: the parameter {} stands in the variable {name}, which programs evaluate: give it a type or a \
                 pattern of letters, digits and . _ + @ % - alone, or another variable",
                parameter.name
            ));
        } else if has_structure(value, &["="]) {
            problems.push(breaks_out(owner, &format!("the variable {name}"), parameter));
        }
    }
}

fn check_words(
    spec: &ServiceTemplateSpec,
    owner: &str,
    words: &[String],
    program: bool,
    problems: &mut Vec<String>,
) {
    if let Some(parameter) = words.first().filter(|_| program).and_then(|first| named(spec, first).pop()) {
        problems.push(format!(
            "{owner}: the parameter {} names the program that runs: name it in the template",
            parameter.name
        ));
    }
    let code = scripts(words);
    for parameter in code.iter().flat_map(|script| named(spec, script)) {
        problems.push(format!(
            "{owner}: the parameter {} stands in a script on the command line, out of which it could break: pass it as \
             an environment variable and quote that",
            parameter.name
        ));
    }
    for word in words.iter().filter(|word| !code.contains(&word.as_str()) && has_structure(word, &[])) {
        for parameter in named(spec, word).into_iter().filter(|one| !is_plain(one)) {
            problems.push(breaks_out(owner, "an argument", parameter));
        }
    }
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
pub fn expanded_environment(container: &Container) -> BTreeMap<String, String> {
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

/// The words of a command line that are code to the program before them, such as what follows `sh -c`.
pub fn scripts(words: &[String]) -> Vec<&str> {
    let mut found = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let program = word.rsplit('/').next().unwrap_or_default();
        let program = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        let known = INTERPRETERS.iter().find(|(names, _)| names.contains(&program));
        if let Some((_, options)) = known {
            found.extend(scripts_of(&words[index + 1..], options, SHELLS.contains(&program)));
        }
    }
    found
}

fn scripts_of<'a>(words: &'a [String], options: &[&str], is_shell: bool) -> Vec<&'a str> {
    if options == ["*"] {
        return words.iter().map(String::as_str).collect();
    }
    let (mut found, mut index) = (Vec::new(), 0);
    while let Some(word) = words.get(index) {
        index += 1;
        if is_shell && takes_next(word) {
            index += 1;
        } else if options.iter().any(|option| is_option(word, option)) {
            // What follows, and what is attached to the option itself.
            found.push(word.as_str());
            found.extend(words.get(index).map(String::as_str));
            index += 1;
        } else if is_shell && word.contains('/') {
            // A script's path: what follows are its arguments.
            return found;
        }
    }
    found
}

/// Whether what follows this option of a shell is its value: `-o pipefail`, `-euo pipefail`.
fn takes_next(word: &str) -> bool {
    let cluster = word
        .strip_prefix(['-', '+'])
        .is_some_and(|rest| rest.ends_with(['o', 'O']) && !rest.starts_with('-'));
    (cluster && !word.contains('c')) || matches!(word, "--rcfile" | "--init-file")
}

/// Whether a word is this option: alone, in a cluster (`-euc`), or with its value attached (`--eval=…`, `-e…`).
fn is_option(word: &str, option: &str) -> bool {
    if let Some(letter) = option.strip_prefix('-').filter(|rest| rest.len() == 1) {
        let cluster = word
            .strip_prefix('-')
            .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_alphabetic()) && rest.contains(letter));
        return cluster || word.starts_with(option);
    }
    word.strip_prefix(option).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

/// Whether every value that a parameter may have is made of characters that mean nothing to any language: letters,
/// digits and `. _ + @ % -`; in the template's own choices also `/`, `:` and `,`.
pub fn is_plain(parameter: &Parameter) -> bool {
    match parameter.type_ {
        ParameterType::Integer | ParameterType::Boolean => true,
        ParameterType::Enum => {
            parameter.values.iter().all(|value| value.chars().all(|c| is_harmless(c) || "/:,".contains(c)))
        }
        ParameterType::String => {
            let mut parser = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build();
            let pattern = parameter.pattern.as_ref().and_then(|pattern| parser.parse(pattern).ok());
            pattern.is_some_and(|pattern| is_harmless_pattern(&pattern))
        }
    }
}

fn is_harmless(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._+@%-".contains(c)
}

fn is_harmless_pattern(pattern: &Hir) -> bool {
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => literal.0.iter().all(|byte| is_harmless(char::from(*byte))),
        HirKind::Class(Class::Bytes(class)) => {
            class.iter().all(|range| (range.start()..=range.end()).all(|byte| is_harmless(char::from(byte))))
        }
        HirKind::Class(Class::Unicode(class)) => {
            class.iter().all(|range| range.end().is_ascii() && (range.start()..=range.end()).all(is_harmless))
        }
        HirKind::Repetition(repetition) => is_harmless_pattern(&repetition.sub),
        HirKind::Capture(capture) => is_harmless_pattern(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().all(is_harmless_pattern),
    }
}
