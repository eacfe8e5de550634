//! Writes the CRDs into the chart: `cargo crdgen`, or `cargo crdgen --check` to see whether they are fresh.

use std::{error::Error, fs, path::Path, process::ExitCode};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let check = std::env::args().any(|argument| argument == "--check");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/nakhoda-crds/templates");
    let mut stale = false;
    for (name, manifest) in crds::manifests::manifests()? {
        let text = crds::manifests::chart_file(&manifest)?;
        let path = folder.join(&name);
        if fs::read_to_string(&path).is_ok_and(|current| current == text) {
            continue;
        }
        if check {
            eprintln!("{name} is stale: run `cargo crdgen` and commit what it writes");
            stale = true;
        } else {
            fs::create_dir_all(&folder)?;
            fs::write(&path, text)?;
            println!("wrote {name}");
        }
    }
    Ok(if stale { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
