//! JSON schemas, taken strictly: what a schema does not know is refused, and everything wrong is said at once, each
//! with its path.
//!
//! It knows the keywords that structural schemas of resources and the settings use, and refuses a schema with any other: one
//! that it does not know could not be checked.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Keywords that explain and don't bind, beside `x-kubernetes-…`.
const EXPLAINING: [&str; 9] =
    ["title", "description", "default", "format", "nullable", "example", "examples", "$schema", "$defs"];
/// How deep schemas may lie in one another.
const DEEPEST: usize = 64;

/// Something that is wrong in a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where, such as `spec.components[0].image`; empty for the document itself.
    pub path: String,
    /// What, without a full stop.
    pub what: String,
}

impl Problem {
    /// What is wrong, and where.
    pub fn new(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self { path: path.into(), what: what.into() }
    }
}

/// Why a document can't be compared with a schema: a bug in the schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A keyword that is not known here.
    #[error("a schema has the keyword {0}, which is not known")]
    Keyword(String),
    /// A pattern that is no regular expression.
    #[error("a schema has the pattern {0}, which is no regular expression")]
    Pattern(String),
    /// A reference that leads nowhere.
    #[error("a schema refers to {0}, which is not there")]
    Reference(String),
    /// Schemas that lie in one another without end.
    #[error("a schema is too deep")]
    Depth,
}

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

/// Everything in which a document departs from a closed schema, in the order of the paths.
///
/// # Errors
/// When the schema is none, which is a bug.
pub fn problems(schema: &Value, document: &Value) -> Result<Vec<Problem>, SchemaError> {
    let mut checking = Checking { root: schema, found: Vec::new(), depth: 0 };
    checking.check(schema, document, "")?;
    let mut found = checking.found;
    found.sort();
    found.dedup();
    Ok(found)
}

/// A comparison under way.
struct Checking<'a> {
    root: &'a Value,
    found: Vec<Problem>,
    depth: usize,
}

impl<'a> Checking<'a> {
    fn say(&mut self, path: &str, what: impl Into<String>) {
        self.found.push(Problem::new(path, what));
    }

    /// What a schema alone says, apart from what was found before.
    fn apart(&self, schema: &'a Value, value: &Value, path: &str) -> Result<Vec<Problem>, SchemaError> {
        let mut checking = Checking { root: self.root, found: Vec::new(), depth: self.depth };
        checking.check(schema, value, path)?;
        Ok(checking.found)
    }

    fn check(&mut self, schema: &'a Value, value: &Value, path: &str) -> Result<(), SchemaError> {
        let Some(keywords) = schema.as_object() else {
            if schema == &Value::Bool(false) {
                self.say(path, "must not be given here");
            }
            return Ok(());
        };
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(SchemaError::Depth);
        }
        if let Some(what) = keywords.get("type").and_then(|kinds| wrong_type(kinds, value)) {
            // Its bounds would only repeat that.
            self.say(path, what);
        } else {
            for (keyword, bound) in keywords {
                self.check_keyword(schema, keyword, bound, value, path)?;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn check_keyword(
        &mut self,
        schema: &'a Value,
        keyword: &str,
        bound: &'a Value,
        value: &Value,
        path: &str,
    ) -> Result<(), SchemaError> {
        match keyword {
            "$ref" => {
                let name = bound.as_str().unwrap_or_default();
                let to = name.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
                let to = to.ok_or_else(|| SchemaError::Reference(name.to_owned()))?;
                self.check(to, value, path)?;
            }
            "allOf" => {
                for one in bound.as_array().into_iter().flatten() {
                    self.check(one, value, path)?;
                }
            }
            "oneOf" | "anyOf" => self.check_forms(keyword == "oneOf", bound, value, path)?,
            "properties" | "additionalProperties" => {
                // Both at once, by whichever of them comes first.
                if keyword == "additionalProperties" || schema.get("additionalProperties").is_none() {
                    self.check_fields(schema, value, path)?;
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    self.check(bound, item, &format!("{path}[{index}]"))?;
                }
            }
            "required" => {
                let names = bound.as_array().into_iter().flatten().filter_map(Value::as_str);
                for name in names.filter(|name| value.is_object() && value.get(name).is_none()) {
                    self.say(&join(path, name), "is missing: give it");
                }
            }
            "pattern" => {
                let pattern = bound.as_str().unwrap_or_default();
                let regex =
                    regex_lite::Regex::new(pattern).map_err(|_| SchemaError::Pattern(pattern.to_owned()))?;
                if value.as_str().is_some_and(|text| !regex.is_match(text)) {
                    self.say(path, format!("must match {pattern}"));
                }
            }
            "type" => {}
            _ if EXPLAINING.contains(&keyword) || keyword.starts_with("x-kubernetes-") => {}
            _ => {
                if let Some(what) = out_of_bounds(keyword, bound, value)? {
                    self.say(path, what);
                }
            }
        }
        Ok(())
    }

    fn check_fields(&mut self, schema: &'a Value, value: &Value, path: &str) -> Result<(), SchemaError> {
        let (known, others) = (schema.get("properties"), schema.get("additionalProperties"));
        for (name, field) in value.as_object().into_iter().flatten() {
            let path = join(path, name);
            match (known.and_then(|known| known.get(name)), others) {
                (None, Some(Value::Bool(false))) => {
                    self.say(&path, "is no known field: correct its name or take it out");
                }
                (Some(schema), _) | (None, Some(schema)) => self.check(schema, field, &path)?,
                (None, None) => {}
            }
        }
        Ok(())
    }

    /// One of several forms. Where all but one are null or out of the question, what that one says is said.
    fn check_forms(
        &mut self,
        only_one: bool,
        forms: &'a Value,
        value: &Value,
        path: &str,
    ) -> Result<(), SchemaError> {
        let forms = forms.as_array().map(Vec::as_slice).unwrap_or_default();
        let mut said = Vec::new();
        for form in forms {
            said.push(self.apart(form, value, path)?);
        }
        let fit = said.iter().filter(|said| said.is_empty()).count();
        if fit == 1 || (fit > 1 && !only_one) {
            return Ok(());
        }
        let choices: Option<Vec<Value>> = forms.iter().map(|form| form.get("const").cloned()).collect();
        let mut meant = forms.iter().zip(said).filter(|(form, _)| form.get("type") != Some(&json!("null")));
        match (choices, meant.next(), meant.next()) {
            _ if fit > 1 => self.say(path, "fits several forms where one is allowed"),
            (Some(choices), _, _) => self.say(path, format!("must be one of {}", list(&choices))),
            (None, Some((_, said)), None) => self.found.extend(said),
            _ => self.say(path, "has none of the forms that it may have"),
        }
        Ok(())
    }
}

/// What is wrong with a value's type, by the schema's word for it or list of words.
fn wrong_type(kinds: &Value, value: &Value) -> Option<String> {
    let kinds: Vec<&str> = match kinds {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    let fits = |kind: &&str| match *kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => false,
    };
    let shown: String = value.to_string().chars().take(80).collect();
    (!kinds.iter().any(fits)).then(|| format!("has the wrong type: {shown} is no {}", kinds.join(" or ")))
}

/// What is wrong with a value by a keyword that bounds it.
fn out_of_bounds(keyword: &str, bound: &Value, value: &Value) -> Result<Option<String>, SchemaError> {
    let limit = bound.as_f64().unwrap_or_default();
    let number = value.as_f64();
    let count = |items: Option<usize>| items.and_then(|count| u32::try_from(count).ok()).map(f64::from);
    let (characters, items, fields) = (
        count(value.as_str().map(|text| text.chars().count())),
        count(value.as_array().map(Vec::len)),
        count(value.as_object().map(Map::len)),
    );
    let below = |what: Option<f64>| what.is_some_and(|what| what < limit);
    let above = |what: Option<f64>| what.is_some_and(|what| what > limit);
    let shown = bound.to_string();
    let shown = shown.trim_end_matches(".0");
    let (wrong, what) = match keyword {
        "minimum" => (below(number), format!("must be at least {shown}")),
        "maximum" => (above(number), format!("must be at most {shown}")),
        "minLength" => (below(characters), format!("must have at least {shown} characters")),
        "maxLength" => (above(characters), format!("must have at most {shown} characters")),
        "minItems" => (below(items), format!("must have at least {shown} entries")),
        "maxItems" => (above(items), format!("must have at most {shown} entries")),
        "minProperties" => (below(fields), format!("must have at least {shown} fields")),
        "maxProperties" => (above(fields), format!("must have at most {shown} fields")),
        "const" => (value != bound, format!("must be {}", list(std::slice::from_ref(bound)))),
        "enum" => {
            let choices = bound.as_array().map(Vec::as_slice).unwrap_or_default();
            (!choices.contains(value), format!("must be one of {}", list(choices)))
        }
        _ => return Err(SchemaError::Keyword(keyword.to_owned())),
    };
    Ok(wrong.then_some(what))
}

fn list(choices: &[Value]) -> String {
    let shown = |one: &Value| one.as_str().map_or_else(|| one.to_string(), str::to_owned);
    choices.iter().map(shown).collect::<Vec<_>>().join(", ")
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
                all.push(Problem::new(format!("{path}[{index}]"), what));
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

    #[test]
    fn of_several_forms_the_one_that_was_meant_is_spoken_of() {
        let schema = closed(json!({
            "$defs": {"window": {"type": "object", "required": ["start"], "properties": {"start": {"type": "string"}}}},
            "properties": {
                "window": {"anyOf": [{"$ref": "#/$defs/window"}, {"type": "null"}]},
                "mode": {"oneOf": [{"const": "a", "description": "A."}, {"const": "b", "description": "B."}]},
            },
        }));
        let said = |document: Value| -> Vec<String> {
            let all = problems(&schema, &document).unwrap();
            all.into_iter().map(|one| format!("{} {}", one.path, one.what)).collect()
        };
        assert_eq!(
            said(json!({"window": {"strt": ""}})),
            [
                "window.start is missing: give it",
                "window.strt is no known field: correct its name or take it out",
            ]
        );
        assert_eq!(said(json!({"mode": "c"})), ["mode must be one of a, b"]);
        assert_eq!(said(json!({"window": null, "mode": "a"})), [""; 0]);
    }

    #[test]
    fn a_schema_that_can_not_be_checked_is_refused_rather_than_taken_for_kept() {
        for (schema, error) in [
            (json!({"multipleOf": 2}), SchemaError::Keyword("multipleOf".to_owned())),
            (json!({"pattern": "("}), SchemaError::Pattern("(".to_owned())),
            (json!({"$ref": "#/$defs/none"}), SchemaError::Reference("#/$defs/none".to_owned())),
            (json!({"$ref": "#"}), SchemaError::Depth),
        ] {
            assert_eq!(problems(&schema, &json!(3)).unwrap_err(), error);
        }
    }

    /// Compares every schema within this one with a value of its own type, so that each keyword is met.
    fn meet(root: &Value, schema: &Value) {
        let Some(keywords) = schema.as_object() else { return };
        for value in [json!(""), json!(0), json!([]), json!({}), json!(true), Value::Null] {
            let mut checking = Checking { root, found: Vec::new(), depth: 0 };
            checking.check(schema, &value, "").unwrap();
        }
        for (keyword, bound) in keywords {
            match keyword.as_str() {
                "properties" | "$defs" => bound.as_object().unwrap().values().for_each(|one| meet(root, one)),
                "allOf" | "anyOf" | "oneOf" => {
                    bound.as_array().unwrap().iter().for_each(|one| meet(root, one));
                }
                "items" | "additionalProperties" => meet(root, bound),
                _ => {}
            }
        }
    }

    #[test]
    fn every_keyword_of_the_resources_and_the_settings_is_known() {
        for (_, manifest) in crds::manifests::manifests().unwrap() {
            let schema = closed(manifest["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone());
            meet(&schema, &schema);
        }
        let settings = crate::settings::schema::schema();
        meet(&settings, &settings);
    }
}
