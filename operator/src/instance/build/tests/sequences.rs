//! Lives made up at random: what people, billing and the clock do to an instance, in any order, with everything that can go
//! wrong in between. In the end it is as if its last order had been its first.

use super::{
    disturbed::{Fault, Order, World},
    model::Model,
};
use crate::{
    instance::{
        fetch::{Fetched, Place},
        fixtures::{self, APPS, Wanted},
        power,
    },
    kinds::Kind,
    observed::Key,
};
use crds::{
    ServicePlan, ServiceTemplate,
    instance::{Entitlement, Hold, Holds, PowerState, ServiceInstanceSpec},
    labels,
    template::{Parameter, ParameterType},
};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::{
    prelude::*,
    test_runner::{RngSeed, TestRunner},
};
use serde_json::{Value, json};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

/// How many lives are made up, always the same ones; and how many where every case is wanted, others each time.
const LIVES: u32 = 100;
const PROOF: u32 = 1_000;
/// The most reconciles until an undisturbed end.
const BOUND: usize = 60;

/// A new instance of each app, and the plans that the app is sold by.
static CATALOGUE: LazyLock<BTreeMap<&str, (Fetched, Vec<ServicePlan>)>> = LazyLock::new(|| {
    APPS.iter().map(|app| (*app, (fixtures::fetched(app, Wanted::Running), fixtures::app(app).1))).collect()
});

/// Who may hold an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Billing,
    Admin,
    Abuse,
}

/// What somebody does, or time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Hold(Who),
    Release(Who),
    Stop,
    Start,
    /// Another value for one of the parameters that may change.
    Edit(usize, usize),
    /// A parameter that there is not; the next edit takes it back.
    Mistake,
    /// A plan with at least as much storage.
    Upgrade(usize),
    Restart,
    /// How long its data is kept, in days.
    Keep(u8),
    /// Paid for so many days from now on.
    Pay(u8),
    /// So many days pass.
    Pass(u8),
}

/// A step, and the reconciles that follow it: what happens to each, and whether the other controllers have done their part
/// before the next one.
type Chapter = (Step, Vec<(Fault, bool)>);

fn steps() -> impl Strategy<Value = Step> {
    let who = || prop::sample::select(vec![Who::Billing, Who::Admin, Who::Abuse]);
    prop_oneof![
        2 => who().prop_map(Step::Hold),
        3 => who().prop_map(Step::Release),
        2 => Just(Step::Stop),
        3 => Just(Step::Start),
        3 => (0..9usize, 0..9usize).prop_map(|(which, value)| Step::Edit(which, value)),
        1 => Just(Step::Mistake),
        2 => (0..4usize).prop_map(Step::Upgrade),
        2 => Just(Step::Restart),
        1 => (1..60u8).prop_map(Step::Keep),
        2 => (1..60u8).prop_map(Step::Pay),
        2 => (1..40u8).prop_map(Step::Pass),
    ]
}

fn faults() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => Just(Fault::None),
        2 => (0..12usize).prop_map(Fault::Crash),
        2 => (0..12usize).prop_map(Fault::LostReply),
        1 => (0..12usize).prop_map(Fault::Overtaken),
        1 => (0..12usize).prop_map(Fault::Drift),
        2 => (1..8usize).prop_map(Fault::Stale),
        1 => (1..8usize).prop_map(Fault::StaleOrder),
    ]
}

fn lives() -> impl Strategy<Value = (&'static str, Vec<Chapter>)> {
    let reconciles = || prop::collection::vec((faults(), prop::bool::weighted(0.8)), 0..6);
    let chapters = prop::collection::vec((steps(), reconciles()), 2..9);
    (prop::sample::select(APPS.to_vec()), chapters)
}

/// One of the template's parameters that may change, with a value that it may have.
fn edit(template: &ServiceTemplate, spec: &mut ServiceInstanceSpec, which: usize, value: usize) {
    let may_change: Vec<&Parameter> = template.spec.parameters.iter().filter(|one| !one.immutable).collect();
    let Some(parameter) = may_change.get(which % may_change.len().max(1)) else { return };
    let number = i64::try_from(value).unwrap();
    let chosen = match parameter.type_ {
        ParameterType::Enum => parameter.values[value % parameter.values.len()].clone(),
        ParameterType::Boolean => value.is_multiple_of(2).to_string(),
        ParameterType::Integer => {
            let (least, most) = (parameter.minimum.unwrap_or(0), parameter.maximum.unwrap_or(100));
            (least + number % (most - least + 1)).to_string()
        }
        ParameterType::String if parameter.name.to_lowercase().contains("email") => {
            format!("owner{value}@example.com")
        }
        ParameterType::String => format!("another{value}"),
    };
    spec.parameters.insert(parameter.name.clone(), chosen);
}

/// Whatever the step does to the order.
fn take(order: &mut Order, step: Step) {
    let (days, now) = (|days: u8| SignedDuration::from_hours(24 * i64::from(days)), order.now);
    let template = order.base.template.clone().unwrap();
    let spec = &mut Arc::make_mut(&mut order.base.instance).spec;
    let holds = spec.holds.get_or_insert_default();
    let held = Hold { reason: "Something is open".into(), since: Time(now) };
    match step {
        Step::Hold(who) => *hold(holds, who) = Some(held),
        Step::Release(who) => *hold(holds, who) = None,
        Step::Stop => spec.power_state = PowerState::Stopped,
        Step::Start => spec.power_state = PowerState::Running,
        Step::Edit(which, value) => {
            spec.parameters.remove("mistaken");
            edit(&template, spec, which, value);
        }
        Step::Mistake => _ = spec.parameters.insert("mistaken".into(), "x".into()),
        Step::Upgrade(which) => upgrade(order, which),
        Step::Restart => spec.restarted_at = Some(Time(now)),
        Step::Keep(days) => spec.retention.keep_for = format!("{days}d"),
        Step::Pay(more) => {
            let until = Some(Time(now + days(more)));
            spec.entitlement = Some(Entitlement { paid_until: until.clone(), suspend_at: until });
        }
        Step::Pass(more) => order.now = now + days(more),
    }
}

fn hold(holds: &mut Holds, who: Who) -> &mut Option<Hold> {
    match who {
        Who::Billing => &mut holds.billing,
        Who::Admin => &mut holds.admin,
        Who::Abuse => &mut holds.abuse,
    }
}

fn upgrade(order: &mut Order, which: usize) {
    let Some(template) = order.base.template.as_ref().and_then(|one| one.metadata.name.clone()) else {
        return;
    };
    let storage = order.base.plan.as_ref().unwrap().spec.resources.storage;
    let mut plans: Vec<ServicePlan> = CATALOGUE[template.as_str()].1.clone();
    plans.retain(|plan| plan.spec.resources.storage >= storage);
    let plan = plans.swap_remove(which % plans.len());
    let name = plan.metadata.name.clone().unwrap();
    Arc::make_mut(&mut order.base.instance).spec.plan_ref.clone_from(&name);
    if let Place::Admitted(admitted) = &mut order.base.place {
        admitted.plan.clone_from(&name);
    }
    order.base.plan_name = name;
    order.base.plan = Some(Arc::new(plan));
}

fn converge(world: &mut World) {
    for _ in 0..BOUND {
        if world.reconcile(Fault::None) && !world.model.settle() {
            return;
        }
        world.model.settle();
    }
    panic!("no end after {BOUND} reconciles");
}

/// Credentials that were made by a reconcile which ended before its status named them, and that another order does not want:
/// nobody may list Secrets, so they stay for as long as the instance, and go with it.
fn is_left_over(model: &Model, key: &Key, object: &Value) -> bool {
    let data = object["metadata"]["labels"].get(labels::DATA).is_some();
    let left = key.kind == Kind::Secret && !data && model.told.as_ref() != Some(&key.name);
    assert!(
        !left || object["metadata"]["ownerReferences"][0]["uid"] == fixtures::UID,
        "it goes with the instance"
    );
    left
}

/// Everything there is but what is made up anew each time: passwords, and the name of what is shown of them.
fn masked(model: &Model, runs: bool) -> BTreeMap<Key, Value> {
    let hide = |(mut key, mut object): (Key, Value)| {
        if key.kind == Kind::PersistentVolumeClaim && !runs {
            (object["spec"]["resources"], object["status"]["capacity"]) = (Value::Null, Value::Null);
            object["metadata"]["annotations"][labels::HASH] = json!("…");
        }
        if key.kind == Kind::Secret {
            let values = object["data"].as_object().into_iter().flatten();
            object["data"] = values.map(|(name, _)| name.clone()).collect();
            if object["metadata"]["labels"].get(labels::DATA).is_none() {
                key.name = key.name.rsplit_once('-').map(|(name, _)| name.to_owned()).unwrap();
                object["metadata"]["name"] = json!(key.name);
            }
            object["metadata"]["annotations"][labels::HASH] = json!("…");
        }
        (key, object)
    };
    // An init job stays as it was when it ran, and nobody is let in before: where the app is off, that is another history.
    let of_history = |key: &Key| {
        let entrance = key.kind == Kind::Ingress || key.name.contains("-entrance-");
        key.kind == Kind::Job || (!runs && entrance)
    };
    let objects = model.masked().into_iter();
    let compared = objects.filter(|(key, object)| !of_history(key) && !is_left_over(model, key, object));
    compared.map(hide).collect()
}

/// How often what was tried.
type Count = BTreeMap<String, usize>;

fn live(app: &str, chapters: &[Chapter], count: &mut Count) -> Result<(), TestCaseError> {
    let mut counted = |what: String| {
        let word = what.split('(').next().unwrap_or_default().to_owned();
        *count.entry(word).or_default() += 1;
    };
    let order = Order { base: CATALOGUE[app].0.clone(), now: fixtures::now() };
    let mut world = World::new(order);
    for (step, reconciles) in chapters {
        counted(format!("{step:?}"));
        take(&mut world.order, *step);
        for (fault, settles) in reconciles {
            counted(format!("{fault:?}"));
            world.reconcile(*fault);
            if *settles {
                world.model.settle();
            }
        }
    }
    Arc::make_mut(&mut world.order.base.instance).spec.parameters.remove("mistaken");
    converge(&mut world);
    is_as_fresh(&world)?;
    let left =
        world.model.objects.iter().filter(|(key, object)| is_left_over(&world.model, key, object)).count();
    *count.entry("credentials left over".to_owned()).or_default() += left;
    // And once more where everything shows: paid for, held by nobody, started.
    let spec = &mut Arc::make_mut(&mut world.order.base.instance).spec;
    (spec.holds, spec.power_state, spec.entitlement) =
        (None, PowerState::Running, Some(Entitlement::default()));
    converge(&mut world);
    is_as_fresh(&world)
}

/// Compares with an instance that was ordered so from the first. A volume grows only while it is in use: where an instance is
/// off, its size is not compared.
fn is_as_fresh(world: &World) -> Result<(), TestCaseError> {
    let mut fresh = World::new(world.order.clone());
    converge(&mut fresh);
    let runs =
        power::decide(&world.order.base.instance.spec, fixtures::settings().unsubscribed, world.order.now)
            .0
            .is_on();
    let (found, wanted) = (masked(&world.model, runs), masked(&fresh.model, runs));
    let keys = |state: &BTreeMap<Key, Value>| state.keys().cloned().collect::<Vec<_>>();
    prop_assert_eq!(keys(&found), keys(&wanted));
    for (key, object) in &found {
        prop_assert_eq!(object, &wanted[key], "{:?}", key);
    }
    Ok(())
}

#[test]
fn whatever_happened_the_end_is_as_if_the_last_order_had_been_the_first() {
    let proves = std::env::var("NAKHODA_PROVE").is_ok_and(|value| value == "1");
    let config = ProptestConfig {
        cases: if proves { PROOF } else { LIVES },
        rng_seed: if proves { RngSeed::Random } else { RngSeed::Fixed(20_261_121) },
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let cases = config.cases;
    let count = RefCell::new(Count::new());
    let done = TestRunner::new(config)
        .run(&lives(), |(app, chapters)| live(app, &chapters, &mut count.borrow_mut()));
    println!("{cases} lives of {APPS:?}; how often what happened: {:?}", count.borrow());
    if let Err(error) = done {
        panic!("{error}");
    }
}
