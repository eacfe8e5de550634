//! Every object of the shipped apps as a whole, and the way to them.

mod crash;
mod disturbed;
mod model;
mod outside;
mod plan;
mod rollout;
mod sequences;

use crate::kinds::Kind;
use crate::{
    instance::{
        build::{self, Desired, Facts},
        fixtures::{self, APPS, Wanted},
    },
    template::validate,
};
use crds::{ServiceTemplate, labels};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn build(app: &str, wanted: Wanted, facts: impl Fn(&ServiceTemplate) -> Facts) -> Desired {
    let fetched = fixtures::fetched(app, wanted);
    let order = fixtures::order(&fetched).unwrap();
    build::build(&order, &facts(&order.template), fixtures::settings())
}

/// Every object, in the order in which they are made; the hash says nothing that the rest does not.
fn objects(desired: &Desired) -> Vec<Value> {
    let applied = desired.volumes.iter().chain(&desired.objects).chain(&desired.credentials);
    let mut all = vec![desired.secret.object.clone()];
    all.extend(desired.jobs.iter().chain(applied).map(|object| {
        let mut whole = object.object.clone();
        for hash in [labels::HASH, labels::PODS, labels::INPUTS] {
            if whole["metadata"]["annotations"].get(hash).is_some() {
                whole["metadata"]["annotations"][hash] = json!("…");
            }
        }
        whole
    }));
    all
}

fn snapshot(name: &str, desired: &Desired) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_yaml_snapshot!(name, objects(desired)));
}

#[test]
fn every_app_running_stopped_and_suspended() {
    for app in APPS {
        snapshot(&format!("{app}-running"), &build(app, Wanted::Running, fixtures::all_up));
        snapshot(&format!("{app}-stopped"), &build(app, Wanted::Stopped, fixtures::all_down));
        snapshot(&format!("{app}-suspended"), &build(app, Wanted::Suspended, fixtures::all_down));
    }
}

#[test]
fn before_its_init_jobs_are_done_nobody_comes_in() {
    let before = |template: &ServiceTemplate| Facts { jobs: BTreeMap::new(), ..fixtures::all_up(template) };
    let desired = build("ghost", Wanted::Running, before);
    snapshot("ghost-being-initialized", &desired);
    assert_eq!(desired.jobs.len(), 1);
    let kinds: Vec<Kind> = desired.objects.iter().map(|object| object.key.kind).collect();
    assert!(!kinds.contains(&Kind::Ingress), "{kinds:?}");
    let job = desired.jobs[0].object["spec"]["template"]["spec"].clone();
    assert!(breaches(&job).is_empty(), "{:?}", breaches(&job));
    for (wanted, facts) in
        [(Wanted::Running, Facts::default()), (Wanted::Stopped, before(&fixtures::app("ghost").0))]
    {
        assert!(
            build("ghost", wanted, |_| facts.clone()).jobs.is_empty(),
            "not before it is up, nor while it may not run"
        );
    }
}

#[test]
fn a_job_goes_to_the_node_of_the_volume_that_it_mounts() {
    let mut fetched = fixtures::fetched("ghost", Wanted::Running);
    let template = std::sync::Arc::make_mut(fetched.template.as_mut().unwrap());
    template.spec.init_jobs[0].volumes_of = Some("app".to_owned());
    let order = fixtures::order(&fetched).unwrap();
    let facts = Facts { jobs: BTreeMap::new(), ..fixtures::all_up(&order.template) };
    let desired = build::build(&order, &facts, fixtures::settings());
    let pod = &desired.jobs[0].object["spec"]["template"]["spec"];
    let near = &pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0];
    assert_eq!(near["labelSelector"]["matchLabels"][labels::COMPONENT], "app");
    assert!(pod["volumes"].to_string().contains("persistentVolumeClaim"), "{pod}");
}

/// Pod Security `restricted`, as its standard lists it: what every pod must say, in each of its containers.
fn breaches(pod: &Value) -> Vec<String> {
    let security = &pod["securityContext"];
    let mut bad = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            bad.push(what.to_owned());
        }
    };
    must(
        security["runAsNonRoot"] == true && security["runAsUser"].as_i64().is_some_and(|user| user > 0),
        "runs as root",
    );
    must(security["seccompProfile"]["type"] == "RuntimeDefault", "no seccomp profile");
    must(
        ["hostNetwork", "hostPID", "hostIPC"].iter().all(|host| pod.get(*host).is_none()),
        "shares the host's",
    );
    let volumes = pod["volumes"].as_array().cloned().unwrap_or_default();
    let kinds = ["configMap", "emptyDir", "persistentVolumeClaim", "name"];
    must(
        volumes.iter().all(|one| one.as_object().unwrap().keys().all(|key| kinds.contains(&key.as_str()))),
        "a volume",
    );
    let lists =
        ["containers", "initContainers"].map(|list| pod[list].as_array().cloned().unwrap_or_default());
    for container in lists.iter().flatten() {
        let security = &container["securityContext"];
        must(security["allowPrivilegeEscalation"] == false, "may gain privileges");
        must(security["capabilities"] == json!({"drop": ["ALL"]}), "keeps capabilities");
        must(
            security.get("privileged").is_none() && security["readOnlyRootFilesystem"] == true,
            "may write its root",
        );
        must(
            container["resources"]["limits"] == container["resources"]["requests"],
            "limits and requests differ",
        );
    }
    must(
        pod["automountServiceAccountToken"] == false && pod["enableServiceLinks"] == false,
        "has a token or service links",
    );
    bad
}

#[test]
fn every_pod_is_restricted_and_a_pod_that_is_not_is_seen() {
    for app in APPS {
        let desired = build(app, Wanted::Running, fixtures::all_up);
        let pods: Vec<Value> = desired
            .objects
            .iter()
            .filter(|one| one.key.kind.is_workload())
            .map(|one| one.object["spec"]["template"]["spec"].clone())
            .collect();
        for pod in &pods {
            assert!(breaches(pod).is_empty(), "{app}: {:?}", breaches(pod));
            let mut broken = pod.clone();
            broken["containers"][0]["securityContext"]["capabilities"] = json!({});
            assert_eq!(breaches(&broken), ["keeps capabilities"]);
        }
        assert_eq!(pods.len(), if app == "postgresql" { 1 } else { 2 });
    }
}

#[test]
fn what_stops_it_changes_nothing_but_the_number_of_pods() {
    for app in APPS {
        let running = objects(&build(app, Wanted::Running, fixtures::all_up));
        for wanted in [Wanted::Stopped, Wanted::Suspended] {
            let mut off = objects(&build(app, wanted, fixtures::all_down));
            for object in off.iter_mut().filter(|object| object["spec"]["replicas"] == 0) {
                object["spec"]["replicas"] = json!(1);
            }
            assert_eq!(off, running, "{app} {wanted:?}");
        }
    }
}

#[test]
fn a_file_that_changes_restarts_the_pods_that_mount_it_and_no_others() {
    let pods = |workers: &str| -> Vec<Value> {
        let mut fetched = fixtures::fetched("wordpress", Wanted::Running);
        let spec = &mut std::sync::Arc::make_mut(&mut fetched.instance).spec;
        spec.parameters.insert("workers".to_owned(), workers.to_owned());
        let order = fixtures::order(&fetched).unwrap();
        let desired = build::build(&order, &fixtures::all_up(&order.template), fixtures::settings());
        let workloads = desired.objects.into_iter().filter(|one| one.key.kind.is_workload());
        workloads.map(|one| one.object["spec"]["template"].clone()).collect()
    };
    let (few, many) = (pods("10"), pods("20"));
    assert_eq!(few[0], many[0], "the database");
    assert_ne!(few[1], many[1], "the app, whose Apache reads it");
}

#[test]
fn every_hash_is_that_of_its_object() {
    for app in APPS {
        let desired = build(app, Wanted::Running, fixtures::all_up);
        for object in desired.volumes.iter().chain(&desired.objects).chain(&desired.credentials) {
            assert_eq!(crate::digest::desired_hash(&object.object), object.hash, "{:?}", object.key);
        }
    }
}

#[test]
fn no_template_of_the_catalogue_contradicts_itself() {
    let apps = fixtures::catalogue();
    assert!(apps.len() >= 4, "{apps:?}");
    for name in apps {
        let (template, plans) = fixtures::app(&name);
        assert_eq!(validate::problems(&template.spec), [], "{name}");
        assert!(plans.len() >= 3 && plans.iter().all(|plan| plan.spec.template_ref == name), "{name}");
    }
}
