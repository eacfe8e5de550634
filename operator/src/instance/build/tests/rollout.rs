//! Changes that are not the owner's own: what runs is not restarted by them until their time has come.

use super::{
    model::Model,
    plan::{converge, converged, with_spec},
};
use crate::{
    domains::decide::{Decided, VERIFIED},
    instance::{
        fetch::Fetched,
        fixtures::{self, APPS, Wanted},
        plan::{Operation, Plan},
        rollout::Rollout,
    },
    kinds::Kind,
    settings::Settings,
};
use crds::{
    ServiceTemplate,
    instance::{Access, DomainStatus, MaintenanceWindow, ServiceInstanceSpec},
    labels,
    template::{Component, Port},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};
use std::sync::Arc;

/// With an edited template: another image and another port for every component.
fn edited(base: &Fetched) -> Fetched {
    let mut template: ServiceTemplate = (**base.template.as_ref().unwrap()).clone();
    for component in &mut template.spec.components {
        component.container.image = "registry.example.test/edited:2.0.0".to_owned();
        component.ports[0].port += 1;
    }
    let mut instance = (*base.instance).clone();
    instance.status.get_or_insert_default().initialized = true;
    Fetched { template: Some(Arc::new(template)), instance: Arc::new(instance), ..base.clone() }
}

fn round(model: &Model, base: &Fetched) -> (Plan, Rollout) {
    round_at(model, base, fixtures::settings(), fixtures::now())
}

fn round_at(model: &Model, base: &Fetched, settings: &Settings, now: Timestamp) -> (Plan, Rollout) {
    let (_, plan, rollout) = fixtures::round_at(&model.fetch(base), settings, now).unwrap();
    (plan, rollout)
}

fn images(model: &Model) -> Vec<Value> {
    let workloads = model.objects.iter().filter(|(key, _)| key.kind.is_workload());
    workloads
        .map(|(_, object)| object["spec"]["template"]["spec"]["containers"][0]["image"].clone())
        .collect()
}

fn is_rolled_out(model: &Model) -> bool {
    images(model).iter().all(|image| image == "registry.example.test/edited:2.0.0")
}

const WAITS: Rollout = Rollout::Waits { until: None };

#[test]
fn an_edited_template_changes_nothing_of_what_runs() {
    for app in APPS {
        let (model, base) = converged(app, Wanted::Running);
        assert_eq!(round(&model, &base), (Plan::default(), Rollout::UpToDate), "{app}");
        assert_eq!(round(&model, &edited(&base)), (Plan::default(), WAITS), "{app}");
    }
}

#[test]
fn it_can_be_stopped_while_an_update_waits_and_starts_with_the_new_form() {
    for app in APPS {
        let (mut model, base) = converged(app, Wanted::Running);
        let before = images(&model);
        let base = edited(&base);
        let stopped = with_spec(&base, |spec| fixtures::want(spec, Wanted::Stopped));
        let (plan, rollout) = round(&model, &stopped);
        assert_eq!(rollout, WAITS, "{app}");
        plan.operations.iter().for_each(|operation| model.execute(operation));
        assert_eq!(images(&model), before, "{app}: what still runs ends as it was");
        converge(&mut model, &stopped, &mut std::iter::empty());
        converge(&mut model, &base, &mut std::iter::empty());
        assert!(is_rolled_out(&model), "{app}");
        assert_eq!(round(&model, &base), (Plan::default(), Rollout::UpToDate), "{app}");
    }
}

#[test]
fn the_owners_own_change_of_the_app_rolls_it_out_and_other_changes_do_not() {
    type Change = fn(&mut ServiceInstanceSpec);
    let changes: [(&str, Change, bool); 5] = [
        ("restart", |spec| spec.restarted_at = Some(Time(fixtures::now())), true),
        ("parameter", |spec| _ = spec.parameters.insert("timezone".into(), "UTC".into()), true),
        ("retention", |spec| spec.retention.keep_for = "90d".into(), false),
        ("name", |spec| spec.display_name = Some("Mine".into()), false),
        ("domain", |spec| spec.domains = vec!["shop.example.com".into()], false),
    ];
    for (name, change, rolls) in changes {
        let (mut model, base) = converged("wordpress", Wanted::Running);
        let ordered = with_spec(&edited(&base), change);
        converge(&mut model, &ordered, &mut std::iter::empty());
        assert_eq!(is_rolled_out(&model), rolls, "{name}");
        let after = if rolls { Rollout::UpToDate } else { WAITS };
        assert_eq!(round(&model, &ordered).1, after, "{name}");
    }
}

#[test]
fn in_its_window_it_is_rolled_out() {
    let (mut model, base) = converged("ghost", Wanted::Running);
    let window = MaintenanceWindow {
        days: vec![],
        start: "02:00".into(),
        duration_minutes: 60,
        time_zone: "UTC".into(),
    };
    let base = with_spec(&edited(&base), |spec| spec.maintenance_window = Some(window));
    let Rollout::Waits { until: Some(until) } = round(&model, &base).1 else { panic!("it has a window") };
    assert!(until > fixtures::now());
    let just_before = until - SignedDuration::from_secs(1);
    let settings = fixtures::settings();
    assert_eq!(
        round_at(&model, &base, settings, just_before),
        (Plan::default(), Rollout::Waits { until: Some(until) })
    );
    let (plan, rollout) = round_at(&model, &base, settings, until);
    assert_eq!(rollout, Rollout::Now);
    plan.operations.iter().for_each(|operation| model.execute(operation));
    assert!(is_rolled_out(&model));
}

#[test]
fn an_instance_without_a_window_has_the_platforms() {
    let (model, base) = converged("postgresql", Wanted::Running);
    let mut settings = fixtures::settings().clone();
    let days = vec![];
    settings.updates.window = Some(MaintenanceWindow {
        days,
        start: "02:00".into(),
        duration_minutes: 60,
        time_zone: "UTC".into(),
    });
    let rollout = round_at(&model, &edited(&base), &settings, fixtures::now()).1;
    assert!(matches!(rollout, Rollout::Waits { until: Some(_) }), "{rollout:?}");
}

#[test]
fn each_rollout_at_counts_once_and_not_before_its_time() {
    let (mut model, base) = converged("wordpress", Wanted::Running);
    let later = fixtures::now() + SignedDuration::from_secs(60);
    let asked = with_spec(&edited(&base), |spec| spec.rollout_at = Some(Time(later)));
    assert_eq!(round(&model, &asked), (Plan::default(), Rollout::Waits { until: Some(later) }));
    // As the clock goes on.
    for _ in 0..4 {
        let (plan, _) = round_at(&model, &asked, fixtures::settings(), later);
        plan.operations.iter().for_each(|operation| model.execute(operation));
        model.settle();
    }
    assert!(is_rolled_out(&model));
    // The next edit waits, though `rolloutAt` is still there.
    let again = Fetched { template: base.template.clone(), ..asked };
    assert_eq!(round_at(&model, &again, fixtures::settings(), later), (Plan::default(), WAITS));
}

#[test]
fn a_rollout_at_that_passes_while_nothing_waits_is_used_up() {
    let (mut model, base) = converged("postgresql", Wanted::Running);
    let asked = with_spec(&base, |spec| spec.rollout_at = Some(Time(fixtures::now())));
    let pods = |model: &Model| {
        model.objects.values().find(|one| one["kind"] == "StatefulSet").unwrap()["spec"].clone()
    };
    let before = pods(&model);
    converge(&mut model, &asked, &mut std::iter::empty());
    assert_eq!(pods(&model), before, "no restart");
    assert_eq!(round(&model, &edited(&asked)), (Plan::default(), WAITS));
}

#[test]
fn pods_that_somebody_else_changed_are_repaired_with_the_newest_form() {
    let (mut model, base) = converged("postgresql", Wanted::Running);
    let workload = model.objects.iter_mut().find(|(key, _)| key.kind == Kind::StatefulSet).unwrap().1;
    workload["spec"]["template"]["spec"]["containers"][0]["image"] = json!("foreign");
    let base = edited(&base);
    assert_eq!(round(&model, &base).1, Rollout::Now);
    converge(&mut model, &base, &mut std::iter::empty());
    assert!(is_rolled_out(&model));
}

#[test]
fn what_else_was_changed_is_repaired_while_the_pods_wait() {
    let (model, base) = converged("wordpress", Wanted::Running);
    let base = edited(&base);
    for (key, _) in
        model.objects.iter().filter(|(key, _)| key.kind.is_workload() || key.kind == Kind::Service)
    {
        let mut drifted = model.clone();
        drifted.objects.get_mut(key).unwrap()["metadata"]["labels"][labels::APP_NAME] = json!("changed");
        let (plan, rollout) = round(&drifted, &base);
        let [operation @ Operation::Apply { .. }] = plan.operations.as_slice() else { panic!("{plan:?}") };
        assert_eq!(rollout, WAITS);
        drifted.execute(operation);
        assert_eq!(images(&drifted), images(&model), "{key:?}");
        assert_eq!(round(&drifted, &base), (Plan::default(), WAITS), "{key:?}");
    }
}

#[test]
fn a_volume_that_a_template_gains_is_made_with_the_pods_that_use_it_and_one_that_was_lost_is_not() {
    let (mut model, base) = converged("postgresql", Wanted::Running);
    let claim = model.objects.keys().find(|key| key.kind == Kind::PersistentVolumeClaim).unwrap().clone();
    let status = crds::ServiceInstanceStatus {
        volumes: vec![claim.name.clone()],
        initialized: true,
        ..Default::default()
    };
    let mut instance = (*base.instance).clone();
    instance.status = Some(status);
    let mut template = (**base.template.as_ref().unwrap()).clone();
    let volumes = &mut template.spec.components[0].volumes;
    volumes[0].storage_percent = 50;
    volumes.push(crds::template::Volume { name: "more".into(), path: "/more".into(), ..volumes[0].clone() });
    let gained = Fetched { instance: Arc::new(instance), template: Some(Arc::new(template)), ..base };
    let shrunk = fixtures::order(&model.fetch(&gained)).unwrap_err();
    assert_eq!(shrunk.reason, "StorageTooSmall", "what there is keeps its size");
    model.objects.get_mut(&claim).unwrap()["spec"]["resources"]["requests"]["storage"] = json!("1Gi");
    let makes = |plan: &Plan| {
        plan.operations.iter().any(
            |one| matches!(one, Operation::Apply { object, seen: None } if object.key.name.ends_with("more")),
        )
    };
    let (plan, rollout) = round(&model, &gained);
    assert!(!makes(&plan) && rollout == WAITS, "{plan:?}");
    let (desired, ..) =
        fixtures::round_at(&model.fetch(&gained), fixtures::settings(), fixtures::now()).unwrap();
    assert_eq!(desired.volumes.len(), 1, "the pods that run use no other");
    let restarted = with_spec(&gained, |spec| spec.restarted_at = Some(Time(fixtures::now())));
    let (plan, rollout) = round(&model, &restarted);
    assert!(makes(&plan) && rollout == Rollout::Now, "{plan:?}");
    // Once it is there it stays, whatever waits.
    let made = plan
        .operations
        .iter()
        .find(|one| makes(&Plan { operations: vec![(*one).clone()], ..Plan::default() }));
    model.execute(made.unwrap());
    let (desired, ..) =
        fixtures::round_at(&model.fetch(&gained), fixtures::settings(), fixtures::now()).unwrap();
    assert_eq!(desired.volumes.len(), 2);
    model.objects.remove(&claim);
    assert_eq!(fixtures::order(&model.fetch(&gained)).unwrap_err().reason, "VolumeMissing");
}

#[test]
fn a_component_that_a_template_gains_has_its_volume_at_once() {
    let (mut model, base) = converged("postgresql", Wanted::Running);
    let claim = model.objects.iter_mut().find(|(key, _)| key.kind == Kind::PersistentVolumeClaim).unwrap().1;
    claim["spec"]["resources"]["requests"]["storage"] = json!("1Gi");
    let base = edited(&base);
    let mut template = (**base.template.as_ref().unwrap()).clone();
    let first = &mut template.spec.components[0];
    first.volumes[0].storage_percent = 50;
    (first.resources.cpu_percent, first.resources.memory_percent) = (Some(50), Some(50));
    let other = Component { name: "other".into(), ..template.spec.components[0].clone() };
    template.spec.components.push(other);
    let gained = Fetched { template: Some(Arc::new(template)), ..base };
    let (desired, _, rollout) =
        fixtures::round_at(&model.fetch(&gained), fixtures::settings(), fixtures::now()).unwrap();
    assert_eq!((desired.volumes.len(), rollout), (2, WAITS), "its pods are no others' update");
}

/// A site whose own hosts are these.
fn with_hosts(base: &Fetched, hosts: &[&str]) -> Fetched {
    let decided = |host: &&str| Decided {
        status: DomainStatus {
            host: (*host).to_owned(),
            reason: VERIFIED.to_owned(),
            ..DomainStatus::default()
        },
        is_ours: true,
    };
    Fetched { domains: hosts.iter().map(decided).collect(), ..base.clone() }
}

#[test]
fn a_second_host_that_comes_while_an_update_waits_leads_to_the_port_that_the_pods_have() {
    let base = with_hosts(&fixtures::fetched("wordpress", Wanted::Running), &["a.example.com"]);
    let mut model = Model::default();
    converge(&mut model, &base, &mut std::iter::empty());
    let edited = edited(&base);
    let mut template = (**edited.template.as_ref().unwrap()).clone();
    let app = template.spec.components.iter_mut().find(|one| one.name == "app").unwrap();
    app.ports.push(Port { name: "web".to_owned(), port: 9090 });
    template.spec.expose.http.as_mut().unwrap().port = "web".to_owned();
    let edited = Fetched { template: Some(Arc::new(template)), ..edited };
    let routes = |model: &Model| -> Vec<(Value, Value)> {
        let ingress = model.objects.iter().find(|(key, _)| key.kind == Kind::Ingress).unwrap().1;
        let backend = |rule: &Value| rule["http"]["paths"][0]["backend"]["service"]["port"]["name"].clone();
        let rules = ingress["spec"]["rules"].as_array().unwrap().iter().skip(1);
        rules.map(|rule| (rule["host"].clone(), backend(rule))).collect()
    };
    let expected = |hosts: &[&str], port: &str| -> Vec<(Value, Value)> {
        hosts.iter().map(|host| (json!(host), json!(port))).collect()
    };
    assert_eq!(routes(&model), expected(&["a.example.com"], "http"));
    for hosts in [["a.example.com", "b.example.com"].as_slice(), &["a.example.com"]] {
        let more = with_hosts(&edited, hosts);
        let (plan, rollout) = round(&model, &more);
        assert!(plan.operations.len() == 1 && rollout == WAITS, "{plan:?}");
        converge(&mut model, &more, &mut std::iter::empty());
        assert_eq!(routes(&model), expected(hosts, "http"));
        assert_eq!(round(&model, &more), (Plan::default(), WAITS));
    }
    let restarted = with_spec(&edited, |spec| spec.restarted_at = Some(Time(fixtures::now())));
    converge(&mut model, &restarted, &mut std::iter::empty());
    assert_eq!(routes(&model), expected(&["a.example.com"], "web"), "with the pods that have it");
}

#[test]
fn ranges_that_are_changed_while_an_update_waits_are_let_in_to_the_port_that_the_pods_have() {
    let settings: Settings = serde_json::from_value(json!({
        "zone": "apps.example.test", "access": {"type": "NodePort", "nodeHost": "nodes.example.test"},
    }))
    .unwrap();
    let from = |range: &str| {
        let access = Access { external: true, allowed_cidrs: vec![range.to_owned()] };
        move |spec: &mut ServiceInstanceSpec| spec.access = Some(access)
    };
    let go = |model: &mut Model, base: &Fetched| {
        for _ in 0..12 {
            let (plan, _) = round_at(model, base, &settings, fixtures::now());
            plan.operations.iter().for_each(|operation| model.execute(operation));
            model.settle();
        }
    };
    let ours = |model: &Model| -> Vec<Value> {
        let all = model
            .objects
            .iter()
            .filter(|(key, _)| key.name.contains("-access-") || key.name.contains("-external-"));
        all.map(|(_, object)| object["spec"].clone()).collect()
    };
    let mut model = Model::default();
    let base = with_spec(&fixtures::fetched("postgresql", Wanted::Running), from("203.0.113.0/24"));
    go(&mut model, &base);
    let before = ours(&model);
    let changed = with_spec(&edited(&base), from("198.51.100.0/24"));
    assert_eq!(round_at(&model, &changed, &settings, fixtures::now()).1, WAITS);
    go(&mut model, &changed);
    let [policy, service] = ours(&model).try_into().unwrap();
    assert_eq!(policy["ingress"][0]["from"][0]["ipBlock"]["cidr"], "198.51.100.0/24");
    assert_eq!(policy["ingress"][0]["ports"], before[0]["ingress"][0]["ports"]);
    assert_eq!(service["ports"], before[1]["ports"]);
    let restarted = with_spec(&changed, |spec| spec.restarted_at = Some(Time(fixtures::now())));
    go(&mut model, &restarted);
    assert_ne!(ours(&model)[0]["ingress"][0]["ports"], before[0]["ingress"][0]["ports"]);
}
