//! Patterns and schemas that several resources share.

use kube::core::Rule;
use schemars::{Schema, SchemaGenerator, json_schema};

/// A resource's name as another resource refers to it.
pub const NAME: &str = "^[a-z]([-a-z0-9]*[a-z0-9])?$";
/// A host name of at least two labels, lower case.
pub const HOST: &str = r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z]([-a-z0-9]{0,61}[a-z0-9])?$";
/// A data id as `names::short_id` makes it.
pub const DATA_ID: &str = "^[a-z][a-z0-9]{11}$";
/// The name of a parameter, a secret or a file within a template.
pub const KEY: &str = "^[a-z][a-zA-Z0-9]{0,39}$";
/// An environment variable.
pub const ENV: &str = "^[A-Za-z_][A-Za-z0-9_]{0,127}$";

/// The rule that a text is the name of a resource of `kind`, with a sentence instead of a regular expression.
pub fn name(kind: &str) -> Rule {
    Rule::new(format!("self.matches('{NAME}')")).message(
        format!("must be the name of a {kind}: a-z, 0-9 and -, beginning with a letter and not ending in -")
            .as_str(),
    )
}

/// The rule that a time is one that every program can count with.
pub fn time() -> Rule {
    Rule::new("self >= timestamp('2000-01-01T00:00:00Z') && self < timestamp('9000-01-01T00:00:00Z')")
        .message("must be a time from the year 2000 to the year 8999, such as 2030-01-31T17:00:00Z")
}

/// Text by name: an instance's parameters.
pub fn parameters(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 50,
        "additionalProperties": {"type": "string", "maxLength": 4096},
    })
}

/// A count by plan.
pub fn per_plan(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 100,
        "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 10_000},
    })
}
