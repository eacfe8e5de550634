//! The template linter: what is wrong, dangerous or unwise in a template, found without a cluster.
//!
//! It says what the API server would refuse (schema and CEL rules), what the operator would refuse
//! ([`crate::template::validate`]), and what both accept and somebody would regret. Everything here is pure but
//! [`command`], which reads files and prints.

pub mod command;
mod document;
mod finding;
mod print;
mod rules_data;
mod rules_image;
mod rules_plan;
mod rules_probes;
mod rules_run;
mod rules_secrets;
mod rules_security;
mod rules_strings;
mod schema;

pub use document::{Document, UnusableError, read};
pub use finding::{Accepted, Finding, Findings, Level, RULES};
pub use print::{Format, Summary, print};

use crds::{ServicePlan, ServiceTemplate};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What reads as a template or a plan, with where it stands.
struct Parsed<'a, T> {
    document: &'a Document,
    resource: T,
}

/// Everything there is to say about these documents, in their order.
///
/// # Errors
/// When the schemas that they are compared with can't be written, which is a bug.
pub fn lint(documents: &[Document]) -> Result<Vec<Finding>, schema::Error> {
    let schemas = schema::Schemas::new()?;
    let (mut findings, mut templates, mut plans) = (Vec::new(), Vec::new(), Vec::new());
    for document in documents {
        let mut said = Findings::new(document);
        match document.kind() {
            "ServiceTemplate" => {
                if let Some(resource) = well_formed(&schemas, document, &mut said)? {
                    let parsed: Parsed<'_, ServiceTemplate> = Parsed { document, resource };
                    check_template(&parsed, &mut said);
                    templates.push(parsed);
                }
            }
            "ServicePlan" => {
                if let Some(resource) = well_formed(&schemas, document, &mut said)? {
                    let parsed: Parsed<'_, ServicePlan> = Parsed { document, resource };
                    plans.push(parsed);
                }
            }
            kind => {
                said.note("skipped", "", &format!("a {kind} is not looked at"), "nothing needs to be done");
            }
        }
        findings.extend(said.into_findings());
    }
    findings.extend(rules_plan::check(&templates, &plans));
    findings.sort_by(|a, b| {
        (&a.file, a.document, a.level, &a.path).cmp(&(&b.file, b.document, b.level, &b.path))
    });
    Ok(findings)
}

/// Compares with the schema; what departs from it is said and not looked at any further.
fn well_formed<T: DeserializeOwned>(
    schemas: &schema::Schemas,
    document: &Document,
    said: &mut Findings<'_>,
) -> Result<Option<T>, schema::Error> {
    schemas.check(document, said)?;
    let parsed = serde_path_to_error::deserialize::<&Value, T>(&document.value);
    match parsed {
        Ok(resource) => Ok(Some(resource)),
        Err(error) if said.is_clean() => {
            let path = error.path().to_string();
            said.error("schema", &path, &error.inner().to_string(), "correct it");
            Ok(None)
        }
        Err(_) => Ok(None),
    }
}

fn check_template(template: &Parsed<'_, ServiceTemplate>, said: &mut Findings<'_>) {
    let spec = &template.resource.spec;
    for problem in crate::template::validate::problems(spec) {
        said.error(
            "contradiction",
            &problem.path,
            &problem.what,
            "the operator makes no instance of it until that is mended",
        );
    }
    rules_image::check(spec, said);
    rules_secrets::check(spec, said);
    rules_security::check(spec, said);
    rules_probes::check(spec, said);
    rules_data::check(spec, said);
    rules_run::check(spec, said);
    rules_strings::check(spec, &template.document.value, said);
}
