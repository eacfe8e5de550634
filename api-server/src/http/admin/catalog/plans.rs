//! `GET /admin/plans`, `GET /admin/plans/{name}`, `GET /admin/plans/{name}/stats`

use super::{ProgressView, StatsView, progress};
use crate::{
    catalog::{shop::name, usage::Usage},
    cluster::{apply::Found, catalogue},
    http::{
        App,
        auth::Administrator,
        catalog::view::PriceView,
        etag,
        pagination::{List, Page, SortField},
        path::Name,
        problem::{self, Code, Problem, Result},
    },
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use crds::ServicePlan;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// A plan, as administrators see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminPlan)]
pub(super) struct PlanView {
    /// The `ServicePlan`'s name.
    #[schema(example = "ghost-small")]
    name: String,
    /// The app, by its slug.
    #[schema(example = "ghost")]
    service: String,
    /// What customers call it.
    #[schema(example = "Small")]
    display_name: String,
    /// For whom it is.
    description: String,
    /// What it includes, a short line each.
    features: Vec<String>,
    /// What it costs.
    price: PriceView,
    /// CPU of an instance, in millicores.
    #[schema(example = 1000)]
    cpu_millicores: i64,
    /// Memory of an instance, in bytes.
    #[schema(example = 1_073_741_824_i64)]
    memory_bytes: i64,
    /// Storage of an instance, in bytes.
    #[schema(example = 10_737_418_240_i64)]
    storage_bytes: i64,
    /// The storage class of its volumes; none: the operator's setting.
    #[schema(required = true)]
    storage_class_name: Option<String>,
    /// How many may be sold at once; none: as many as fit.
    #[schema(required = true, example = 200)]
    capacity: Option<i32>,
    /// Its place in lists, smallest first.
    #[schema(example = 310)]
    order: i32,
    /// Not sold any more; what runs by it goes on.
    retired: bool,
    /// How many instances have it, as the operator counted them.
    #[schema(example = 12)]
    instances: i64,
    /// When it was made.
    #[schema(required = true)]
    created_at: Option<Timestamp>,
    /// What the operator says of it as it is; none while it has said nothing.
    #[schema(required = true)]
    progress: Option<ProgressView>,
}

impl From<&ServicePlan> for PlanView {
    fn from(plan: &ServicePlan) -> Self {
        let (metadata, spec, status) = (&plan.metadata, &plan.spec, plan.status.as_ref());
        Self {
            name: name(metadata.name.as_ref()).to_owned(),
            service: spec.template_ref.clone(),
            display_name: spec.display_name.clone(),
            description: spec.description.clone(),
            features: spec.features.clone(),
            price: (&spec.price).into(),
            cpu_millicores: spec.resources.cpu.millis(),
            memory_bytes: spec.resources.memory.units(),
            storage_bytes: spec.resources.storage.units(),
            storage_class_name: spec.storage_class_name.clone(),
            capacity: spec.capacity,
            order: spec.order,
            retired: spec.retired,
            instances: status.map_or(0, |status| status.instances.into()),
            created_at: metadata.creation_timestamp.as_ref().map(|time| time.0),
            progress: progress(status.map(|status| &status.conditions[..]), metadata.generation),
        }
    }
}

impl From<Arc<ServicePlan>> for PlanView {
    fn from(plan: Arc<ServicePlan>) -> Self {
        (&*plan).into()
    }
}

pub(super) fn answer(found: &Found<ServicePlan>) -> Response {
    (etag::of(found.version()), Json(PlanView::from(&found.known))).into_response()
}

/// Which plans.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Of which service, by its slug.
    service: Option<String>,
    /// Whether they are sold no more.
    retired: Option<bool>,
}

/// By what plans are sorted.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum By {
    Name,
    Service,
    Order,
    Price,
}

impl SortField for By {
    const ALL: &'static [(&'static str, Self)] =
        &[("name", Self::Name), ("service", Self::Service), ("order", Self::Order), ("price", Self::Price)];
    const DESCENDING: bool = false;
}

fn key(by: By, plan: &ServicePlan) -> (String, Uuid) {
    let value = match by {
        By::Name => name(plan.metadata.name.as_ref()).to_owned(),
        By::Service => plan.spec.template_ref.clone(),
        By::Order => format!("{:06}", plan.spec.order),
        By::Price => format!("{:020}", plan.spec.price.amount),
    };
    (value, name(plan.metadata.uid.as_ref()).parse().unwrap_or_default())
}

/// Plans by filters, sorted, a page at a time; also those that are not sold.
#[utoipa::path(
    get,
    path = "/plans",
    tag = "catalog-admin",
    security(("access_token" = [])),
    params(List<Filter, By>),
    responses((status = 200, body = Page<PlanView>)),
)]
pub(super) async fn list(
    State(state): App,
    _admin: Administrator,
    list: List<Filter, By>,
) -> Result<Json<Page<PlanView>>> {
    let Filter { service, retired } = &list.filter;
    let plans = state.cluster.watches().plans.fresh()?;
    let wanted = plans.all().filter(|plan| {
        service.as_ref().is_none_or(|service| *service == plan.spec.template_ref)
            && retired.is_none_or(|retired| retired == plan.spec.retired)
    });
    let rows: Vec<Arc<ServicePlan>> = wanted.cloned().collect();
    Ok(Json(list.page_of_all(rows, |plan| key(list.sort, plan))))
}

/// A plan, read from the cluster.
#[utoipa::path(
    get,
    path = "/plans/{name}",
    tag = "catalog-admin",
    security(("access_token" = [])),
    params(("name" = String, Path, description = "The plan.")),
    responses(
        (status = 200, body = PlanView, headers(("ETag" = String, description = "The version, for `If-Match`."))),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such plan."),
    ),
)]
pub(super) async fn read(State(state): App, _admin: Administrator, Name(name): Name) -> Result<Response> {
    Ok(answer(&catalogue::read(&state.cluster, &name).await?))
}

/// What runs by a plan, of whom and in which phases.
#[utoipa::path(
    get,
    path = "/plans/{name}/stats",
    tag = "catalog-admin",
    security(("access_token" = [])),
    params(("name" = String, Path, description = "The plan.")),
    responses(
        (status = 200, body = StatsView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such plan."),
    ),
)]
pub(super) async fn stats(
    State(state): App,
    _admin: Administrator,
    Name(name): Name,
) -> Result<Json<StatsView>> {
    let plans = state.cluster.watches().plans.fresh()?;
    plans.named(&name).ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(Json(Usage::of_plan(&state, &name)?.into()))
}
