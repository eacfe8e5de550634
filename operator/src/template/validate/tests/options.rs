//! A customer's text is never an option of a program.

use super::*;

#[test]
fn free_text_that_may_begin_with_a_hyphen_is_never_a_whole_argument() {
    for command in [
        &["serve", "{{parameters.title}}"][..],
        &["serve", "{{ parameters.title }}"],
        &["serve", "--title", "{{parameters.title}}"],
        &["serve", "{{parameters.title}} and more"],
        &["serve", "{{parameters.title}}", "--", "there"],
        &["tini", "--", "serve", "{{parameters.title}}"],
        &["/usr/bin/env", "--", "tini", "--", "serve", "{{parameters.title}}"],
        &["sh", "-c", "exec serve \"$1\"", "--", "{{parameters.title}}"],
        &["sh", "-c", "exec serve \"$1\"", "serve", "{{parameters.title}}"],
    ] {
        let said = with_command(command);
        assert!(said.len() == 1 && said[0].contains("option to most programs"), "{command:?}: {said:?}");
    }
    let by_variable = super::problems(&spec(|spec| {
        spec["components"][0]["env"] = json!([{"name": "TITLE", "value": "{{parameters.title}}"}]);
        spec["components"][0]["args"] = json!(["$(TITLE)"]);
    }));
    assert!(by_variable[0].contains("option to most programs"), "{by_variable:?}");
    let by_probe = super::problems(&spec(|spec| {
        spec["components"][0]["probes"]["liveness"] = json!({"exec": ["ask", "{{parameters.title}}"]});
    }));
    assert!(by_probe[0].contains("a probe of component app"), "{by_probe:?}");
}

#[test]
fn behind_two_hyphens_or_a_prefix_or_with_a_pattern_it_is_none() {
    for command in [
        &["serve", "--title={{parameters.title}}"][..],
        &["serve", "title={{parameters.title}}"],
        &["serve", "--", "{{parameters.title}}"],
        &["serve", "--", "there", "{{parameters.title}}"],
        &["tini", "--", "serve", "--", "{{parameters.title}}"],
        &["sh", "-c", "exec serve \"$@\"", "serve", "--", "{{parameters.title}}"],
        &["serve", "{{parameters.slug}}"],
        &["serve", "{{parameters.slug}}{{parameters.title}}"],
        &["serve", "{{parameters.size}}", "{{parameters.zone}}"],
    ] {
        assert_eq!(with_command(command), [""; 0], "{command:?}");
    }
}

#[test]
fn a_pattern_says_whether_a_hyphen_may_come_first() {
    let of = |pattern: &str| Parameter { pattern: Some(pattern.to_owned()), ..Parameter::default() };
    for pattern in ["[a-z-]+", "-", ".*", "a?-", "(a|-b)c", "^-", "(?:)-x", "[^a]", "(", "a*[+-]"] {
        assert!(plain::may_begin_with_hyphen(&of(pattern)), "{pattern}");
    }
    for pattern in ["[a-z][a-z-]*", "a-", "^[^-].*$", "(a|b-)c", "[0-9]+(-[0-9]+)?", "-{0}a", ""] {
        assert!(!plain::may_begin_with_hyphen(&of(pattern)), "{pattern}");
    }
    assert!(plain::may_begin_with_hyphen(&Parameter::default()), "any text");
    assert!(plain::may_be_empty(&of("a*")) && !plain::may_be_empty(&of("a+")));
}

#[test]
fn variables_that_programs_obey_carry_no_free_text() {
    for name in [
        "BASH_ENV",
        "ENV",
        "PROMPT_COMMAND",
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "GCONV_PATH",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "PYTHONWARNINGS",
        "RUBYOPT",
        "RUBYLIB",
        "PERL5DB",
        "PERL5OPT",
        "PERL5LIB",
        "PHPRC",
        "PHP_INI_SCAN_DIR",
        "NODE_PATH",
        "NODE_OPTIONS",
        "npm_config_script_shell",
        "CLASSPATH",
        "JAVA_TOOL_OPTIONS",
        "_JAVA_OPTIONS",
        "JDK_JAVA_OPTIONS",
        "MAVEN_OPTS",
        "GIT_SSH",
        "GIT_SSH_COMMAND",
        "GIT_CONFIG_GLOBAL",
        "PGOPTIONS",
        "PGSERVICEFILE",
        "OPENSSL_CONF",
        "LUA_INIT",
        "DOTNET_STARTUP_HOOKS",
        "ERL_FLAGS",
        "AWS_CONFIG_FILE",
    ] {
        let said = with_variable(name, "{{parameters.title}}");
        assert!(said.len() == 1 && said[0].contains("programs evaluate"), "{name}: {said:?}");
        assert_eq!(with_variable(name, "{{parameters.slug}}"), [""; 0], "{name}: a word that means nothing");
    }
    for name in ["TITLE", "PGAPPNAME", "SITE_PATH", "GIT_AUTHOR_NAME", "LDAP_BASE", "ENVIRONMENT"] {
        assert_eq!(with_variable(name, "{{parameters.title}}"), [""; 0], "{name}");
    }
}

#[test]
fn not_even_a_plain_word_is_an_option_there() {
    let with = |value: &str| {
        super::problems(&spec(|spec| {
            spec["parameters"][0] = json!({"name": "title", "pattern": "[a-z-]+"});
            spec["components"][0]["env"] = json!([{"name": "NODE_OPTIONS", "value": value}]);
        }))
    };
    for value in ["{{parameters.title}}", "--use-strict {{ parameters.title }}"] {
        assert!(with(value)[0].contains("may begin with a hyphen"), "{value}");
    }
    assert_eq!(with("--title={{parameters.title}}"), [""; 0]);
    assert!(is_plain(&Parameter { pattern: Some("[a-z-]+".to_owned()), ..Parameter::default() }));
}

#[test]
fn every_problem_says_where_it_stands() {
    let said = super::super::problems(&spec(|spec| {
        spec["components"][0]["env"] = json!([
            {"name": "A", "value": "{{facts.nothing}}"}, {"name": "PGOPTIONS", "value": "{{parameters.title}}"},
        ]);
        spec["components"][0]["args"] = json!(["serve", "{{parameters.title}}"]);
        spec["components"][0]["dependsOn"] = json!(["nobody"]);
        spec["expose"]["tcp"]["port"] = json!("nowhere");
        spec["credentials"] = json!([{"name": "a", "value": "{{secrets.none}}"}]);
    }));
    let mut paths: Vec<&str> = said.iter().map(|one| one.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        [
            "spec.components[0].args[1]",
            "spec.components[0].dependsOn[0]",
            "spec.components[0].env[0].value",
            "spec.components[0].env[1].value",
            "spec.credentials[0].value",
            "spec.expose.tcp.port",
        ]
    );
}
