//! The catalogue, as administrators change it.

mod categories;
mod plans;
mod plans_write;
mod services;
mod services_write;

use crate::{
    catalog::usage::Usage,
    http::{
        changes::{Changes, Given, snake_case},
        problem::FieldError,
    },
    state::State,
};
use crds::conditions::{self, Condition};
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<State>> {
    OpenApiRouter::new()
        .routes(routes!(categories::list, categories::create))
        .routes(routes!(categories::read, categories::change, categories::delete))
        .routes(routes!(services::list, services_write::create))
        .routes(routes!(services::read, services_write::change, services_write::delete))
        .routes(routes!(services::stats))
        .routes(routes!(plans::list, plans_write::create))
        .routes(routes!(plans::read, plans_write::change, plans_write::delete))
        .routes(routes!(plans::stats))
}

/// What the operator says of a resource.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CatalogProgress)]
struct ProgressView {
    /// Whether it can be made.
    ready: bool,
    /// In one word, constant.
    #[schema(example = "Valid")]
    reason: String,
    /// For people.
    message: String,
}

/// What the operator says of that generation; none while it has said nothing.
fn progress(conditions: Option<&[Condition]>, generation: Option<i64>) -> Option<ProgressView> {
    let ready = conditions::find(conditions?, conditions::READY)?;
    (ready.observed_generation == generation).then(|| ProgressView {
        ready: ready.status == "True",
        reason: ready.reason.clone(),
        message: ready.message.clone(),
    })
}

/// What runs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CatalogStats)]
struct StatsView {
    /// How many instances there are.
    #[schema(example = 12)]
    instances: i64,
    /// How many tenants have any.
    #[schema(example = 9)]
    tenants: i64,
    /// How many in each phase.
    #[schema(example = json!({"RUNNING": 11, "STOPPED": 1}))]
    by_phase: BTreeMap<&'static str, i64>,
    /// How many by each plan.
    #[schema(example = json!({"ghost-small": 12}))]
    by_plan: BTreeMap<String, i64>,
}

impl From<Usage> for StatsView {
    fn from(usage: Usage) -> Self {
        let Usage { instances, tenants, by_phase, by_plan } = usage;
        Self { instances, tenants, by_phase, by_plan }
    }
}

fn wrong(field: &str, message: &str) -> FieldError {
    FieldError { field: field.to_owned(), message: message.to_owned() }
}

/// What keeps something from being deleted, in a sentence.
fn in_use(usage: &Usage) -> Option<String> {
    let Usage { instances, tenants, .. } = usage;
    (*instances > 0).then(|| format!("{instances} instances of {tenants} tenants have it"))
}
