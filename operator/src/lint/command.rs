//! `operator lint-template`: reads, lints, prints.

use super::{Document, Format, Summary, UnusableError, document, lint, print};
use anyhow::Context as _;
use clap::Args;
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The input can't be used.
const UNUSABLE: u8 = 2;

/// What to lint, and how to say it.
#[derive(Debug, Args)]
pub struct LintTemplate {
    /// YAML files of one or more documents; - is standard input.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Warnings fail, too.
    #[arg(long)]
    pub strict: bool,
}

/// Lints; 0 where there is nothing wrong, 1 with findings, 2 where the input can't be used.
///
/// # Errors
/// When nothing can be printed.
pub fn run(arguments: &LintTemplate, out: &mut impl io::Write) -> anyhow::Result<ExitCode> {
    let documents = match gather(&arguments.files) {
        Ok(documents) => documents,
        Err(unusable) => {
            eprintln!("{unusable}");
            return Ok(ExitCode::from(UNUSABLE));
        }
    };
    let findings = lint(&documents)?;
    print(&findings, arguments.format, out).context("the findings can't be printed")?;
    let passes = Summary::of(&findings).passes(arguments.strict);
    Ok(if passes { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn gather(files: &[PathBuf]) -> Result<Vec<Document>, UnusableError> {
    let mut documents = Vec::new();
    for file in files {
        let name = file.display().to_string();
        let text = read(file).map_err(|source| UnusableError::Read { file: name.clone(), source })?;
        documents.extend(document::read(&name, &text)?);
    }
    let any = documents.iter().any(|one| matches!(one.kind(), "ServiceTemplate" | "ServicePlan"));
    if any { Ok(documents) } else { Err(UnusableError::Nothing) }
}

/// The text, up to a little more than what is accepted.
fn read(file: &Path) -> io::Result<String> {
    let (mut text, most) = (String::new(), document::MAX_BYTES as u64 + 1);
    if file.as_os_str() == "-" {
        io::stdin().lock().take(most).read_to_string(&mut text)?;
    } else {
        File::open(file)?.take(most).read_to_string(&mut text)?;
    }
    Ok(text)
}
