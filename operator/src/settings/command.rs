//! `operator check-settings` and `operator settings-schema`.

use super::{Settings, schema};
use anyhow::Context as _;
use clap::Args;
use serde_json::Value;
use std::{fs, io, path::PathBuf, process::ExitCode};

/// Where editors find the schema.
const FOR_EDITORS: &str = "config/default.schema.json";
/// Where Helm finds it.
const FOR_HELM: &str = "charts/nakhoda/values.schema.json";

/// Which settings to check.
#[derive(Debug, Args)]
pub struct CheckSettings {
    /// The settings file.
    #[arg(default_value = "config/default.yaml")]
    pub file: PathBuf,
}

/// What to do with the schema.
#[derive(Debug, Args)]
pub struct SettingsSchema {
    /// Write it into the files that carry it, below the repository's root that is given, instead of printing it.
    #[arg(long, value_name = "ROOT")]
    pub write: Option<PathBuf>,
}

/// Prints what is in force, or everything that is wrong; 1 then.
///
/// # Errors
/// When nothing can be printed.
pub fn check(arguments: &CheckSettings, out: &mut impl io::Write) -> anyhow::Result<ExitCode> {
    match Settings::load(&arguments.file) {
        Ok(settings) => {
            out.write_all(serde_saphyr::to_string(&settings)?.as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("{error}");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Prints or writes the schema.
///
/// # Errors
/// When a file can't be read or written.
pub fn write_schema(arguments: &SettingsSchema, out: &mut impl io::Write) -> anyhow::Result<ExitCode> {
    let Some(root) = &arguments.write else {
        out.write_all(text(&schema::schema())?.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    };
    let helm = root.join(FOR_HELM);
    let values = fs::read_to_string(&helm).with_context(|| format!("can't read {}", helm.display()))?;
    let values: Value =
        serde_json::from_str(&values).with_context(|| format!("{} is no JSON", helm.display()))?;
    for (path, schema) in [(root.join(FOR_EDITORS), schema::schema()), (helm, schema::in_chart(values))] {
        fs::write(&path, text(&schema)?).with_context(|| format!("can't write {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A schema as it stands in a file.
fn text(schema: &Value) -> serde_json::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(schema)?))
}
