//! A reconcile in the model that anything may disturb: killed, overtaken, answered by nobody, or working from what was true a
//! while ago. What must hold at every moment is checked after every operation.

use super::model::{self, Model};
use crate::{
    instance::{build, fetch::Fetched, fixtures, plan, plan::Operation, power, validate},
    kinds::Kind,
    observed::{Child, Key, State},
};
use crds::{Quantity, labels};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How many reconciles ago a cache may be.
const MEMORY: usize = 8;

/// What happens to a reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing.
    None,
    /// It is killed before its nth operation, at once or having done so many.
    Crash(usize),
    /// The nth operation is done, and its answer is lost.
    LostReply(usize),
    /// A controller writes to the object of the nth operation just before.
    Overtaken(usize),
    /// Somebody changes a field of ours in the object of the nth operation just before.
    Drift(usize),
    /// The caches of children are as they were so many reconciles ago.
    Stale(usize),
    /// The instance and its plan, too, are as they were.
    StaleOrder(usize),
}

/// What was ordered at some time.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) base: Fetched,
    pub(super) now: Timestamp,
}

/// A cluster, what was ordered, and how both were.
pub(super) struct World {
    pub(super) model: Model,
    pub(super) order: Order,
    /// How it was before each of the last reconciles.
    past: Vec<(Model, Order)>,
    /// What was seen of the data: the Secret's values, and of each volume its uid and size.
    passwords: Option<Value>,
    volumes: BTreeMap<Key, (Value, i64)>,
}

impl World {
    pub(super) fn new(order: Order) -> Self {
        let (model, past) = (Model::default(), Vec::new());
        Self { model, order, past, passwords: None, volumes: BTreeMap::new() }
    }

    /// One reconcile; whether there was nothing left to do, and everything went well.
    pub(super) fn reconcile(&mut self, fault: Fault) -> bool {
        if self.past.len() > MEMORY {
            self.past.remove(0);
        }
        self.past.push((self.model.clone(), self.order.clone()));
        let behind = match fault {
            Fault::Stale(by) | Fault::StaleOrder(by) => self.past.len().saturating_sub(by + 1),
            _ => self.past.len() - 1,
        };
        let (seen, order) = &self.past[behind];
        let order = if matches!(fault, Fault::StaleOrder(_)) { order } else { &self.order };
        // Secrets are read live, and what was said of the instance is the operator's own.
        let mut fetched = self.model.fetch(&order.base);
        let cached = seen.fetch(&order.base);
        (fetched.children, fetched.volumes) = (cached.children, cached.volumes);
        let now = order.now;
        let Ok(validated) = validate::validate(&fetched, fixtures::settings(), now) else {
            let unsubscribed = fixtures::settings().unsubscribed;
            if !power::decide(&fetched.instance.spec, unsubscribed, now).0.is_on() {
                self.switch_off(&fetched);
            }
            return false;
        };
        let desired = build::build(&validated, &plan::facts(&fetched), fixtures::settings());
        let plan = plan::plan(&desired, &fetched);
        let fresh = behind + 1 == self.past.len();
        for (number, operation) in plan.operations.iter().enumerate() {
            if fault == Fault::Crash(number) || !self.perform(operation, fresh, fault, number) {
                return false;
            }
            if fault == Fault::LostReply(number) {
                return false;
            }
        }
        // The status is written last.
        self.model.told = desired.credentials.map(|object| object.key.name).or(self.model.told.take());
        plan.is_empty() && fresh
    }

    fn perform(&mut self, operation: &Operation, fresh: bool, fault: Fault, number: usize) -> bool {
        let key = match operation {
            Operation::Generate(one) => &one.key,
            Operation::Create(object) | Operation::Apply { object, .. } => &object.key,
            Operation::Note { key, .. } | Operation::Delete { key, .. } => key,
        };
        if self.model.objects.contains_key(key) {
            if fault == Fault::Overtaken(number) {
                self.model.touch(key);
            }
            // The labels of data say whose it is: whoever changes them has taken it away.
            if fault == Fault::Drift(number)
                && !matches!(key.kind, Kind::Secret | Kind::PersistentVolumeClaim)
            {
                let metadata = &mut self.model.objects.get_mut(key).unwrap()["metadata"];
                metadata["labels"][labels::APP_NAME] = json!("changed");
                self.model.touch(key);
            }
        }
        if let (true, Operation::Apply { object, .. }) = (fresh, operation) {
            self.model.check_order(&object.key, &object.object);
        }
        let done = self.model.attempt(operation);
        self.check_data();
        done
    }

    /// What can't be built is stopped where it stands.
    fn switch_off(&mut self, fetched: &Fetched) {
        for child in &fetched.children {
            if let (State::Workload { replicas: 1.., .. }, Some(live)) =
                (&child.state, self.model.objects.get_mut(&child.key))
                && live["metadata"]["uid"] == json!(child.uid)
            {
                let generation = live["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
                live["spec"]["replicas"] = json!(0);
                live["metadata"]["generation"] = json!(generation);
                self.model.touch(&child.key);
            }
        }
    }

    /// No password ever changes; no volume is ever lost, exchanged or made smaller.
    fn check_data(&mut self) {
        let secret = self.model.objects.get(&Model::data_secret(&self.order.base));
        assert!(self.passwords.is_none() || secret.is_some(), "the passwords are gone");
        if let Some(secret) = secret {
            assert_eq!(*self.passwords.get_or_insert_with(|| secret["data"].clone()), secret["data"]);
        }
        for (key, (uid, size)) in &self.volumes {
            let live = self.model.objects.get(key).unwrap_or_else(|| panic!("{key:?} is gone"));
            assert_eq!((&live["metadata"]["uid"], size_of(live) >= *size), (uid, true), "{key:?}");
        }
        for (key, live) in
            self.model.objects.iter().filter(|(key, _)| key.kind == Kind::PersistentVolumeClaim)
        {
            self.volumes.insert(key.clone(), (live["metadata"]["uid"].clone(), size_of(live)));
        }
    }
}

fn size_of(claim: &Value) -> i64 {
    claim["spec"]["resources"]["requests"]["storage"].as_str().unwrap().parse::<Quantity>().unwrap().units()
}

impl Model {
    /// Does one operation as the executor would: with preconditions, and once more where only others' fields have changed
    /// since it was planned. Whether it was done.
    fn attempt(&mut self, operation: &Operation) -> bool {
        let uid = |live: &Value| live["metadata"]["uid"].clone();
        match operation {
            Operation::Apply { object, seen } => {
                let live = self.objects.get(&object.key);
                let same = match (seen, live) {
                    (Some(seen), Some(live)) => {
                        let live = Child::reduce(object.key.kind, live).unwrap();
                        let ours = live.hash == seen.hash && live.digest == seen.digest;
                        live.uid == seen.uid && (live.version == seen.version || ours)
                    }
                    // What was not seen is looked for, and taken for what it is.
                    (None, _) => true,
                    (Some(_), None) => false,
                };
                // The API server lets no claim shrink; what it refuses for good does not end a reconcile.
                let shrinks = object.key.kind == Kind::PersistentVolumeClaim
                    && live.is_some_and(|live| size_of(live) > size_of(&object.object));
                if same && !shrinks {
                    self.put(&object.key, object.object.clone());
                }
                same
            }
            Operation::Note { key, patch } => {
                let Some(live) = self.objects.get_mut(key) else { return false };
                let version = patch["metadata"].get("resourceVersion");
                if patch["metadata"]["uid"] != uid(live)
                    || version.is_some_and(|version| *version != live["metadata"]["resourceVersion"])
                {
                    return false;
                }
                model::merge(live, patch);
                self.touch(key);
                true
            }
            Operation::Delete { key, uid: wanted } => match self.objects.get(key) {
                Some(live) if uid(live) != json!(wanted) => false,
                Some(live) => {
                    assert!(
                        live["metadata"]["labels"].get(labels::DATA).is_none(),
                        "data was deleted: {key:?}"
                    );
                    self.objects.remove(key);
                    true
                }
                None => true,
            },
            Operation::Generate(_) | Operation::Create(_) => {
                self.execute(operation);
                true
            }
        }
    }
}
