//! The ways in from outside: hosts, certificates, and access for apps that speak TCP.

use crate::{
    domains::decide::{Decided, VERIFIED},
    instance::{
        build::{self, Desired},
        fetch::Fetched,
        fixtures::{self, Wanted},
        plan, validate,
    },
    kinds::Kind,
    settings::Settings,
};
use crds::{
    instance::{Access, DomainStatus},
    labels,
};
use serde_json::{Value, json};
use std::sync::Arc;

fn settings(more: &Value) -> Settings {
    let mut all = json!({"zone": "apps.example.test", "ingress": {"from": [{"podSelector": {}}]}});
    for (key, value) in more.as_object().unwrap() {
        for (inner, value) in value.as_object().unwrap() {
            all[key][inner] = value.clone();
        }
    }
    serde_json::from_value(all).unwrap()
}

fn desired(fetched: &Fetched, settings: &Settings) -> Desired {
    let order = validate::validate(fetched, settings, fixtures::now()).unwrap();
    build::build(&order, &fixtures::all_up(&order.template), settings)
}

/// A site with two hosts of its own, one of the zone, and one that is not its own (yet).
fn site() -> Fetched {
    let mut fetched = fixtures::fetched("wordpress", Wanted::Running);
    let decided = |host: &str, is_ours| {
        let reason = VERIFIED.to_owned();
        let status = DomainStatus { host: host.to_owned(), reason, ..DomainStatus::default() };
        Decided { status, is_ours }
    };
    fetched.domains = vec![
        decided("shop.example.com", true),
        decided("given.apps.example.test", true),
        decided("taken.example.com", false),
        decided("www.example.com", true),
    ];
    fetched
}

/// A database that is to be reached from outside.
fn database(cidrs: &[&str]) -> Fetched {
    let mut fetched = fixtures::fetched("postgresql", Wanted::Running);
    let allowed_cidrs = cidrs.iter().map(|one| (*one).to_owned()).collect();
    let access = Some(Access { external: true, allowed_cidrs });
    Arc::make_mut(&mut fetched.instance).spec.access = access;
    fetched
}

/// The specs and annotations of a kind's objects.
fn parts(desired: &Desired, kind: Kind) -> Vec<Value> {
    let all = desired.objects.iter().filter(|object| object.key.kind == kind);
    all.map(|object| {
        let mut annotations = object.object["metadata"]["annotations"].clone();
        annotations.as_object_mut().unwrap().remove(labels::HASH);
        json!({"name": object.key.name, "annotations": annotations, "spec": object.object["spec"]})
    })
    .collect()
}

fn snapshot(name: &str, value: &Value) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_yaml_snapshot!(name, value));
}

fn ingress(settings: &Settings) -> Value {
    parts(&desired(&site(), settings), Kind::Ingress).remove(0)
}

#[test]
fn every_host_that_is_its_own_is_routed_and_no_other() {
    let ingress = ingress(&settings(&json!({})));
    let rules = ingress["spec"]["rules"].as_array().unwrap();
    let hosts: Vec<&str> = rules.iter().map(|rule| rule["host"].as_str().unwrap()).collect();
    assert_eq!(hosts[1..], ["shop.example.com", "given.apps.example.test", "www.example.com"]);
    assert!(rules.iter().all(|rule| rule["http"] == rules[0]["http"]));
    assert!(ingress["spec"].get("tls").is_none(), "none is asked for");
}

/// What the controller is told, without our own mark.
fn annotations_of(ingress: &Value) -> Value {
    let mut all = ingress["annotations"].clone();
    all.as_object_mut().unwrap().remove(labels::INPUTS);
    all
}

#[test]
fn annotations_carry_what_the_template_says_of_its_port() {
    let size = "{{maxBodyMebibytes}}m";
    let annotations = json!({"example.test/size": size, "example.test/time": "{{ readTimeoutSeconds }}"});
    let (template, _) = fixtures::app("wordpress");
    let http = template.spec.expose.http.unwrap();
    assert_eq!(
        annotations_of(&ingress(&settings(&json!({"ingress": {"annotations": annotations}})))),
        json!({
            "example.test/size": format!("{}m", http.max_body_mebibytes),
            "example.test/time": http.read_timeout_seconds.to_string(),
        })
    );
}

#[test]
fn certificates_are_issued_as_the_settings_say() {
    let with = |more: Value| {
        let mut tls = json!({"clusterIssuer": "letsencrypt"});
        tls.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let ingress = ingress(&settings(&json!({"ingress": {"tls": tls}})));
        json!({"annotations": annotations_of(&ingress), "tls": ingress["spec"]["tls"]})
    };
    let all = json!({
        "by default": with(json!({})),
        "platform hosts named": with(json!({"platformHosts": "DefaultNamed", "customHosts": "PerInstance"})),
        "platform hosts issued": with(json!({"platformHosts": "Issued", "customHosts": "PerInstance"})),
    });
    snapshot("certificates", &all);
}

#[test]
fn without_a_custom_host_nothing_is_issued_for_a_wildcards_zone() {
    let tls = json!({"ingress": {"tls": {"clusterIssuer": "letsencrypt"}}});
    let fetched = fixtures::fetched("wordpress", Wanted::Running);
    let ingress = parts(&desired(&fetched, &settings(&tls)), Kind::Ingress).remove(0);
    assert_eq!((annotations_of(&ingress), ingress["spec"].get("tls")), (json!({}), None));
}

#[test]
fn a_port_to_the_outside_is_open_to_the_allowed_ranges_alone() {
    let balancer = json!({"access": {
        "type": "LoadBalancer", "loadBalancerClass": "example.test/balancer", "annotations": {"example.test/scheme": "public"},
    }});
    let nodes = json!({"access": {"type": "NodePort", "nodeHost": "nodes.example.test"}});
    let made = |fetched: &Fetched, more: &Value| {
        let desired = desired(fetched, &settings(more));
        let all = [Kind::Service, Kind::NetworkPolicy].map(|kind| parts(&desired, kind)).concat();
        let ours = |name: &str| name.contains("-external-") || name.contains("-access-");
        all.into_iter().filter(|one| one["name"].as_str().is_some_and(ours)).collect::<Vec<_>>()
    };
    let ranges = ["203.0.113.9/24", "2001:db8::/32"];
    let all = json!({
        "by a load balancer": made(&database(&ranges), &balancer),
        "by a port of the nodes": made(&database(&ranges), &nodes),
        "to everybody": made(&database(&[]), &balancer),
    });
    snapshot("access", &all);
    for (fetched, more) in [
        (database(&ranges), json!({})),
        (database(&["everybody"]), balancer.clone()),
        (fixtures::fetched("postgresql", Wanted::Running), balancer.clone()),
    ] {
        assert_eq!(made(&fetched, &more), [json!(null); 0]);
    }
    let of_another_class =
        json!({"access": {"type": "LoadBalancer", "loadBalancerClass": "example.test/other"}});
    let name = |more: &Value| made(&database(&[]), more).remove(0)["name"].clone();
    assert_ne!(name(&of_another_class), name(&balancer), "a class can't be changed in place");
}

#[test]
fn what_is_no_longer_asked_for_is_closed() {
    use crate::observed::Child;
    let nodes = settings(&json!({"access": {"type": "NodePort", "nodeHost": "nodes.example.test"}}));
    let open = desired(&database(&[]), &nodes);
    let mut fetched = fixtures::fetched("postgresql", Wanted::Running);
    fetched.secrets = crate::instance::fetch::Secrets::There(std::collections::BTreeMap::new());
    let there = open.objects.iter().filter_map(|object| {
        let mut live = object.object.clone();
        live["metadata"]["uid"] = json!(object.key.name);
        live["metadata"]["resourceVersion"] = json!("1");
        Child::reduce(object.key.kind, &live).map(Arc::new)
    });
    fetched.children = there.collect();
    let closed = desired(&fixtures::fetched("postgresql", Wanted::Running), &nodes);
    let deleted: Vec<String> = plan::plan(&closed, &fetched)
        .operations
        .into_iter()
        .filter_map(|one| if let plan::Operation::Delete { key, .. } = one { Some(key.name) } else { None })
        .collect();
    assert_eq!(deleted.len(), 2, "{deleted:?}");
    assert!(
        deleted.iter().any(|name| name.contains("-access-"))
            && deleted.iter().any(|name| name.contains("-external-"))
    );
}
