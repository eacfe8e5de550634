//! Every reason that is said stands in the registry, and every one in the registry is said.

use crds::reasons;
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

/// What stands before a reason where one is said or asked for, and within how many arguments it follows.
const PLACES: [(&str, usize); 9] = [
    ("Said::yes(", 2),
    ("Said::no(", 2),
    ("Said::unknown(", 2),
    ("Invalid::stalled(", 1),
    ("Invalid::waiting(", 1),
    ("Invalid::known(", 1),
    ("reason: ", 1),
    ("reason == ", 1),
    ("reason != ", 1),
];

fn sources(folder: &Path, into: &mut Vec<(PathBuf, String)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, into)?;
        } else if path.extension().is_some_and(|it| it == "rs") && !path.to_string_lossy().contains("tests") {
            let text = fs::read_to_string(&path)?;
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
            into.push((path, code));
        }
    }
    Ok(())
}

/// The CamelCase texts that follow closely upon a place of a reason.
fn literals(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (place, arguments) in PLACES {
        for (at, _) in code.match_indices(place) {
            let rest: Vec<&str> = code[at + place.len()..].split([',', ';']).take(arguments).collect();
            let text = rest.iter().find_map(|argument| argument.split('"').nth(1)).unwrap_or_default();
            let camel = text.starts_with(|c: char| c.is_ascii_uppercase())
                && text.chars().all(|c| c.is_ascii_alphanumeric());
            if camel {
                found.push(text.to_owned());
            }
        }
    }
    found
}

#[test]
fn no_reason_is_written_as_a_text() {
    let mut all = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all).unwrap();
    assert!(all.len() > 30);
    for (path, code) in all {
        // What the cluster says is another's vocabulary.
        if path.ends_with("cause.rs") || path.ends_with("apply.rs") || path.ends_with("events.rs") {
            continue;
        }
        let texts = literals(&code);
        assert!(texts.is_empty(), "{}: say {texts:?} by crds::reasons", path.display());
    }
    assert_eq!(literals(r#"Said::no(conditions::READY, "Planted", "")"#), ["Planted"]);
}

#[test]
fn every_reason_in_the_registry_is_said_somewhere() {
    let mut all = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all).unwrap();
    let table =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/src/reasons/table.rs"));
    let table = table.unwrap();
    let unsaid: BTreeSet<&str> = reasons::ALL
        .iter()
        .filter(|reason| {
            let line = table.lines().find(|line| line.contains(&format!(" = \"{}\",", reason.name)));
            let constant = line.and_then(|line| line.trim().split(' ').next()).unwrap();
            let said = format!("reasons::{constant}");
            let follows = |text: &str| !text.starts_with(|c: char| c == '_' || c.is_ascii_uppercase());
            !all.iter().any(|(_, code)| code.split(&said).skip(1).any(follows))
        })
        .map(|reason| reason.name)
        .collect();
    assert!(unsaid.is_empty(), "{unsaid:?}");
}
