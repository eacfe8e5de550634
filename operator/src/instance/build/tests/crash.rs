//! Data that is taken up again, and whole lives that are interrupted anywhere: the end is always the same.

use super::{
    model::Model,
    plan::{converge, converged, plan_of, with_spec},
};
use crate::{
    instance::{
        fetch::Fetched,
        fixtures::{self, APPS, Wanted},
        plan::Operation,
    },
    kinds::Kind,
    observed::Key,
};
use crds::{labels, names, template::Component};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

/// Data of an earlier instance, let go.
fn released(app: &str) -> (Model, Fetched) {
    let (mut model, base) = converged(app, Wanted::Running);
    model.objects.retain(|_, object| object["metadata"]["labels"].get(labels::DATA).is_some());
    for object in model.objects.values_mut() {
        let metadata = &mut object["metadata"];
        let all = metadata["labels"].as_object_mut().unwrap();
        all.remove(labels::INSTANCE);
        all.remove(labels::INSTANCE_NAME);
        metadata["annotations"][labels::RELEASED_AT] = json!("2026-11-01T00:00:00Z");
        metadata["annotations"][labels::KEEP_UNTIL] = json!("2026-11-15T00:00:00Z");
    }
    model.told = None;
    let again = with_spec(&base, |spec| spec.restore_from = Some(base.data_id.clone()));
    (model, again)
}

#[test]
fn data_that_is_being_destroyed_is_not_taken_up() {
    let (mut model, base) = released("wordpress");
    let secret = model.objects.get_mut(&Model::data_secret(&base)).unwrap();
    secret["metadata"]["annotations"][labels::PURGE_BEGUN_AT] = json!("2026-11-16T00:00:00Z");
    let refused = fixtures::round(&model.fetch(&base)).unwrap_err();
    assert_eq!((refused.reason, refused.waiting), ("RetainedDataPurged", false));
}

#[test]
fn data_with_a_volume_that_the_template_no_longer_names_is_not_taken_up() {
    for change in [
        |component: &mut Component| component.volumes[0].name = "renamed".to_owned(),
        |component: &mut Component| component.volumes.clear(),
    ] {
        let (model, base) = released("wordpress");
        let mut template = (**base.template.as_ref().unwrap()).clone();
        change(&mut template.spec.components[1]);
        let edited = Fetched { template: Some(Arc::new(template)), ..base.clone() };
        let refused = fixtures::round(&model.fetch(&edited)).unwrap_err();
        assert_eq!((refused.reason, refused.waiting), ("VolumeNotInTemplate", false));
        let lost = names::data_volume(&base.data_id, "app", "html");
        assert!(
            refused.message.contains(&lost) && refused.message.contains("restoreFrom"),
            "{}",
            refused.message
        );
        assert!(!plan_of(&model, &base).is_empty(), "as it was, it is taken up");
    }
}

/// The same, with the note of its volumes on its Secret.
fn noted(app: &str) -> (Model, Fetched) {
    let (mut model, base) = released(app);
    let claims = model.objects.keys().filter(|key| key.kind == Kind::PersistentVolumeClaim);
    let names: Vec<String> = claims.map(|key| key.name.clone()).collect();
    let secret = model.objects.get_mut(&Model::data_secret(&base)).unwrap();
    secret["metadata"]["annotations"][labels::VOLUMES] = json!(names.join(","));
    (model, base)
}

#[test]
fn data_that_has_lost_a_volume_since_its_release_is_not_taken_up() {
    let (model, base) = noted("wordpress");
    for (component, volume) in [("app", "html"), ("db", "data")] {
        let lost = names::data_volume(&base.data_id, component, volume);
        let mut model = model.clone();
        model.objects.retain(|key, _| key.name != lost);
        let refused = fixtures::round(&model.fetch(&base)).unwrap_err();
        assert_eq!((refused.reason, refused.waiting), ("VolumeMissing", false));
        assert!(refused.message.contains(&lost), "{}", refused.message);
    }
    // Data released before there was such a note is taken as it is.
    let (mut model, base) = released("wordpress");
    model.objects.retain(|key, _| key.name != names::data_volume(&base.data_id, "app", "html"));
    assert!(!plan_of(&model, &base).is_empty());
}

#[test]
fn the_note_of_its_volumes_goes_when_data_is_taken_up_whole() {
    let (mut model, base) = noted("wordpress");
    converge(&mut model, &base, &mut std::iter::empty());
    assert!(!model.objects[&Model::data_secret(&base)].to_string().contains(labels::VOLUMES));
}

#[test]
fn who_takes_data_up_takes_the_notes_of_an_order_about_it_off() {
    let (mut model, base) = released("wordpress");
    for object in model.objects.values_mut() {
        object["metadata"]["annotations"][labels::PURGE_ORDERED_AT] = json!("2026-11-02T00:00:00Z");
        object["metadata"]["annotations"][labels::PURGE_ORDER_VOID] = json!("true");
    }
    converge(&mut model, &base, &mut std::iter::empty());
    let text = serde_json::to_string(&model.objects.values().collect::<Vec<_>>()).unwrap();
    assert!(!text.contains("nakhoda.dev/purge-"), "a later release would end by an order about this one");
}

#[test]
fn released_data_is_claimed_before_anything_else() {
    let (mut model, base) = released("wordpress");
    let plan = plan_of(&model, &base);
    let claim = |one: &Operation| match one {
        Operation::Note { key, patch } => (
            key.kind,
            patch["metadata"]["uid"].is_string(),
            patch["metadata"].get("resourceVersion").is_some(),
        ),
        other => panic!("{other:?}"),
    };
    let claims: Vec<(Kind, bool, bool)> = plan.operations.iter().map(claim).collect();
    let volume = (Kind::PersistentVolumeClaim, true, true);
    // Of two that want the same the version decides; the Secret of a volume follows it.
    assert_eq!(claims.iter().skip(1).copied().collect::<Vec<_>>(), [volume, volume]);
    assert_eq!((claims[0].0, claims[0].1), (Kind::Secret, true));
    assert!(plan.again);
    let before = model.objects[&Model::data_secret(&base)]["data"].clone();
    converge(&mut model, &base, &mut std::iter::empty());
    assert_eq!(model.objects[&Model::data_secret(&base)]["data"], before);
    let text = serde_json::to_string(&model.objects.values().collect::<Vec<_>>()).unwrap();
    assert!(!text.contains(labels::RELEASED_AT), "the mark of release is gone");
}

/// A life: made, changed by its owner, stopped or held, and running again.
fn live(app: &str, restored: bool, crashes: &[usize]) -> Model {
    let (mut model, base) =
        if restored { released(app) } else { (Model::default(), fixtures::fetched(app, Wanted::Running)) };
    let mut crashes = crashes.iter().copied();
    let secrets =
        |model: &Model| model.objects.get(&Model::data_secret(&base)).map(|secret| secret["data"].clone());
    let mut first = secrets(&model);
    for wanted in [Wanted::Running, Wanted::Stopped, Wanted::Running, Wanted::Suspended, Wanted::Running] {
        let phase = with_spec(&base, |spec| {
            fixtures::want(spec, wanted);
            if wanted != Wanted::Running {
                match app {
                    "ghost" => spec.restarted_at = Some(Time(fixtures::now())),
                    _ => _ = spec.parameters.insert("timezone".into(), "UTC".into()),
                }
                // What the customer is shown changes with it.
                if app == "n8n" {
                    spec.parameters.insert("ownerEmail".into(), "new@example.com".into());
                }
            }
        });
        converge(&mut model, &phase, &mut crashes);
        assert_eq!(
            *first.get_or_insert_with(|| secrets(&model).unwrap()),
            secrets(&model).unwrap(),
            "a password changed"
        );
    }
    model
}

/// Everything there is, masked.
type State = BTreeMap<Key, Value>;

/// How each of these lives ends undisturbed.
static UNDISTURBED: LazyLock<BTreeMap<(&str, bool), State>> = LazyLock::new(|| {
    let all = APPS.iter().flat_map(|app| [(*app, false), (*app, true)]);
    all.map(|(app, restored)| ((app, restored), live(app, restored, &[]).masked())).collect()
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_crash_after_any_operation_leads_to_the_same_end(
        app in prop::sample::select(APPS.to_vec()),
        restored in prop::bool::ANY,
        crashes in prop::collection::vec(0usize..9, 1..24),
    ) {
        prop_assert_eq!(&live(app, restored, &crashes).masked(), &UNDISTURBED[&(app, restored)]);
    }
}

#[test]
fn marks_of_release_are_taken_off_the_secret_of_volumes_that_are_ours() {
    let (mut model, base) = released("postgresql");
    // The claim of the Secret was refused once, and its volume was claimed all the same.
    let plan = plan_of(&model, &base);
    for claim in plan.operations.iter().skip(1) {
        model.execute(claim);
    }
    let healing = plan_of(&model, &base);
    let Some(Operation::Note { key, patch }) = healing.operations.first() else { panic!("{healing:?}") };
    assert_eq!(
        (key.kind, &patch["metadata"]["annotations"][labels::KEEP_UNTIL]),
        (Kind::Secret, &Value::Null)
    );
    converge(&mut model, &base, &mut std::iter::empty());
    let secret = &model.objects[&Model::data_secret(&base)];
    assert_eq!(secret["metadata"]["labels"][labels::INSTANCE], fixtures::UID);
    assert!(!secret.to_string().contains(labels::RELEASED_AT));
}
