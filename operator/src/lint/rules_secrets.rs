//! Secrets: generated, never written down, kept with their data, not shown by accident.

use super::Findings;
use crate::template::validate::{containers, placeholders};
use crds::template::{Component, ServiceTemplateSpec};
use std::collections::BTreeSet;

/// What the name of a variable has among its words when it carries a secret.
const SECRET_WORDS: [&str; 15] = [
    "PASSWORD",
    "PASSWD",
    "PASS",
    "PWD",
    "SECRET",
    "TOKEN",
    "KEY",
    "SALT",
    "DSN",
    "CREDENTIAL",
    "CREDENTIALS",
    "APIKEY",
    "PASSPHRASE",
    "SECRETS",
    "PRIVATEKEY",
];
/// What makes such a name harmless: it says where a secret is, or what kind.
const HARMLESS_WORDS: [&str; 9] =
    ["FILE", "PATH", "DIR", "NAME", "LENGTH", "TYPE", "POLICY", "ENABLED", "EXPIRY"];
/// The fewest characters of what is taken for a key by its looks.
const KEY_LENGTH: usize = 24;

pub(super) fn check(spec: &ServiceTemplateSpec, said: &mut Findings<'_>) {
    check_containers(spec, said);
    for (index, file) in spec.files.iter().enumerate() {
        let path = format!("spec.files[{index}].content");
        for line in file.content.lines() {
            check_text(&path, line, said);
            if let Some(name) = literal_assignment(line) {
                literal(&path, &format!("{name} is set to a literal value"), said);
            }
        }
    }
    check_credentials(spec, said);
    check_use(spec, said);
    spec.components.iter().enumerate().for_each(|(index, one)| check_first_boot(spec, index, one, said));
}

fn literal(path: &str, what: &str, said: &mut Findings<'_>) {
    said.error(
        "literal-secret",
        path,
        &format!("{what}: every instance of every customer would have the same secret, and whoever reads the template knows it"),
        "generate it under secrets, and hand it over with env[].secret",
    );
}

fn check_containers(spec: &ServiceTemplateSpec, said: &mut Findings<'_>) {
    for owned in containers(spec) {
        for (index, env) in owned.container.env.iter().enumerate() {
            let Some(value) = &env.value else { continue };
            let path = format!("{}.env[{index}]", owned.path);
            if is_secret_name(&env.name) && is_literal(value) {
                literal(&path, &format!("the variable {} has a literal value", env.name), said);
            } else {
                check_text(&path, value, said);
            }
        }
        let words = [("command", &owned.container.command), ("args", &owned.container.args)];
        for (list, index, word) in words
            .into_iter()
            .flat_map(|(list, words)| words.iter().enumerate().map(move |(i, w)| (list, i, w)))
        {
            let path = format!("{}.{list}[{index}]", owned.path);
            let option = word.trim_start_matches('-').split_once('=');
            match option.filter(|(name, value)| is_secret_name(name) && is_literal(value)) {
                Some((name, _)) => literal(&path, &format!("the option {name} has a literal value"), said),
                None => check_text(&path, word, said),
            }
            let secret = owned
                .container
                .env
                .iter()
                .find(|env| env.secret.is_some() && word.contains(&format!("$({})", env.name)));
            if let Some(env) = secret {
                said.warning(
                    "secret-on-command-line",
                    &path,
                    &format!("$({}) puts a secret on the command line, where everybody sees it who can list processes", env.name),
                    "let the program read the variable, a file or its standard input",
                );
            }
        }
    }
}

/// Looks for a key, a connection string with its password, or something too random to be anything else.
fn check_text(path: &str, text: &str, said: &mut Findings<'_>) {
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        literal(path, "there is a private key", said);
    } else if has_password_in_url(text) {
        literal(path, "there is an address with a password in it", said);
    } else if let Some(word) = random_word(text) {
        let shown: String = word.chars().take(4).collect();
        literal(path, &format!("{shown}… looks like a key"), said);
    }
}

/// Whether a name, split into its words, is a secret's.
fn is_secret_name(name: &str) -> bool {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        let begins = c.is_ascii_uppercase() && before.is_ascii_lowercase();
        if begins || !c.is_ascii_alphanumeric() {
            words.push(String::new());
        }
        if let Some(last) = words.last_mut().filter(|_| c.is_ascii_alphanumeric()) {
            last.push(c.to_ascii_uppercase());
        }
        before = c;
    }
    let any = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
    any(&SECRET_WORDS) && !any(&HARMLESS_WORDS)
}

/// Whether a value is one and not a switch, a number, a path, or something that is filled or expanded.
fn is_literal(value: &str) -> bool {
    let value = value.trim();
    let switch = matches!(
        value.to_ascii_lowercase().as_str(),
        "" | "true" | "false" | "yes" | "no" | "on" | "off" | "null" | "none"
    );
    !switch && !value.contains("{{") && !value.contains('$') && !value.starts_with('/')
}

/// The name in a line such as `db_password = "hunter2"`, where the value is a literal.
fn literal_assignment(line: &str) -> Option<&str> {
    let line = line.trim();
    if line.starts_with(['#', ';', '/', '*', '-']) {
        return None;
    }
    let (name, value) = line.split_once('=').or_else(|| line.split_once(": "))?;
    let name = name.trim().rsplit([' ', '.', ',', '(']).next()?.trim_matches(['\'', '"']);
    let value = value.trim().trim_end_matches([',', ';', ')']);
    let quoted = ['\'', '"']
        .iter()
        .any(|quote| value.len() > 2 && value.starts_with(*quote) && value.ends_with(*quote));
    let bare = line.split_once('=').is_some()
        && value.chars().all(|c| c.is_ascii_alphanumeric())
        && value.chars().any(|c| c.is_ascii_digit());
    (is_secret_name(name) && (quoted || bare) && is_literal(value.trim_matches(['\'', '"']))).then_some(name)
}

/// Whether there is a `scheme://user:password@`, the password being written out.
fn has_password_in_url(text: &str) -> bool {
    text.match_indices("://").any(|(at, _)| {
        let rest = &text[at + 3..];
        let authority = rest.split(['/', '?', '#', ' ', '"', '\'', '\n']).next().unwrap_or_default();
        let password = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':'));
        password.is_some_and(|(_, password)| is_literal(password))
    })
}

/// A word that looks like a key: hexadecimal, or of all kinds of letters in no order.
fn random_word(text: &str) -> Option<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '+'));
    words.filter(|word| word.len() >= KEY_LENGTH).find(|word| {
        let has = |test: fn(&char) -> bool| word.chars().any(|c| test(&c));
        let hexadecimal =
            word.len() >= 32 && word.chars().all(|c| c.is_ascii_hexdigit()) && has(char::is_ascii_digit);
        let mixed =
            has(char::is_ascii_digit) && has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase);
        (hexadecimal && entropy(word) > 3.0) || (mixed && entropy(word) > 3.9)
    })
}

/// Shannon's entropy, in bits a character.
fn entropy(word: &str) -> f64 {
    let total = f64::from(u32::try_from(word.len()).unwrap_or(u32::MAX));
    let letters: BTreeSet<char> = word.chars().collect();
    letters
        .into_iter()
        .map(|letter| {
            let count = u32::try_from(word.chars().filter(|c| *c == letter).count()).unwrap_or(u32::MAX);
            let share = f64::from(count) / total;
            -share * share.log2()
        })
        .sum()
}

fn check_credentials(spec: &ServiceTemplateSpec, said: &mut Findings<'_>) {
    for (index, credential) in spec.credentials.iter().enumerate() {
        let path = format!("spec.credentials[{index}]");
        check_text(&path, &credential.value, said);
        let secret = placeholders(&credential.value).iter().any(|name| name.starts_with("secrets."));
        if secret && !credential.sensitive {
            said.warning(
                "secret-shown",
                &path,
                &format!(
                    "the credential {} carries a secret, and a page shows it without being asked",
                    credential.name
                ),
                "set sensitive: true",
            );
        }
        let named = is_secret_name(&credential.name) || is_secret_name(&credential.display_name);
        if named && is_literal(&credential.value) {
            literal(&path, &format!("the credential {} has a literal value", credential.name), said);
        }
    }
}

fn check_use(spec: &ServiceTemplateSpec, said: &mut Findings<'_>) {
    let all = containers(spec);
    let in_env: BTreeSet<&str> =
        all.iter().flat_map(|one| &one.container.env).filter_map(|env| env.secret.as_deref()).collect();
    let shown: BTreeSet<&str> = spec
        .credentials
        .iter()
        .flat_map(|one| placeholders(&one.value))
        .filter_map(|name| name.strip_prefix("secrets."))
        .collect();
    for (index, secret) in spec.secrets.iter().enumerate() {
        let (name, path) = (secret.name.as_str(), format!("spec.secrets[{index}]"));
        let hashed = spec.secrets.iter().any(|one| one.of.as_deref() == Some(name));
        if !in_env.contains(name) && !hashed {
            said.warning(
                "secret-unused",
                &path,
                &format!("no container is given the secret {name}"),
                "hand it over with env[].secret, or take it out",
            );
        }
        if let Some(of) = secret.of.as_deref().filter(|of| !shown.contains(of) && !in_env.contains(of)) {
            said.warning(
                "password-unknown",
                &path,
                &format!("{name} is the hash of {of}, which nobody is told"),
                "show it among the credentials, or give it to a container",
            );
        }
    }
}

/// What a database reads once, when its volume is empty, belongs to the data: changing it later would change the
/// environment and nothing else.
fn check_first_boot(
    spec: &ServiceTemplateSpec,
    index: usize,
    component: &Component,
    said: &mut Findings<'_>,
) {
    if !component.stateful || component.volumes.is_empty() {
        return;
    }
    for (number, env) in component.container.env.iter().enumerate() {
        let names = env.value.as_deref().map(placeholders).unwrap_or_default();
        let used = names.iter().filter_map(|name| name.strip_prefix("parameters."));
        for parameter in
            used.filter_map(|name| spec.parameters.iter().find(|one| one.name == name && !one.immutable))
        {
            said.warning(
                "first-boot-parameter",
                &format!("spec.components[{index}].env[{number}]"),
                &format!(
                    "a database reads its environment when its volume is empty; the parameter {} could be changed later and would do nothing, or lock everybody out",
                    parameter.name
                ),
                "give the parameter immutable: true, or hand it over by args",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_told_from_names_about_them() {
        for name in ["DB_PASSWORD", "apiToken", "auth__pass", "N8N_ENCRYPTION_KEY", "SENTRY_DSN", "nonceSalt"]
        {
            assert!(is_secret_name(name), "{name}");
        }
        for name in
            ["KEYCLOAK_URL", "PASSWORD_FILE", "TOKEN_EXPIRY", "MONKEY", "SECRET_NAME", "POSTGRES_USER"]
        {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn what_looks_like_a_key_is_told_from_paths_and_words() {
        for text in [
            "AbCd3fGh1jKlMn0pQrStUvWxYz012345",
            "0123456789abcdef0123456789abcdef",
            "x=9aF2kLmQ4rT7wXz1bC5dE8gH",
        ] {
            assert!(random_word(text).is_some(), "{text}");
        }
        for text in [
            "/docker-entrypoint-initdb.d/99-mark-initialised.sh",
            "utf8mb4_0900_ai_ci",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "--max-old-space-size={{facts.memoryHalfMi}}",
        ] {
            assert_eq!(random_word(text), None, "{text}");
        }
    }

    #[test]
    fn a_password_in_an_address_or_a_file_is_seen() {
        assert!(has_password_in_url("postgres://app:hunter2@db:5432/app"));
        for text in [
            "postgres://app:{{secrets.password}}@db/app",
            "postgres://app:$PASSWORD@db",
            "http://db:5432/a@b",
            "https://example.com",
        ] {
            assert!(!has_password_in_url(text), "{text}");
        }
        for line in [
            "db_password = \"hunter2\"",
            "define('AUTH_KEY', x); secret='abc'",
            "password=abc123",
            "  token: \"abc\",",
        ] {
            assert!(literal_assignment(line).is_some(), "{line}");
        }
        for line in [
            "# password = \"x\"",
            "password: process.env.PASSWORD,",
            "MYSQL_PWD=\"$MYSQL_PASSWORD\" exec mysql",
            "key=value",
            "password = ''",
        ] {
            assert_eq!(literal_assignment(line), None, "{line}");
        }
    }
}
