//! The edges between modules: SQL only in stores, axum only under `http`, Kubernetes only where it is meant to be.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push(path);
        }
    }
    all
}

/// The files that contain a text, but for those a rule allows.
fn offenders(text: &str, may: impl Fn(&str) -> bool) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let name = |path: &Path| path.strip_prefix(&root).unwrap().display().to_string();
    let all = sources(&root);
    assert!(all.len() > 40, "the sources are found");
    all.iter()
        .filter(|path| !may(&name(path)) && fs::read_to_string(path).unwrap().contains(text))
        .map(|path| name(path))
        .collect()
}

#[test]
fn sql_stands_only_in_stores() {
    for text in ["sqlx::query", "QueryBuilder"] {
        assert_eq!(offenders(text, |name| name.ends_with("store.rs") || name == "db.rs"), [""; 0], "{text}");
    }
}

#[test]
fn axum_stands_only_where_http_is_spoken() {
    assert_eq!(offenders("axum::", |name| name.starts_with("http/") || name == "serve.rs"), [""; 0]);
}

#[test]
fn the_cluster_is_spoken_to_only_where_it_is_meant_to_be() {
    let may = |name: &str| name.starts_with("cluster/") || name.starts_with("instances/");
    assert_eq!(offenders("kube::", may), [""; 0]);
}
