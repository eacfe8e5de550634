//! The values of an instance's parameters, checked against its template's own bounds: before they are paid for, and before they are used.

use super::{Parameter, ParameterType};
use std::collections::BTreeMap;

/// The value of every parameter of the template: given, or fixed when its data was made, or the default.
///
/// # Errors
/// A sentence that names the parameter and what to write.
pub fn check(
    declared: &[Parameter],
    given: &BTreeMap<String, String>,
    fixed: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, String> {
    if let Some(unknown) = given.keys().find(|name| !declared.iter().any(|one| one.name == **name)) {
        let known: Vec<&str> = declared.iter().map(|one| one.name.as_str()).collect();
        let known =
            if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
        return Err(format!("The app has no parameter {unknown}; {known}."));
    }
    let mut values = BTreeMap::new();
    for parameter in declared {
        let before = fixed.get(&parameter.name).filter(|_| parameter.immutable);
        if let (Some(before), Some(_)) =
            (before, given.get(&parameter.name).filter(|now| Some(*now) != before))
        {
            return Err(format!(
                "The parameter {} was fixed to {before:?} when the data was made.",
                parameter.name
            ));
        }
        match given.get(&parameter.name).or(before).or(parameter.default.as_ref()) {
            Some(value) => {
                check_one(parameter, value)
                    .map_err(|problem| format!("The parameter {} {problem}.", parameter.name))?;
                values.insert(parameter.name.clone(), value.clone());
            }
            None if parameter.required => {
                return Err(format!("The parameter {} must be given.", parameter.name));
            }
            None => {
                values.insert(parameter.name.clone(), String::new());
            }
        }
    }
    Ok(values)
}

fn check_one(parameter: &Parameter, value: &str) -> Result<(), String> {
    match parameter.type_ {
        ParameterType::String => check_string(parameter, value),
        ParameterType::Integer => check_integer(parameter, value),
        ParameterType::Boolean if matches!(value, "true" | "false") => Ok(()),
        ParameterType::Boolean => Err("must be \"true\" or \"false\"".to_owned()),
        ParameterType::Enum if parameter.values.iter().any(|one| one == value) => Ok(()),
        ParameterType::Enum => Err(format!("must be one of {}", parameter.values.join(", "))),
    }
}

fn check_string(parameter: &Parameter, value: &str) -> Result<(), String> {
    if value.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err("must not contain control characters".to_owned());
    }
    let length = i32::try_from(value.chars().count()).unwrap_or(i32::MAX);
    if parameter.min_length.is_some_and(|least| length < least) {
        return Err(format!("must have at least {} characters", parameter.min_length.unwrap_or_default()));
    }
    let most = parameter.max_length.unwrap_or(4096);
    if length > most {
        return Err(format!("must have at most {most} characters"));
    }
    match &parameter.pattern {
        Some(pattern) if !matches_whole(pattern, value) => Err(format!("must match {pattern}")),
        _ => Ok(()),
    }
}

fn check_integer(parameter: &Parameter, value: &str) -> Result<(), String> {
    let canonical = value.parse::<i64>().ok().filter(|number| number.to_string() == value);
    let number = canonical.ok_or("must be a whole number, written without sign or leading zeros")?;
    let least = parameter.minimum.unwrap_or(i64::MIN);
    let most = parameter.maximum.unwrap_or(i64::MAX);
    if (least..=most).contains(&number) {
        return Ok(());
    }
    Err(match (parameter.minimum, parameter.maximum) {
        (Some(least), Some(most)) => format!("must be from {least} to {most}"),
        (Some(least), None) => format!("must be at least {least}"),
        (_, most) => format!("must be at most {}", most.unwrap_or(i64::MAX)),
    })
}

/// Whether the pattern matches the whole text. A pattern that is no regular expression matches nothing; the template
/// says so in its own status.
fn matches_whole(pattern: &str, value: &str) -> bool {
    compile(pattern).is_ok_and(|regex| regex.is_match(value))
}

/// A parameter's pattern, anchored at both ends.
///
/// # Errors
/// When it is no regular expression.
pub fn compile(pattern: &str) -> Result<regex_lite::Regex, regex_lite::Error> {
    regex_lite::Regex::new(&format!("^(?:{pattern})$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> Vec<Parameter> {
        let base = Parameter::default();
        vec![
            Parameter {
                name: "database".into(),
                pattern: Some("[a-z][a-z0-9_]*".into()),
                default: Some("app".into()),
                max_length: Some(8),
                ..base.clone()
            },
            Parameter {
                name: "connections".into(),
                type_: ParameterType::Integer,
                default: Some("20".into()),
                minimum: Some(5),
                maximum: Some(100),
                ..base.clone()
            },
            Parameter {
                name: "zone".into(),
                type_: ParameterType::Enum,
                values: vec!["UTC".into(), "Asia/Jakarta".into()],
                default: Some("UTC".into()),
                ..base
            },
        ]
    }

    fn error(name: &str, value: &str) -> String {
        check(&declared(), &[(name.to_owned(), value.to_owned())].into(), &BTreeMap::new()).unwrap_err()
    }

    #[test]
    fn what_is_not_given_has_its_default() {
        let values = check(&declared(), &BTreeMap::new(), &BTreeMap::new()).unwrap();
        assert_eq!(values["database"], "app");
        assert_eq!(values["connections"], "20");
    }

    #[test]
    fn what_was_fixed_with_the_data_stays_and_can_not_be_changed() {
        let mut declared = declared();
        declared[0].immutable = true;
        let fixed: BTreeMap<String, String> = [("database".to_owned(), "shop".to_owned())].into();
        assert_eq!(check(&declared, &BTreeMap::new(), &fixed).unwrap()["database"], "shop");
        assert!(
            check(&declared, &[("database".to_owned(), "app".to_owned())].into(), &fixed)
                .unwrap_err()
                .contains("fixed")
        );
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_with_what_to_write() {
        for (name, value, part) in [
            ("database", "a; DROP TABLE x", "at most 8"),
            ("database", "A", "must match"),
            ("database", "a\u{0}", "control"),
            ("database", "a\nb", "must match"),
            ("connections", "101", "from 5 to 100"),
            ("connections", "020", "whole number"),
            ("connections", "1e3", "whole number"),
            ("zone", "Mars", "one of UTC, Asia/Jakarta"),
            ("colour", "red", "no parameter colour"),
        ] {
            assert!(error(name, value).contains(part), "{name}={value}: {}", error(name, value));
        }
    }
}
