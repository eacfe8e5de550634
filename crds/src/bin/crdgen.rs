//! Writes what is generated from this crate, the CRDs of the chart and the lists of `docs/reasons.md`: `cargo crdgen`, or
//! `cargo crdgen --check` to see whether they are fresh.

use crds::reasons;
use std::{error::Error, fs, io, path::Path, process::ExitCode};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let check = std::env::args().any(|argument| argument == "--check");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = root.join("charts/nakhoda-crds/templates");
    let mut stale = false;
    for (name, manifest) in crds::manifests::manifests()? {
        stale |= put(check, &folder.join(&name), &crds::manifests::chart_file(&manifest)?)?;
    }
    let document = root.join("docs/reasons.md");
    let text = fs::read_to_string(&document)?;
    let fresh = reasons::with_part(&text, reasons::PART, &reasons::markdown());
    stale |= put(check, &document, &fresh.ok_or("docs/reasons.md has lost the marks of its lists")?)?;
    Ok(if stale { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Writes a file that differs, or says of it that it does.
fn put(check: bool, path: &Path, text: &str) -> io::Result<bool> {
    if fs::read_to_string(path).is_ok_and(|current| current == text) {
        return Ok(false);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if check {
        eprintln!("{name} is stale: run `cargo crdgen` and commit what it writes");
        return Ok(true);
    }
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, text)?;
    println!("wrote {name}");
    Ok(false)
}
