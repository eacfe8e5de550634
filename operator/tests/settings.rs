//! The settings' schema: fresh in the files that carry it, and every key explained where people edit it.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails a test")]

use operator::settings::{Settings, schema};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn json(path: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(root().join(path)).unwrap_or_default()).unwrap_or_default()
}

fn default() -> String {
    fs::read_to_string(root().join("config/default.yaml")).unwrap()
}

#[test]
fn the_committed_schemas_are_fresh() {
    let stale = "is stale: run `cargo settings-schema` and commit what it writes";
    assert!(json("config/default.schema.json") == schema::schema(), "config/default.schema.json {stale}");
    let values = json("charts/nakhoda/values.schema.json");
    assert!(schema::in_chart(values.clone()) == values, "charts/nakhoda/values.schema.json {stale}");
    assert!(default().starts_with("# yaml-language-server: $schema=default.schema.json\n"));
}

/// Every key of the settings themselves, by its path; what Kubernetes' own types hold is theirs to explain.
fn keys(root: &Value, schema: &Value, path: &str, all: &mut BTreeSet<String>) {
    let schema = match schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str()) {
        Some(name) if name.contains("io.k8s") => return,
        Some(name) => root.pointer(name.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let text = &field["description"];
        assert!(text.as_str().is_some_and(|text| !text.is_empty()), "{path} has no description");
        // What is absent by default is explained as a whole.
        if field.get("default") != Some(&Value::Null) {
            keys(root, field, &path, all);
        }
        all.insert(path);
    }
}

/// The keys of the file with whether each is explained: by a comment above it, or above a key of the same block before it.
fn explained(text: &str) -> Vec<(String, bool)> {
    let (mut stack, mut all): (Vec<(usize, String)>, _) = (Vec::new(), Vec::new());
    // By depth: whether a comment stood in this block.
    let mut commented: Vec<(usize, bool)> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let depth = line.len() - line.trim_start().len();
        commented.retain(|(at, _)| *at <= depth);
        if !commented.iter().any(|(at, _)| *at == depth) {
            commented.push((depth, false));
        }
        let line = line.trim_start();
        if line.starts_with('#') {
            commented.iter_mut().filter(|(at, _)| *at == depth).for_each(|(_, seen)| *seen = true);
        }
        // A key that is left out by default stands there as a comment.
        let shown = line.trim_start_matches("# ");
        let Some((key, _)) =
            shown.split_once(':').filter(|(key, _)| key.chars().all(|c| c.is_ascii_alphanumeric()))
        else {
            continue;
        };
        stack.retain(|(at, _)| *at < depth);
        stack.push((depth, key.to_owned()));
        let path = stack.iter().map(|(_, key)| key.as_str()).collect::<Vec<_>>().join(".");
        let seen = commented.iter().any(|(at, seen)| *at == depth && *seen);
        all.push((path, seen));
    }
    all
}

#[test]
fn every_key_is_explained_in_the_default_file_and_no_other_stands_there() {
    let schema = schema::schema();
    let mut known = BTreeSet::new();
    keys(&schema, &schema, "", &mut known);
    assert!(known.len() > 15 && known.contains("concurrency.tenants"), "{known:?}");
    let file = explained(&default());
    for key in &known {
        let shown: Vec<bool> = file.iter().filter(|(path, _)| path == key).map(|(_, seen)| *seen).collect();
        assert!(!shown.is_empty(), "config/default.yaml does not show the key {key}");
        let section = known.iter().any(|other| other.starts_with(&format!("{key}.")));
        assert!(section || shown.contains(&true), "config/default.yaml does not explain the key {key}");
    }
    // What it shows beyond them would be refused as an unknown key.
    Settings::parse("config/default.yaml", &default()).unwrap();
}

#[test]
fn a_key_without_a_comment_or_without_a_place_is_seen() {
    let seen = explained("# About a.\na: 1\nb:\n  c: 2\n  # About d.\n  d: 3\n  # e: 4\n");
    let of = |key: &str| seen.iter().find(|(path, _)| path == key).map(|(_, seen)| *seen);
    assert_eq!(
        [of("a"), of("b.c"), of("b.d"), of("b.e"), of("c")],
        [Some(true), Some(false), Some(true), Some(true), None]
    );
}

#[test]
fn what_is_left_out_has_the_value_that_the_default_file_shows() {
    let whole = serde_json::to_value(Settings::parse("x", &default()).unwrap()).unwrap();
    let mut least = serde_json::to_value(Settings::parse("x", "zone: apps.example.test").unwrap()).unwrap();
    least["ingress"]["from"] = whole["ingress"]["from"].clone();
    assert_eq!(whole, least, "but for ingress.from, as the file says");
}

fn operator(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_operator")).args(arguments).current_dir(root()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn what_is_in_force_is_printed_and_can_be_given_back() {
    let (code, printed, _) = operator(&["check-settings", "config/default.yaml"]);
    assert_eq!(code, Some(0));
    let again = serde_json::to_value(Settings::parse("printed", &printed).unwrap()).unwrap();
    assert_eq!(again, serde_json::to_value(Settings::parse("x", &default()).unwrap()).unwrap());
    let (code, printed, said) = operator(&["check-settings", "charts/nakhoda/values.yaml"]);
    assert_eq!((code, printed.as_str()), (Some(1), ""));
    assert!(said.contains("apiServer is no known field"), "{said}");
}

#[test]
fn the_schema_that_is_printed_is_the_one_that_is_committed() {
    let (code, printed, _) = operator(&["settings-schema"]);
    assert_eq!(
        (code, printed),
        (Some(0), fs::read_to_string(root().join("config/default.schema.json")).unwrap())
    );
}
