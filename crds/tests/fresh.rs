//! What is generated from this crate is fresh: the CRDs in the chart, the lists of reasons.

use std::{fs, path::Path};

#[test]
fn the_committed_crds_are_fresh() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/nakhoda-crds/templates");
    for (name, manifest) in crds::manifests::manifests().unwrap() {
        let committed = fs::read_to_string(folder.join(&name)).unwrap_or_default();
        let fresh = crds::manifests::chart_file(&manifest).unwrap();
        assert!(committed == fresh, "{name} is stale: run `cargo crdgen` and commit what it writes");
    }
}

#[test]
fn the_committed_lists_of_reasons_are_fresh() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reasons.md");
    let committed = fs::read_to_string(document).unwrap();
    let fresh = crds::reasons::with_part(&committed, crds::reasons::PART, &crds::reasons::markdown());
    assert!(
        fresh.unwrap() == committed,
        "docs/reasons.md is stale: run `cargo crdgen` and commit what it writes"
    );
}

#[test]
fn every_field_that_people_write_is_explained() {
    for (name, manifest) in crds::manifests::manifests().unwrap() {
        let schema = &manifest["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
        for part in ["spec", "status"] {
            explained(&format!("{name} {part}"), &schema[part]);
        }
    }
}

fn explained(path: &str, schema: &serde_json::Value) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        assert!(
            field["description"].as_str().is_some_and(|text| !text.is_empty()),
            "{path} has no description"
        );
        explained(&path, field);
        explained(&path, &field["items"]);
    }
}
