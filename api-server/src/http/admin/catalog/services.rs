//! `GET /admin/services`, `GET /admin/services/{name}`, `GET /admin/services/{name}/stats`

use super::{ProgressView, StatsView, progress};
use crate::{
    catalog::{shop::name, usage::Usage},
    cluster::{apply::Found, catalogue},
    http::{
        App,
        auth::Administrator,
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
use crds::ServiceTemplate;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// The fields of a spec that say what an app is made of, as the resource has them.
pub(super) const DEFINITION: [&str; 7] =
    ["parameters", "secrets", "files", "components", "initJobs", "expose", "credentials"];

/// An app, as administrators see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminService)]
pub(super) struct ServiceView {
    /// The `ServiceTemplate`'s name, which is the slug.
    #[schema(example = "ghost")]
    name: String,
    /// What customers call it.
    #[schema(example = "Ghost")]
    display_name: String,
    /// What it is for.
    description: String,
    /// Name of the picture that a frontend shows, or an https address of it.
    #[schema(required = true)]
    icon: Option<String>,
    /// The category that it is listed in, by its slug.
    #[schema(example = "websites")]
    category: String,
    /// The version of the app.
    #[schema(example = "6.59.0")]
    version: String,
    /// What its licence asks of whoever sells it.
    #[schema(required = true)]
    licence_note: Option<String>,
    /// Not sold and not made anew; what runs goes on.
    disabled: bool,
    /// How many plans sell it, as the operator counted them.
    #[schema(example = 3)]
    plans: i64,
    /// How many instances are made from it, as the operator counted them.
    #[schema(example = 12)]
    instances: i64,
    /// When it was made.
    #[schema(required = true)]
    created_at: Option<Timestamp>,
    /// What the operator says of it as it is; none while it has said nothing.
    #[schema(required = true)]
    progress: Option<ProgressView>,
}

/// An app with what it is made of.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminServiceDetail)]
pub(super) struct ServiceDetailView {
    #[serde(flatten)]
    service: ServiceView,
    /// What it is made of, as the resource has it: `kubectl explain servicetemplate.spec` tells of `parameters`, `secrets`, `files`,
    /// `components`, `initJobs`, `expose` and `credentials`.
    #[schema(value_type = Object)]
    definition: Map<String, Value>,
}

impl From<&ServiceTemplate> for ServiceView {
    fn from(template: &ServiceTemplate) -> Self {
        let (metadata, spec, status) = (&template.metadata, &template.spec, template.status.as_ref());
        Self {
            name: name(metadata.name.as_ref()).to_owned(),
            display_name: spec.display_name.clone(),
            description: spec.description.clone(),
            icon: spec.icon.clone(),
            category: spec.category.clone(),
            version: spec.version.clone(),
            licence_note: spec.licence_note.clone(),
            disabled: spec.disabled,
            plans: status.map_or(0, |status| status.plans.into()),
            instances: status.map_or(0, |status| status.instances.into()),
            created_at: metadata.creation_timestamp.as_ref().map(|time| time.0),
            progress: progress(status.map(|status| &status.conditions[..]), metadata.generation),
        }
    }
}

impl From<Arc<ServiceTemplate>> for ServiceView {
    fn from(template: Arc<ServiceTemplate>) -> Self {
        (&*template).into()
    }
}

impl From<&Found<ServiceTemplate>> for ServiceDetailView {
    fn from(found: &Found<ServiceTemplate>) -> Self {
        let part = |field: &&str| {
            let value = found.whole.data["spec"].get(*field)?;
            Some(((*field).to_owned(), value.clone()))
        };
        Self { service: (&found.known).into(), definition: DEFINITION.iter().filter_map(part).collect() }
    }
}

pub(super) fn answer(found: &Found<ServiceTemplate>) -> Response {
    (etag::of(found.version()), Json(ServiceDetailView::from(found))).into_response()
}

/// Which services.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// In which category, by its slug.
    category: Option<String>,
    /// Whether they are sold.
    disabled: Option<bool>,
}

/// By what services are sorted.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum By {
    Name,
    DisplayName,
    Category,
}

impl SortField for By {
    const ALL: &'static [(&'static str, Self)] =
        &[("name", Self::Name), ("display_name", Self::DisplayName), ("category", Self::Category)];
    const DESCENDING: bool = false;
}

fn key(by: By, template: &ServiceTemplate) -> (String, Uuid) {
    let value = match by {
        By::Name => name(template.metadata.name.as_ref()).to_owned(),
        By::DisplayName => template.spec.display_name.to_lowercase(),
        By::Category => template.spec.category.clone(),
    };
    (value, name(template.metadata.uid.as_ref()).parse().unwrap_or_default())
}

/// Services by filters, sorted, a page at a time; also those that are not sold.
#[utoipa::path(
    get,
    path = "/services",
    tag = "catalog-admin",
    security(("access_token" = [])),
    params(List<Filter, By>),
    responses((status = 200, body = Page<ServiceView>)),
)]
pub(super) async fn list(
    State(state): App,
    _admin: Administrator,
    list: List<Filter, By>,
) -> Result<Json<Page<ServiceView>>> {
    let Filter { category, disabled } = &list.filter;
    let templates = state.cluster.watches().templates.fresh()?;
    let wanted = templates.all().filter(|template| {
        category.as_ref().is_none_or(|category| *category == template.spec.category)
            && disabled.is_none_or(|disabled| disabled == template.spec.disabled)
    });
    let rows: Vec<Arc<ServiceTemplate>> = wanted.cloned().collect();
    Ok(Json(list.page_of_all(rows, |template| key(list.sort, template))))
}

/// A service with what it is made of, read from the cluster.
#[utoipa::path(
    get,
    path = "/services/{name}",
    tag = "catalog-admin",
    security(("access_token" = [])),
    params(("name" = String, Path, description = "The service.")),
    responses(
        (status = 200, body = ServiceDetailView, headers(("ETag" = String, description = "The version, for `If-Match`."))),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such service."),
    ),
)]
pub(super) async fn read(State(state): App, _admin: Administrator, Name(name): Name) -> Result<Response> {
    Ok(answer(&catalogue::read(&state.cluster, &name).await?))
}

/// What runs of a service, of whom, in which phases and by which plans.
#[utoipa::path(
    get,
    path = "/services/{name}/stats",
    tag = "catalog-admin",
    security(("access_token" = [])),
    params(("name" = String, Path, description = "The service.")),
    responses(
        (status = 200, body = StatsView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such service."),
    ),
)]
pub(super) async fn stats(
    State(state): App,
    _admin: Administrator,
    Name(name): Name,
) -> Result<Json<StatsView>> {
    let templates = state.cluster.watches().templates.fresh()?;
    templates.named(&name).ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(Json(Usage::of_service(&state, &name)?.into()))
}
