//! What an API server would say: the CRD's schema, its lists with keys, and its CEL rules.

use super::{Document, Findings};
use crate::strict;
use kube_cel::{ErrorKind, ValidationErrors, Validator};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Where the name of a resource stands.
const NAME: &str = "metadata.name";

/// Why documents can't be compared with the resource types.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The resource types can't be written.
    #[error("the resource types can't be written: {0}")]
    Manifest(#[from] serde_json::Error),
    /// A schema is none.
    #[error(transparent)]
    Schema(#[from] strict::SchemaError),
}

/// The schema of each kind: as it is installed, and closed.
pub struct Schemas {
    by_kind: BTreeMap<String, (Value, Value)>,
    rules: Validator,
}

impl Schemas {
    /// Those of the resource types that this program was built with.
    ///
    /// # Errors
    /// When they can't be written, which is a bug.
    pub fn new() -> Result<Self, Error> {
        let mut by_kind = BTreeMap::new();
        for (_, manifest) in crds::manifests::manifests()? {
            let kind = manifest["spec"]["names"]["kind"].as_str().unwrap_or_default().to_owned();
            let schema = manifest["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
            let mut whole = schema.clone();
            for name in ["apiVersion", "kind"] {
                whole["properties"][name] = json!({"type": "string", "minLength": 1});
            }
            whole["properties"]["metadata"] =
                json!({"type": "object", "additionalProperties": true, "required": ["name"]});
            whole["properties"]["apiVersion"] =
                json!({"const": format!("{}/{}", crds::GROUP, crds::VERSION)});
            by_kind.insert(kind, (schema, strict::closed(whole)));
        }
        Ok(Self { by_kind, rules: Validator::new() })
    }

    /// Says what the API server would say. Rules are asked only of what has the right shape.
    ///
    /// # Errors
    /// When a schema is none, which is a bug.
    pub fn check(&self, document: &Document, said: &mut Findings<'_>) -> Result<(), Error> {
        let Some((schema, closed)) = self.by_kind.get(document.kind()) else { return Ok(()) };
        for problem in strict::problems(closed, &document.value)? {
            let (what, advice) = problem.what.split_once(": ").unwrap_or((&problem.what, "correct it"));
            said.error("schema", &problem.path, what, advice);
        }
        for problem in strict::repeated_keys(schema, &document.value) {
            said.error("schema", &problem.path, "stands there twice", "rename one or take it out");
        }
        // A rule reads fields whose shape it takes for granted.
        if !said.is_clean() {
            return Ok(());
        }
        let broken = self.rules.validate(schema, &document.value, None).err();
        for mut one in broken.into_iter().flat_map(ValidationErrors::into_vec) {
            // A rule about the name stands at the root, since metadata has no rules of its own.
            if one.field_path.is_empty() && one.message.starts_with(NAME) {
                NAME.clone_into(&mut one.field_path);
            }
            match one.kind {
                ErrorKind::ValidationFailure => {
                    said.error(
                        "rule",
                        &one.field_path,
                        &one.message,
                        "correct it; the API server refuses it",
                    );
                }
                _ => said.warning(
                    "rule",
                    &one.field_path,
                    &format!("this rule can be asked of the API server only: {}", one.rule),
                    "try kubectl apply --dry-run=server",
                ),
            }
        }
        Ok(())
    }
}
