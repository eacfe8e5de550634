//! The one printer of findings.

use super::{Finding, Level};
use clap::ValueEnum;
use serde::Serialize;
use std::{fmt, io};

/// In which form findings are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A line each, for people.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// How much was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// What is refused or harms.
    pub errors: usize,
    /// What is likely a mistake.
    pub warnings: usize,
    /// What is good to know.
    pub notes: usize,
}

impl Summary {
    /// Counts.
    pub fn of(findings: &[Finding]) -> Self {
        let count = |level| findings.iter().filter(|one| one.level == level).count();
        Self { errors: count(Level::Error), warnings: count(Level::Warning), notes: count(Level::Note) }
    }

    /// Whether it passes: no error, and with `strict` no warning.
    pub fn passes(&self, strict: bool) -> bool {
        self.errors == 0 && (!strict || self.warnings == 0)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

impl fmt::Display for Finding {
    /// `file:document/path: level: what is wrong: what to do [rule]`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, document, path, level, rule, message, advice } = self;
        let slash = if path.is_empty() { "" } else { "/" };
        write!(f, "{file}:{document}{slash}{path}: {level}: {message}: {advice} [{rule}]")
    }
}

#[derive(Serialize)]
struct Report<'a> {
    findings: &'a [Finding],
    summary: Summary,
}

/// Prints findings and how many there are.
///
/// # Errors
/// When nothing can be written.
pub fn print(findings: &[Finding], format: Format, out: &mut impl io::Write) -> io::Result<()> {
    let summary = Summary::of(findings);
    match format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &Report { findings, summary })?;
            writeln!(out)
        }
        Format::Text => {
            findings.iter().try_for_each(|finding| writeln!(out, "{finding}"))?;
            let Summary { errors, warnings, notes } = summary;
            writeln!(out, "{errors} errors, {warnings} warnings, {notes} notes")
        }
    }
}
