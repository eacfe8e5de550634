//! What a template may not do to whoever uses it.

mod options;

use super::{plain::is_plain, *};
use crds::{ServiceTemplate, template::Parameter};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What is said of a template.
fn problems(spec: &ServiceTemplateSpec) -> Vec<String> {
    super::problems(spec).into_iter().map(|one| one.what).collect()
}

fn spec(change: impl FnOnce(&mut Value)) -> ServiceTemplateSpec {
    let probe = json!({"tcp": "main"});
    let mut template = json!({
        "apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServiceTemplate", "metadata": {"name": "odd"},
        "spec": {
            "displayName": "Odd", "description": "Odd.", "category": "tests", "version": "1.0",
            "parameters": [
                {"name": "title"},
                {"name": "slug", "pattern": "[a-z][a-z0-9_]{0,30}"},
                {"name": "size", "type": "Integer", "default": "1"},
                {"name": "zone", "type": "Enum", "values": ["Asia/Jakarta", "UTC"]},
            ],
            "components": [{
                "name": "app", "image": "registry.example.com/app:1.0.0",
                "ports": [{"name": "main", "port": 8080}],
                "probes": {"startup": probe, "readiness": probe, "liveness": probe},
                "security": {"user": 1000, "group": 1000},
            }],
            "expose": {"tcp": {"component": "app", "port": "main"}},
        },
    });
    change(&mut template["spec"]);
    serde_json::from_value::<ServiceTemplate>(template).unwrap().spec
}

fn with_command(command: &[&str]) -> Vec<String> {
    problems(&spec(|spec| spec["components"][0]["command"] = json!(command)))
}

fn with_variable(name: &str, value: &str) -> Vec<String> {
    problems(&spec(|spec| spec["components"][0]["env"] = json!([{"name": name, "value": value}])))
}

#[test]
fn no_parameter_stands_in_a_script_on_the_command_line() {
    for command in [
        &["sh", "-c", "serve {{parameters.title}}"][..],
        &["/bin/sh", "-ec", "serve {{ parameters.slug }}"],
        &["/bin/bash", "-euo", "pipefail", "-c", "serve {{parameters.size}}"],
        &["bash", "-o", "pipefail", "-c", "serve {{parameters.zone}}"],
        &["bash", "--rcfile", "/etc/x", "-c", "serve {{parameters.title}}"],
        &["busybox", "sh", "-c", "serve {{parameters.title}}"],
        &["tini", "--", "dash", "-c", "serve {{parameters.title}}"],
        &["env", "-S", "serve {{parameters.title}}"],
        &["su", "app", "-c", "serve {{parameters.title}}"],
        &["node", "-e", "serve('{{parameters.title}}')"],
        &["node", "--eval=serve({{parameters.title}})"],
        &["php8.3", "-r", "echo {{parameters.title}};"],
        &["python3.11", "-c", "print({{parameters.title}})"],
        &["perl", "-ne", "print {{parameters.title}}"],
        &["psql", "-qtAX", "-d", "app", "-c", "SELECT {{parameters.title}}"],
        &["psql", "--command=SELECT {{parameters.title}}"],
        &["mysql", "--execute", "SELECT {{parameters.title}}"],
        &["awk", "{print {{parameters.title}}}"],
    ] {
        let said = with_command(command);
        assert!(said.iter().any(|one| one.contains("script on the command line")), "{command:?}: {said:?}");
    }
}

#[test]
fn a_script_gets_its_values_as_arguments_or_variables() {
    for command in [
        &["sh", "-c", "exec serve \"$@\"", "serve", "--", "{{parameters.title}}"][..],
        &["sh", "/opt/nakhoda/start", "-c", "max={{parameters.size}}"],
        &["postgres", "-c", "max_connections={{parameters.size}}", "-c", "timezone={{parameters.zone}}"],
        &["serve", "--title={{parameters.title}}"],
        &["serve", "--database", "postgres://app@db/{{parameters.slug}}"],
    ] {
        assert_eq!(with_command(command), [""; 0], "{command:?}");
    }
}

#[test]
fn a_variable_in_a_script_that_the_kubelet_expands_is_seen_through() {
    let said = problems(&spec(|spec| {
        spec["components"][0]["env"] = json!([
            {"name": "TITLE", "value": "{{parameters.title}}"},
            {"name": "AGAIN", "value": "$(TITLE)"},
        ]);
        spec["components"][0]["command"] = json!(["sh", "-c", "serve $(AGAIN)"]);
    }));
    assert!(said.iter().any(|one| one.contains("script on the command line")), "{said:?}");
    let escaped = problems(&spec(|spec| {
        spec["components"][0]["env"] = json!([{"name": "TITLE", "value": "{{parameters.title}}"}]);
        spec["components"][0]["command"] = json!(["sh", "-c", "serve \"$TITLE\" $$(TITLE)"]);
    }));
    assert_eq!(escaped, [""; 0], "the shell's own variable, quoted, is what should be used");
}

#[test]
fn free_text_stands_alone_or_where_nothing_can_be_broken() {
    for (name, value) in [
        ("CONFIG", "[\"{{parameters.title}}\"]"),
        ("CONFIG", "title: '{{parameters.title}}'"),
        ("PHP", "define('T', '{{parameters.title}}');"),
        ("SQL", "INSERT INTO t VALUES ('{{parameters.title}}')"),
        ("URL", "https://example.com/{{parameters.title}}"),
        ("DSN", "host=db dbname={{parameters.title}}"),
        ("NODE_OPTIONS", "{{parameters.title}}"),
        ("WORDPRESS_CONFIG_EXTRA", "{{parameters.title}}"),
        ("APP_EXTRA_ARGS", "{{parameters.title}}"),
    ] {
        assert_eq!(with_variable(name, value).len(), 1, "{name}={value}");
    }
    for (name, value) in [
        ("TITLE", "{{parameters.title}}"),
        ("TITLE", "Welcome to {{parameters.title}}!"),
        ("URL", "postgres://app@db/{{parameters.slug}}"),
        ("CONFIG", "{\"size\": {{parameters.size}}, \"zone\": \"{{parameters.zone}}\"}"),
        ("NODE_OPTIONS", "--max-old-space-size={{parameters.size}}"),
    ] {
        assert_eq!(with_variable(name, value), [""; 0], "{name}={value}");
    }
}

#[test]
fn a_pattern_is_plain_only_when_nothing_it_matches_means_anything() {
    let of =
        |pattern: &str| is_plain(&Parameter { pattern: Some(pattern.to_owned()), ..Parameter::default() });
    for pattern in ["[a-z]+", "^[a-z]([a-z0-9_]{0,61}[a-z])?$", r"\w+@(?:[a-z]+[.])+com", "on|off", ""] {
        assert!(of(pattern), "{pattern}");
    }
    for pattern in
        [".*", "[^ ]+", r"\S+", r"\s", "[a-z ]+", "a'b", "[A-z]", "(", "[à-ü]", "a|.", r"[\x00-\x7f]"]
    {
        assert!(!of(pattern), "{pattern}");
    }
    assert!(!is_plain(&Parameter::default()), "any text");
}

#[test]
fn a_parameter_never_names_the_program() {
    assert!(with_command(&["{{parameters.slug}}"])[0].contains("names the program"));
}

#[test]
fn two_things_of_a_pod_or_an_app_never_have_one_name() {
    let image = "registry.example.com/app:1.0.0";
    let said = problems(&spec(|spec| {
        spec["components"][0]["initContainers"] = json!([{"name": "a", "image": image}, {"name": "a", "image": image}, {"name": "app", "image": image}]);
        spec["initJobs"] = json!([{"name": "app", "image": image, "security": {"user": 1, "group": 1}}]);
    }));
    assert_eq!(said.len(), 3, "{said:#?}");
}

#[test]
fn no_sysctl_is_set_twice() {
    let said = super::problems(&spec(|spec| {
        let one = json!({"name": "net.ipv4.ip_unprivileged_port_start", "value": "80"});
        spec["components"][0]["security"]["sysctls"] = json!([one, one]);
    }));
    assert_eq!(said.len(), 1, "{said:#?}");
    assert_eq!(said[0].path, "spec.components[0].security.sysctls[1].name");
}

#[test]
fn two_volumes_never_have_one_claim() {
    let said = problems(&spec(|spec| {
        let mut other = spec["components"][0].clone();
        other["name"] = json!("app-b");
        other["volumes"] = json!([{"name": "c", "path": "/c", "storagePercent": 50}]);
        other["resources"] = json!({"cpuPercent": 50, "memoryPercent": 50});
        spec["components"][0]["resources"] = other["resources"].clone();
        spec["components"][0]["volumes"] = json!([{"name": "b-c", "path": "/c", "storagePercent": 50}]);
        spec["components"].as_array_mut().unwrap().push(other);
    }));
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains("-app-b-c"), "{said:?}");
}

#[test]
fn a_megabyte_of_files_is_refused() {
    let said = problems(&spec(|spec| {
        let files = (0..16).map(|index| json!({"name": format!("f{index}"), "content": "x".repeat(65536)}));
        spec["files"] = files.collect();
    }));
    assert!(said.iter().any(|one| one.contains("900 KiB")), "{said:?}");
}

#[test]
fn facts_about_memory_stay_within_their_container() {
    let said = problems(&spec(|spec| {
        spec["files"] = json!([{"name": "conf", "content": "mem={{facts.memoryMi}}"}]);
        spec["credentials"] = json!([{"name": "memory", "value": "{{facts.memoryHalfMi}}"}]);
    }));
    assert_eq!(
        said.iter().filter(|one| one.contains("in the strings of a container only")).count(),
        2,
        "{said:?}"
    );
}

#[test]
fn placeholders_are_read_as_they_are_filled() {
    assert_eq!(placeholders("{{a}} {{ b }} {{c"), ["a", "b"]);
    assert_eq!(placeholders("{{a {{b}}"), ["a {{b"], "one name that leads nowhere, not two");
}

proptest! {
    #[test]
    fn whatever_a_template_says_its_check_comes_to_an_end(
        words in prop::collection::vec(r"[-+a-z/$(){}.=' ]{0,12}|sh|-c|\{\{parameters.title\}\}|\$\(A\)", 0..8),
        value in r"[$(){}A-Za-z. ]{0,40}",
    ) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let _ = problems(&spec(|spec| {
            spec["components"][0]["command"] = json!(words);
            spec["components"][0]["env"] = json!([{"name": "A", "value": value}, {"name": "B", "value": "$(A)$(B)"}]);
        }));
    }

    #[test]
    fn what_a_plain_pattern_matches_is_harmless(text in "[ -~]{1,12}") {
        for pattern in ["[a-z][a-z0-9_]*", "[A-Za-z0-9._%+-]+@[a-z.]+", "(on|off)-[0-9]+"] {
            let parameter = Parameter { pattern: Some(pattern.to_owned()), ..Parameter::default() };
            prop_assert!(is_plain(&parameter));
            if values::compile(pattern).unwrap().is_match(&text) {
                prop_assert!(!text.contains(['\'', '"', '$', ';', '\\', '`', ' ', '<', '{']), "{}", text);
            }
        }
    }
}
