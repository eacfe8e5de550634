//! JSON schemas, taken strictly: what a schema does not know is refused, and everything wrong is said at once, each
//! with its path.

use jsonschema::{Draft, ValidationError, error::ValidationErrorKind};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Something that is wrong in a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where, such as `spec.components[0].image`; empty for the document itself.
    pub path: String,
    /// What, without a full stop.
    pub what: String,
}

/// Why a document could not be compared with a schema.
#[derive(Debug, thiserror::Error)]
#[error("the schema itself is wrong: {0}")]
pub struct SchemaError(Box<ValidationError<'static>>);

/// The schema with every object closed: a field that it does not name is refused. Objects that take any key stay open.
pub fn closed(mut schema: Value) -> Value {
    close(&mut schema);
    schema
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("x-kubernetes-int-or-string") == Some(&json!(true)) {
                map.remove("anyOf");
                map.insert("type".to_owned(), json!(["integer", "string"]));
            }
            map.values_mut().for_each(close);
            let open = map.contains_key("additionalProperties")
                || map.contains_key("x-kubernetes-preserve-unknown-fields");
            if map.get("properties").is_some_and(is_schemas) && !open {
                map.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(close),
        _ => {}
    }
}

/// Whether these are the properties of an object, and not a property that is called `properties`.
fn is_schemas(properties: &Value) -> bool {
    properties.as_object().is_some_and(|all| all.values().all(|one| one.is_object() || one.is_boolean()))
}

/// Everything in which a document departs from a closed schema, in the order of the document.
///
/// # Errors
/// When the schema is none, which is a bug.
pub fn problems(schema: &Value, document: &Value) -> Result<Vec<Problem>, SchemaError> {
    let validator = jsonschema::options()
        .with_draft(Draft::Draft202012)
        .build(schema)
        .map_err(|error| SchemaError(Box::new(error.to_owned())))?;
    let mut all: Vec<Problem> = validator.iter_errors(document).flat_map(|error| of(&error)).collect();
    all.sort();
    all.dedup();
    Ok(all)
}

/// What one error says: a problem for each field that is unknown.
fn of(error: &ValidationError<'_>) -> Vec<Problem> {
    let path = path(error.instance_path().as_str());
    let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() else {
        return vec![problem(error, path)];
    };
    let what = "is no known field: correct its name or take it out";
    unexpected.iter().map(|name| Problem { path: join(&path, name), what: what.to_owned() }).collect()
}

fn problem(error: &ValidationError<'_>, mut path: String) -> Problem {
    let what = match error.kind() {
        ValidationErrorKind::Required { property } => {
            path = join(&path, property.as_str().unwrap_or_default());
            "is missing: give it".to_owned()
        }
        ValidationErrorKind::Enum { options } => format!("must be one of {}", choices(options)),
        ValidationErrorKind::OneOfNotValid { context } if constants(context).is_some() => {
            format!("must be one of {}", constants(context).unwrap_or_default())
        }
        ValidationErrorKind::Pattern { pattern } => format!("must match {pattern}"),
        ValidationErrorKind::Minimum { limit } => format!("must be at least {}", whole(limit)),
        ValidationErrorKind::Maximum { limit } => format!("must be at most {}", whole(limit)),
        ValidationErrorKind::MinLength { limit } => format!("must have at least {limit} characters"),
        ValidationErrorKind::MaxLength { limit } => format!("must have at most {limit} characters"),
        ValidationErrorKind::MinItems { limit } => format!("must have at least {limit} entries"),
        ValidationErrorKind::MaxItems { limit } => format!("must have at most {limit} entries"),
        ValidationErrorKind::Type { .. } => format!("has the wrong type: {}", first_line(&error.to_string())),
        _ => first_line(&error.to_string()),
    };
    Problem { path, what }
}

/// The choices of a `oneOf` that explains each of them; none where it chooses otherwise.
fn constants(context: &[Vec<ValidationError<'static>>]) -> Option<String> {
    let choice = |errors: &Vec<ValidationError<'static>>| {
        errors.iter().find_map(|error| match error.kind() {
            ValidationErrorKind::Constant { expected_value } => Some(Value::clone(expected_value)),
            _ => None,
        })
    };
    let all: Option<Vec<Value>> = context.iter().map(choice).collect();
    all.map(|all| choices(&Value::Array(all)))
}

/// A bound as people write it: 1, where the schema has 1.0.
fn whole(limit: &Value) -> String {
    limit.to_string().trim_end_matches(".0").to_owned()
}

fn choices(options: &Value) -> String {
    let all = options.as_array().into_iter().flatten();
    all.map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned)).collect::<Vec<_>>().join(", ")
}

/// The first line, cut where somebody's whole file is quoted.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(300).collect()
}

/// A JSON pointer as people write a path: `/spec/components/0/image` is `spec.components[0].image`.
fn path(pointer: &str) -> String {
    pointer
        .split('/')
        .skip(1)
        .fold(String::new(), |path, part| join(&path, &part.replace("~1", "/").replace("~0", "~")))
}

fn join(path: &str, part: &str) -> String {
    match part {
        _ if !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()) => format!("{path}[{part}]"),
        _ if path.is_empty() => part.to_owned(),
        _ => format!("{path}.{part}"),
    }
}

/// Entries of lists that Kubernetes keeps as maps, and whose keys stand there twice.
pub fn repeated_keys(schema: &Value, document: &Value) -> Vec<Problem> {
    let mut all = Vec::new();
    walk(schema, document, "", &mut all);
    all
}

fn walk(schema: &Value, document: &Value, path: &str, all: &mut Vec<Problem>) {
    if let (Some(properties), Value::Object(fields)) = (schema["properties"].as_object(), document) {
        for (name, field) in fields {
            if let Some(schema) = properties.get(name) {
                walk(schema, field, &join(path, name), all);
            }
        }
    }
    if let Value::Array(items) = document {
        let keys = schema["x-kubernetes-list-map-keys"].as_array().cloned().unwrap_or_default();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for (index, item) in items.iter().enumerate() {
            walk(&schema["items"], item, &format!("{path}[{index}]"), all);
            let key: Map<String, Value> = keys
                .iter()
                .filter_map(Value::as_str)
                .map(|key| (key.to_owned(), item[key].clone()))
                .collect();
            let key = Value::Object(key).to_string();
            if !keys.is_empty() && seen.insert(key.clone(), index).is_some() {
                let what = format!("stands there twice, {key}: rename one or take it out");
                all.push(Problem { path: format!("{path}[{index}]"), what });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Value {
        closed(json!({
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {"type": "string", "maxLength": 3},
                "size": {"x-kubernetes-int-or-string": true, "anyOf": [{}, {}]},
                "items": {
                    "type": "array",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {"type": "object", "properties": {"name": {"type": "string"}}},
                },
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        }))
    }

    fn said(document: &Value) -> Vec<String> {
        let all = problems(&schema(), document).unwrap();
        all.into_iter().map(|one| format!("{} {}", one.path, one.what)).collect()
    }

    #[test]
    fn everything_wrong_is_said_at_once_with_its_path() {
        let document =
            json!({"nmae": "a", "size": [], "items": [{"name": "a", "port": 1}], "labels": {"a": "b"}});
        let said = said(&document);
        assert_eq!(said.len(), 4, "{said:#?}");
        for part in [
            "items[0].port is no known field",
            "name is missing",
            "nmae is no known",
            "size has the wrong type",
        ] {
            assert!(said.iter().any(|one| one.contains(part)), "{part}: {said:#?}");
        }
    }

    #[test]
    fn what_fits_is_not_complained_about() {
        assert_eq!(said(&json!({"name": "a", "size": "1Gi", "labels": {"any": "thing"}})), [""; 0]);
        assert_eq!(said(&json!({"name": "a", "size": 3})), [""; 0]);
    }

    #[test]
    fn a_key_that_stands_twice_in_a_list_is_found() {
        let twice = json!({"name": "a", "items": [{"name": "x"}, {"name": "y"}, {"name": "x"}]});
        let all = repeated_keys(&schema(), &twice);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].path, "items[2]");
    }
}
