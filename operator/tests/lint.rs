//! The template linter, by what it says about the shipped catalogue, the broken samples, and a template for each rule.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails a test")]

use operator::lint::{Document, Finding, Level, RULES, Summary, lint, read};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files(folder: &str) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.extension().is_some_and(|it| it == "yaml"));
    all.sort();
    all
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn documents(path: &Path) -> Vec<Document> {
    read(&name(path), &fs::read_to_string(path).unwrap()).unwrap()
}

fn said(path: &Path) -> Vec<Finding> {
    lint(&documents(path)).unwrap()
}

#[test]
fn the_shipped_catalogue_is_clean_even_when_warnings_fail() {
    let all: Vec<Document> = files("config/catalog").iter().flat_map(|path| documents(path)).collect();
    let findings = lint(&all).unwrap();
    assert!(all.len() > 8 && Summary::of(&findings).passes(true), "{findings:#?}");
}

#[test]
fn each_rule_says_its_sentence_about_a_template_that_breaks_it_alone() {
    let mut seen = BTreeSet::new();
    let mut text = String::new();
    for path in files("operator/tests/lint") {
        let first = fs::read_to_string(&path).unwrap();
        let expected = first.lines().next().unwrap().strip_prefix("# expect: ").unwrap().to_owned();
        let findings = said(&path);
        let rules: BTreeSet<&str> = findings.iter().map(|one| one.rule).collect();
        let others = rules.iter().filter(|rule| **rule != expected).count();
        // What is left out is missed elsewhere, too.
        let alone = others == 0 || expected == "rule";
        assert!(
            alone && (expected == "nothing" || rules.contains(expected.as_str())),
            "{path:?}: {findings:#?}"
        );
        text.extend(findings.iter().map(|one| format!("{one}\n")));
        seen.insert(expected);
    }
    for (rule, _) in RULES {
        assert!(seen.contains(rule), "no template in operator/tests/lint breaks the rule {rule}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn what_the_api_server_refuses_is_refused_offline_too() {
    let mut text = String::new();
    for path in files("config/samples/broken").iter().filter(|path| {
        let name = name(path);
        name.starts_with("servicetemplate-") || name.starts_with("serviceplan-")
    }) {
        let errors: Vec<Finding> = said(path).into_iter().filter(|one| one.level == Level::Error).collect();
        assert!(!errors.is_empty(), "{} passes", path.display());
        text.extend(errors.iter().map(|one| format!("{one}\n")));
    }
    assert!(!text.contains("of the API server only"), "a rule can't be asked offline:\n{text}");
    insta::assert_snapshot!(text);
}

fn operator(arguments: &[&str], folder: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_operator"))
        .args(arguments)
        .current_dir(root().join(folder))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn the_exit_code_tells_clean_from_findings_from_unusable() {
    for (arguments, code) in [
        (&["lint-template", "clean.yaml", "--strict"][..], 0),
        (&["lint-template", "grace-short.yaml"], 0),
        (&["lint-template", "grace-short.yaml", "--strict"], 1),
        (&["lint-template", "clean.yaml", "literal-secret.yaml"], 1),
        (&["lint-template", "no-such-file.yaml"], 2),
        (&["lint-template", "../../Cargo.toml"], 2),
        (&["lint-template", "../../../config/default.yaml"], 2),
        (&["lint-template", "-"], 2),
        (&["lint-template"], 2),
    ] {
        let output = operator(arguments, "operator/tests/lint");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        assert!(code != 2 || !output.stderr.is_empty(), "{arguments:?} says nothing");
    }
}

#[test]
fn programs_read_it_as_json() {
    let output = operator(&["lint-template", "grace-short.yaml", "--format", "json"], "operator/tests/lint");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["summary"]["warnings"], 1);
    assert_eq!(report["findings"][0]["rule"], "grace-short");
    assert_eq!(report["findings"][0]["path"], "spec.components[0].gracePeriodSeconds");
}

#[test]
fn an_accepted_warning_is_a_note_with_its_reason_and_an_error_can_not_be_accepted() {
    let accept = |file: &str, rule: &str, reason: &str| {
        let text = fs::read_to_string(root().join("operator/tests/lint").join(file)).unwrap();
        let annotated =
            format!("  name: odd\n  annotations: {{lint.nakhoda.dev/{rule}: \"{reason}\"}}\nspec:");
        lint(&read(file, &text.replacen("  name: odd\nspec:", &annotated, 1)).unwrap()).unwrap()
    };
    let accepted = accept("grace-short.yaml", "grace-short", "it writes at once");
    assert!(Summary::of(&accepted).passes(true), "{accepted:?}");
    assert!(accepted[0].advice.contains("it writes at once"));
    assert!(!Summary::of(&accept("grace-short.yaml", "grace-short", " ")).passes(true), "no reason");
    assert!(!Summary::of(&accept("literal-secret.yaml", "literal-secret", "trust me")).passes(false));
    assert!(!Summary::of(&accept("clean.yaml", "grace-short", "stale")).passes(true), "nothing to accept");
}

#[test]
fn keys_that_stand_twice_and_words_that_kubectl_reads_otherwise_are_seen() {
    let text = fs::read_to_string(root().join("operator/tests/lint/clean.yaml")).unwrap();
    assert!(
        read("x", &text.replacen("  category: tests", "  category: tests\n  category: more", 1)).is_err()
    );
    let findings = lint(&read("x", &text.replacen("version: \"1.2.3\"", "version: on", 1)).unwrap()).unwrap();
    assert!(
        findings.iter().any(|one| one.path == "spec.version" && one.level == Level::Error),
        "{findings:?}"
    );
}

#[test]
fn every_rule_is_explained_where_people_learn_to_add_an_app_and_its_example_is_clean() {
    let guide = fs::read_to_string(root().join("docs/howto/add-an-app.md")).unwrap();
    for (rule, about) in RULES {
        assert!(
            guide.contains(&format!("| `{rule}` | {about} |")),
            "docs/howto/add-an-app.md does not explain {rule}"
        );
    }
    let blocks =
        guide.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block);
    let whole = |kind: &str| {
        blocks.clone().find(|block| block.contains(&format!("kind: {kind}\n"))).unwrap().to_owned()
    };
    let example = format!("{}---\n{}", whole("ServiceTemplate"), whole("ServicePlan"));
    let findings = lint(&read("add-an-app.md", &example).unwrap()).unwrap();
    assert_eq!(findings, [], "the example of the guide");
}
