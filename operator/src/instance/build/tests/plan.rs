//! The way from what is to what should be: nothing superfluous, nothing foreign, no data.

use super::model::Model;
use crate::{
    apply,
    instance::{
        build::build,
        fetch::{Fetched, Secrets},
        fixtures::{self, APPS, Wanted},
        plan::{self, Operation, Plan},
    },
    kinds::Kind,
    observed::Key,
};
use crds::{ServiceInstanceSpec, labels, names};
use serde_json::json;
use std::sync::Arc;

/// The most rounds that any way here may take.
const BOUND: usize = 60;

/// Goes on until there is nothing to do, being interrupted after so many operations of each round as `crashes` says.
pub(super) fn converge(model: &mut Model, base: &Fetched, crashes: &mut dyn Iterator<Item = usize>) {
    for _ in 0..BOUND {
        let (desired, plan) = fixtures::round(&model.fetch(base)).unwrap();
        let until = crashes.next().unwrap_or(usize::MAX);
        plan.operations.iter().take(until).for_each(|operation| model.execute(operation));
        if until < plan.operations.len() {
            continue;
        }
        // The status is written last.
        model.told = desired.credentials.map(|object| object.key.name).or(model.told.take());
        if !model.settle() && plan.is_empty() {
            return;
        }
    }
    panic!("no end after {BOUND} rounds");
}

pub(super) fn converged(app: &str, wanted: Wanted) -> (Model, Fetched) {
    let (mut model, base) = (Model::default(), fixtures::fetched(app, wanted));
    converge(&mut model, &base, &mut std::iter::empty());
    (model, base)
}

pub(super) fn plan_of(model: &Model, base: &Fetched) -> Plan {
    fixtures::round(&model.fetch(base)).unwrap().1
}

pub(super) fn with_spec(base: &Fetched, change: impl FnOnce(&mut ServiceInstanceSpec)) -> Fetched {
    let mut instance = (*base.instance).clone();
    change(&mut instance.spec);
    Fetched { instance: Arc::new(instance), ..base.clone() }
}

fn key(kind: Kind, name: &str) -> Key {
    apply::key(kind, &names::tenant_namespace(fixtures::TENANT), name)
}

#[test]
fn where_nothing_changed_nothing_is_done() {
    for app in APPS {
        for wanted in [Wanted::Running, Wanted::Stopped, Wanted::Suspended] {
            let (model, base) = converged(app, wanted);
            assert_eq!(plan_of(&model, &base), Plan::default(), "{app} {wanted:?}");
        }
    }
}

#[test]
fn drift_in_any_child_is_repaired_in_that_very_object() {
    let (model, base) = converged("wordpress", Wanted::Running);
    let ours: Vec<Key> =
        model.objects.keys().filter(|key| !matches!(key.kind, Kind::Pod | Kind::Secret)).cloned().collect();
    assert_eq!(ours.len(), 10, "{ours:?}");
    for key in ours {
        let mut drifted = model.clone();
        drifted.objects.get_mut(&key).unwrap()["metadata"]["labels"][labels::APP_NAME] = json!("changed");
        let uid = drifted.objects[&key]["metadata"]["uid"].as_str().unwrap().to_owned();
        let operations = plan_of(&drifted, &base).operations;
        let [Operation::Apply { object, seen }] = operations.as_slice() else {
            panic!("{key:?}: {operations:?}")
        };
        assert_eq!((&object.key, seen.as_ref().map(|seen| &seen.uid)), (&key, Some(&uid)));
        drifted.execute(&operations[0]);
        assert_eq!(drifted.masked(), model.masked(), "{key:?}");
    }
}

#[test]
fn nothing_foreign_is_touched() {
    let (mut model, base) = converged("postgresql", Wanted::Running);
    for kind in
        [Kind::Service, Kind::ConfigMap, Kind::StatefulSet, Kind::NetworkPolicy, Kind::PersistentVolumeClaim]
    {
        model.put(&key(kind, "foreign"), json!({"metadata": {}}));
        let of_another = json!({"metadata": {"labels": {
            labels::MANAGED_BY: labels::MANAGER, labels::INSTANCE: "another-uid", labels::TENANT: fixtures::TENANT,
        }}});
        model.put(&key(kind, "another"), of_another);
    }
    assert_eq!(plan_of(&model, &base), Plan::default());
}

#[test]
fn hands_stay_off_where_somebody_asked_for_it() {
    let (mut model, base) = converged("postgresql", Wanted::Running);
    let service = model.objects.iter_mut().find(|(key, _)| key.kind == Kind::Service).unwrap().1;
    service["metadata"]["annotations"][labels::RECONCILE] = json!("disabled");
    service["spec"]["ports"] = json!([]);
    assert_eq!(plan_of(&model, &base), Plan::default());
}

#[test]
fn what_is_no_longer_built_goes_but_never_data() {
    let (mut model, base) = converged("postgresql", Wanted::Running);
    let desired = fixtures::round(&model.fetch(&base)).unwrap().0;
    let ours = json!({labels::MANAGED_BY: labels::MANAGER, labels::INSTANCE: fixtures::UID, labels::TENANT: fixtures::TENANT});
    for kind in Kind::WATCHED.into_iter().filter(|kind| !kind.is_cluster_scoped()).chain([Kind::Secret]) {
        model.put(&key(kind, "stale"), json!({"metadata": {"labels": ours}}));
    }
    let mut stale = model.fetch(&base);
    // Also where a Secret would come into the cache one day.
    let secret =
        crate::observed::Child::reduce(Kind::Secret, &model.objects[&key(Kind::Secret, "stale")]).unwrap();
    stale.children.push(Arc::new(secret));
    let plan = plan::plan(&desired, &stale);
    let gone: Vec<(Kind, &str)> = plan
        .operations
        .iter()
        .map(|one| match one {
            Operation::Delete { key, uid } if *uid == model.objects[key]["metadata"]["uid"] => {
                (key.kind, key.name.as_str())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let wanted = [
        Kind::NetworkPolicy,
        Kind::ConfigMap,
        Kind::Service,
        Kind::StatefulSet,
        Kind::Deployment,
        Kind::Ingress,
        Kind::Job,
    ];
    assert_eq!(gone, wanted.map(|kind| (kind, "stale")), "and each by its uid");
}

#[test]
fn what_is_being_deleted_is_waited_for() {
    let (mut model, base) = converged("postgresql", Wanted::Running);
    let (key, service) = model.objects.iter_mut().find(|(key, _)| key.kind == Kind::Service).unwrap();
    service["metadata"]["deletionTimestamp"] = json!("2026-11-21T00:00:00Z");
    let blocked = Some(key.clone());
    assert_eq!(plan_of(&model, &base), Plan { blocked, ..Plan::default() });
}

#[test]
fn hands_stay_off_what_is_no_longer_built_as_well() {
    let (mut model, base) = converged("postgresql", Wanted::Running);
    let ours = json!({labels::MANAGED_BY: labels::MANAGER, labels::INSTANCE: fixtures::UID});
    let kept = json!({"metadata": {"labels": ours, "annotations": {labels::RECONCILE: "disabled"}}});
    model.put(&key(Kind::ConfigMap, "stale"), kept);
    assert_eq!(plan_of(&model, &base), Plan::default());
}

#[test]
fn how_long_data_is_kept_is_noted_on_its_secret_too() {
    let (mut model, base) = converged("postgresql", Wanted::Running);
    let longer = with_spec(&base, |spec| spec.retention.keep_for = "90d".into());
    converge(&mut model, &longer, &mut std::iter::empty());
    for key in [
        Model::data_secret(&base),
        key(Kind::PersistentVolumeClaim, &names::data_volume(&base.data_id, "db", "data")),
    ] {
        assert_eq!(model.objects[&key]["metadata"]["annotations"][labels::KEEP_FOR], "90d", "{key:?}");
    }
}

#[test]
fn changed_credentials_replace_the_old_ones() {
    let (mut model, base) = converged("n8n", Wanted::Running);
    let before = model.told.clone().unwrap();
    let changed =
        with_spec(&base, |spec| _ = spec.parameters.insert("ownerEmail".into(), "new@example.com".into()));
    converge(&mut model, &changed, &mut std::iter::empty());
    let secrets: Vec<&Key> = model.objects.keys().filter(|key| key.kind == Kind::Secret).collect();
    let now = key(Kind::Secret, model.told.as_deref().unwrap());
    assert_ne!(now.name, before);
    assert_eq!(secrets, [&Model::data_secret(&base), &now], "the generated ones and the new credentials");
}

#[test]
fn a_volume_that_grew_never_shrinks() {
    let (mut model, base) = converged("postgresql", Wanted::Running);
    let claim = key(Kind::PersistentVolumeClaim, &names::data_volume(&base.data_id, "db", "data"));
    model.objects.get_mut(&claim).unwrap()["spec"]["resources"]["requests"]["storage"] = json!("6Gi");
    let fetched = model.fetch(&base);
    assert_eq!(fixtures::order(&fetched).unwrap_err().reason, "StorageTooSmall");
    // Nor by the builder, should validation ever let it through.
    let order = fixtures::order(&base).unwrap();
    let desired = build(&order, &plan::facts(&fetched), fixtures::settings());
    assert_eq!(desired.volumes[0].object["spec"]["resources"]["requests"]["storage"], "6Gi");
}

#[test]
fn a_lost_secret_is_never_made_anew() {
    let (mut model, base) = converged("postgresql", Wanted::Running);
    let desired = fixtures::round(&model.fetch(&base)).unwrap().0;
    let secret = Model::data_secret(&base);
    model.objects.remove(&secret);
    let lost = model.fetch(&base);
    assert_eq!(lost.secrets, Secrets::Lost);
    assert_eq!(fixtures::order(&lost).unwrap_err().reason, "SecretMissing");
    // Nor by the plan, should validation ever let it through.
    let plan = plan::plan(&desired, &lost);
    assert!(!plan.operations.iter().any(|one| matches!(one, Operation::Generate(_))), "{plan:?}");
}

#[test]
fn a_deleted_volume_is_not_taken_for_a_beginning() {
    let (mut model, base) = converged("postgresql", Wanted::Running);
    let before = model.objects[&Model::data_secret(&base)].clone();
    model.objects.retain(|key, _| key.kind != Kind::PersistentVolumeClaim);
    converge(&mut model, &base, &mut std::iter::empty());
    assert_eq!(model.objects[&Model::data_secret(&base)]["data"], before["data"]);
}
