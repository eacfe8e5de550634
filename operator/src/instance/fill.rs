//! Filling a template's strings with facts, parameters and secrets. There are no expressions.

use std::collections::BTreeMap;

/// What strings may name.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// Facts about the instance.
    pub facts: &'a BTreeMap<String, String>,
    /// Its checked parameters.
    pub parameters: &'a BTreeMap<String, String>,
    /// Its secrets; empty except for credentials.
    pub secrets: &'a BTreeMap<String, String>,
}

/// The text with every `{{name}}` replaced, in one pass, so that a value is never read as a placeholder itself. What
/// has no value is left out; template validation has refused such names before.
pub fn fill(text: &str, values: Values<'_>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((name, tail)) = after.split_once("}}") else {
            filled.push_str("{{");
            rest = after;
            continue;
        };
        filled.push_str(lookup(name.trim(), values).unwrap_or_default());
        rest = tail;
    }
    filled.push_str(rest);
    filled
}

fn lookup<'a>(name: &str, values: Values<'a>) -> Option<&'a str> {
    let (map, key) = match name.split_once('.')? {
        ("facts", key) => (values.facts, key),
        ("parameters", key) => (values.parameters, key),
        ("secrets", key) => (values.secrets, key),
        _ => return None,
    };
    map.get(key).map(String::as_str)
}

/// As [`fill`], for what the kubelet expands once more: a parameter's `$(NAME)` must not become another variable's
/// value, so every dollar of a parameter is doubled (`$$` is a dollar to the kubelet, whatever follows). The template's own `$(NAME)` still works.
pub fn fill_for_kubelet(text: &str, values: Values<'_>) -> String {
    let escaped: BTreeMap<String, String> =
        values.parameters.iter().map(|(name, value)| (name.clone(), value.replace('$', "$$"))).collect();
    fill(text, Values { parameters: &escaped, ..values })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn a_value_is_never_read_as_a_placeholder() {
        let (facts, parameters, secrets) =
            (map(&[("host", "h")]), map(&[("title", "{{secrets.p}}")]), map(&[("p", "x")]));
        let values = Values { facts: &facts, parameters: &parameters, secrets: &secrets };
        assert_eq!(fill("{{facts.host}}/{{ parameters.title }}", values), "h/{{secrets.p}}");
        assert_eq!(fill("{{ open", values), "{{ open");
    }

    #[test]
    fn a_parameter_can_not_name_an_environment_variable() {
        let none = map(&[]);
        for (given, filled) in [
            ("$(SECRET)", "$(POD) $$(SECRET)"),
            ("$$(SECRET)", "$(POD) $$$$(SECRET)"),
            ("$HOME", "$(POD) $$HOME"),
        ] {
            let parameters = map(&[("title", given)]);
            let values = Values { facts: &none, parameters: &parameters, secrets: &none };
            assert_eq!(fill_for_kubelet("$(POD) {{parameters.title}}", values), filled);
        }
    }
}
