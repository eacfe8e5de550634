//! Every object of the shipped apps as a whole, and the way to them.

mod model;
mod plan;

use crate::{
    instance::{
        build::{self, Desired, Facts},
        fixtures::{self, APPS, Wanted},
    },
    kinds::Kind,
    template::validate,
};
use crds::{ServiceTemplate, labels};
use serde_json::{Value, json};

fn build(app: &str, wanted: Wanted, facts: impl Fn(&ServiceTemplate) -> Facts) -> Desired {
    let fetched = fixtures::fetched(app, wanted);
    let order = fixtures::order(&fetched).unwrap();
    build::build(&order, &facts(&order.template), &fixtures::settings())
}

/// Every object, in the order in which they are made; the hash says nothing that the rest does not.
fn objects(desired: &Desired) -> Vec<Value> {
    let applied = desired.volumes.iter().chain(&desired.objects).chain(&desired.credentials);
    let mut all = vec![desired.secret.object.clone()];
    all.extend(applied.map(|object| {
        let mut whole = object.object.clone();
        whole["metadata"]["annotations"][labels::HASH] = json!("…");
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
fn postgresql_running() {
    snapshot("postgresql-running", &build("postgresql", Wanted::Running, fixtures::all_up));
}

#[test]
fn postgresql_stopped() {
    snapshot("postgresql-stopped", &build("postgresql", Wanted::Stopped, fixtures::all_down));
}

#[test]
fn postgresql_suspended() {
    snapshot("postgresql-suspended", &build("postgresql", Wanted::Suspended, fixtures::all_down));
}

#[test]
fn wordpress_running() {
    snapshot("wordpress-running", &build("wordpress", Wanted::Running, fixtures::all_up));
}

#[test]
fn n8n_running() {
    snapshot("n8n-running", &build("n8n", Wanted::Running, fixtures::all_up));
}
