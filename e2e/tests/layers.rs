//! The edges between crates and modules, checked by reading manifests and sources. Every rule is also shown a
//! violation of it, for a rule that can't fail says nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::env::var;
use std::fs::{read_dir, read_to_string};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use e2e::repository;
use regex_lite::Regex;
use serde_json::Value;

/// Who may depend on whom, within the workspace, and as what: `dev` is for tests alone.
const EDGES: [(&str, &str, &str); 4] = [
    ("operator", "crds", "normal"),
    ("api-server", "crds", "normal"),
    ("e2e", "crds", "normal"),
    // The harness' PostgreSQL and mail catcher.
    ("api-server", "e2e", "dev"),
];

/// The modules of the operator that decide and never act.
const PURE: [&str; 33] = [
    "cause",
    "domains/claims",
    "domains/decide",
    "domains/records",
    "instance/access",
    "instance/build",
    "instance/fill",
    "instance/plan",
    "instance/power",
    "instance/status",
    "instance/validate",
    "lint/document",
    "lint/finding",
    "lint/print",
    "lint/rules_data",
    "lint/rules_image",
    "lint/rules_plan",
    "lint/rules_probes",
    "lint/rules_secrets",
    "lint/rules_security",
    "lint/rules_strings",
    "lint/schema",
    "strict",
    "nodes/state",
    "usage/read",
    "settings/access",
    "settings/ingress",
    "template/validate",
    "tenant/admission",
    "tenant/build",
    "tenant/plan",
    "tenant/retention",
    "tenant/status",
];

/// Names that look like a field manager and are something else.
const NOT_MANAGERS: [(&str, &str); 11] = [
    ("api-server/src/db.rs", "nakhoda-api-server"),
    ("api-server/src/sessions/keys/mod.rs", "nakhoda-api"),
    ("operator/src/apply.rs", "nakhoda-clock-"),
    ("operator/src/leader.rs", "nakhoda-operator"),
    ("operator/src/args.rs", "nakhoda-system"),
    ("operator/src/settings/mod.rs", "nakhoda-operator"),
    ("operator/src/settings/mod.rs", "nakhoda-api-server"),
    ("operator/src/tenant/build.rs", "nakhoda-operator"),
    ("operator/src/tenant/build.rs", "nakhoda-operator-tenant"),
    ("operator/src/tenant/build.rs", "nakhoda-api-server"),
    ("operator/src/tenant/build.rs", "nakhoda-api-server-tenant"),
];

/// What no line of certain files may hold.
struct Rule {
    says: &'static str,
    /// Whether a file, by its path from the root, is meant.
    meant: fn(&str) -> bool,
    /// What may not be there.
    pattern: &'static str,
    /// Whether the match is all right after all.
    excused: fn(&str, &str) -> bool,
    /// A file and a line that break it.
    planted: (&'static str, &'static str),
}

fn never(_: &str, _: &str) -> bool {
    false
}

fn in_api_server(path: &str) -> Option<&str> {
    path.strip_prefix("api-server/src/")
}

fn rules() -> impl Iterator<Item = Rule> {
    of_the_operator().into_iter().chain(of_the_api_server())
}

/// Whether a file is one of the pure modules, or of its folder.
fn is_pure(path: &str) -> bool {
    let module = path.strip_prefix("operator/src/").unwrap_or_default();
    PURE.iter()
        .any(|pure| module.strip_prefix(pure).is_some_and(|rest| rest == ".rs" || rest.starts_with('/')))
}

fn of_the_operator() -> [Rule; 3] {
    [
        Rule {
            says: "what decides is given no client",
            meant: is_pure,
            pattern: r"\b(Client|Cluster|Context|Api)\b|\bapply::\*|\.await\b",
            excused: never,
            planted: ("operator/src/instance/build/service.rs", "use kube::{Client, ResourceExt as _};"),
        },
        Rule {
            says: "what decides is given the time and no randomness",
            meant: is_pure,
            pattern: r"\b(clock|rand|SystemTime|Instant)::|Timestamp::now",
            excused: never,
            planted: ("operator/src/tenant/status.rs", "    let now = crate::clock::now();"),
        },
        Rule {
            says: "field managers are named in crds/src/managers.rs alone",
            meant: |path| !path.starts_with("e2e/") && path != "crds/src/managers.rs",
            pattern: r#""nakhoda-[a-z-]*"?"#,
            excused: |path, found| NOT_MANAGERS.contains(&(path, found.trim_matches('"'))),
            planted: ("operator/src/own.rs", r#"    let params = PatchParams::apply("nakhoda-operator");"#),
        },
    ]
}

fn of_the_api_server() -> [Rule; 3] {
    [
        Rule {
            says: "of the API server only http/ and serve.rs know axum",
            meant: |path| {
                in_api_server(path).is_some_and(|module| !module.starts_with("http/") && module != "serve.rs")
            },
            pattern: r"\baxum::",
            excused: never,
            planted: ("api-server/src/wallet/mod.rs", "use axum::Json;"),
        },
        Rule {
            says: "of the API server only store.rs, what is in folders called store, and db.rs hold SQL",
            meant: |path| {
                in_api_server(path).is_some_and(|module| {
                    !["store.rs", "db.rs"].iter().any(|name| module.ends_with(name))
                        && !module.contains("/store/")
                })
            },
            pattern: r"\bsqlx::query|\bQueryBuilder\b|\bquery(_as|_scalar)?!\(|\b(SELECT|INSERT INTO|DELETE FROM) |\bUPDATE [a-z_]+ SET ",
            excused: never,
            planted: (
                "api-server/src/http/wallet/show.rs",
                r#"    let sql = "SELECT balance FROM accounts";"#,
            ),
        },
        Rule {
            says: "of the API server only cluster/ and instances/ know kube",
            meant: |path| {
                in_api_server(path)
                    .is_some_and(|it| !it.starts_with("cluster/") && !it.starts_with("instances/"))
            },
            pattern: r"\bkube::",
            excused: never,
            planted: ("api-server/src/catalog/mod.rs", "use kube::Api;"),
        },
    ]
}

impl Rule {
    /// The lines of a file that break it, but for comments and its tests.
    fn broken_by(&self, path: &str, text: &str) -> Vec<String> {
        if !(self.meant)(path) || path.ends_with("tests.rs") || path.contains("/tests/") {
            return Vec::new();
        }
        let pattern = Regex::new(self.pattern).expect("a rule's pattern is a regular expression");
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
        let bad = lines
            .filter(|(_, line)| pattern.find_iter(line).any(|found| !(self.excused)(path, found.as_str())));
        bad.map(|(number, line)| format!("{}: {path}:{}: {}", self.says, number + 1, line.trim())).collect()
    }
}

/// Every source file of the workspace's crates, by its path from the root.
fn sources() -> Result<BTreeMap<String, String>> {
    fn gather(root: &Path, dir: &Path, into: &mut BTreeMap<String, String>) -> Result<()> {
        for entry in read_dir(dir).with_context(|| dir.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                gather(root, &path, into)?;
            } else if path.extension().is_some_and(|it| it == "rs") {
                into.insert(path.strip_prefix(root)?.display().to_string(), read_to_string(&path)?);
            }
        }
        Ok(())
    }
    let (root, mut all) = (repository::root(), BTreeMap::new());
    for one in ["crds", "operator", "api-server", "e2e"] {
        gather(&root, &root.join(one).join("src"), &mut all)?;
    }
    Ok(all)
}

/// The dependencies that lead from one crate of the workspace to another, as cargo reads them: for tests and builds, too.
fn edges(metadata: &Value) -> BTreeSet<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut edges = BTreeSet::new();
    for package in all(&metadata["packages"]) {
        let within = all(&package["dependencies"]).into_iter().filter(|one| one["path"].is_string());
        let kind = |one: &Value| one["kind"].as_str().unwrap_or("normal").to_owned();
        edges.extend(within.map(|one| (text(&package["name"]), text(&one["name"]), kind(&one))));
    }
    edges
}

fn allowed((from, to, kind): &(String, String, String)) -> bool {
    EDGES.contains(&(from.as_str(), to.as_str(), kind.as_str()))
}

#[test]
fn crates_depend_on_each_other_by_the_named_edges_only() -> Result<()> {
    let mut command = Command::new(var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    command.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let output = command.current_dir(repository::root()).output()?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let found = edges(&serde_json::from_slice(&output.stdout)?);
    assert!(!found.is_empty(), "cargo metadata shows no edge at all");
    assert!(found.iter().all(allowed), "{found:?}");

    let planted = serde_json::json!({"packages": [
        {"name": "crds", "dependencies": [{"name": "operator", "path": "/operator", "kind": "dev"}, {"name": "kube", "path": null}]},
        {"name": "api-server", "dependencies": [{"name": "e2e", "path": "/e2e", "kind": null}]},
    ]});
    assert_eq!(edges(&planted).iter().filter(|edge| !allowed(edge)).count(), 2);
    Ok(())
}

#[test]
fn modules_keep_to_their_layer() -> Result<()> {
    let sources = sources()?;
    for rule in rules() {
        let bad: Vec<String> = sources.iter().flat_map(|(path, text)| rule.broken_by(path, text)).collect();
        assert!(bad.is_empty(), "{}", bad.join("\n"));
    }
    Ok(())
}

#[test]
fn a_broken_rule_is_seen() {
    for rule in rules() {
        let (path, line) = rule.planted;
        assert_eq!(rule.broken_by(path, line).len(), 1, "{}: {line}", rule.says);
        assert!(rule.broken_by(path, &format!("// {line}")).is_empty(), "{}: a comment", rule.says);
        let in_tests = format!("#[cfg(test)]\nmod tests {{\n{line}\n}}");
        assert!(rule.broken_by(path, &in_tests).is_empty(), "{}: in tests", rule.says);
    }
}

#[test]
fn every_name_in_the_rules_is_still_there() -> Result<()> {
    let sources = sources()?;
    for module in PURE {
        let prefix = format!("operator/src/{module}");
        assert!(
            sources.keys().any(|path| path.starts_with(&prefix)),
            "{prefix} is no more: correct the rule"
        );
    }
    for (path, name) in NOT_MANAGERS {
        let there = sources.get(path).is_some_and(|text| text.contains(&format!("\"{name}\"")));
        assert!(there, "{path} has no {name} any more: take the exception out");
    }
    Ok(())
}
