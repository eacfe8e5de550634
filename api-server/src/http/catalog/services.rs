//! `GET /catalog/services`, `GET /catalog/services/{slug}`

use super::{
    Visitor,
    view::{ServiceDetailView, ServiceView},
};
use crate::{
    catalog::shop::{self, ShownService, Wanted, WantedPlan, name},
    http::{
        App,
        pagination::{List, Page, SortField},
        path::Name,
        problem::{self, Code, Problem, Result},
        public,
        query::Words,
    },
};
use axum::{extract::State, response::Response};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

/// Which services.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Words, each of which is somewhere in the name, the description or the category.
    #[param(value_type = Option<String>, max_length = 200)]
    q: Option<Words>,
    /// In which category, by its slug.
    category: Option<String>,
    /// With a plan that costs no less for a month, in rupiah.
    price_min: Option<i64>,
    /// With a plan that costs no more for a month, in rupiah.
    price_max: Option<i64>,
    /// With a plan of no less CPU.
    cpu_millicores_min: Option<i64>,
    /// With a plan of no less memory.
    memory_bytes_min: Option<i64>,
    /// With a plan of no less storage.
    storage_bytes_min: Option<i64>,
    /// With a plan that can be bought, or that can't.
    available: Option<bool>,
}

impl Filter {
    fn wanted(&self) -> Wanted {
        let Self {
            q,
            category,
            price_min,
            price_max,
            cpu_millicores_min,
            memory_bytes_min,
            storage_bytes_min,
            available,
        } = self;
        Wanted {
            words: q.clone().unwrap_or_default(),
            category: category.clone(),
            plan: WantedPlan {
                price_min: *price_min,
                price_max: *price_max,
                cpu_millicores_min: *cpu_millicores_min,
                memory_bytes_min: *memory_bytes_min,
                storage_bytes_min: *storage_bytes_min,
                available: *available,
            },
        }
    }
}

/// By what services are sorted.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum By {
    Name,
    Category,
    Price,
}

impl SortField for By {
    const ALL: &'static [(&'static str, Self)] =
        &[("display_name", Self::Name), ("category", Self::Category), ("price", Self::Price)];
    const DESCENDING: bool = false;
}

fn key(by: By, service: &ShownService) -> (String, Uuid) {
    let spec = &service.template.spec;
    let value = match by {
        By::Name => spec.display_name.to_lowercase(),
        By::Category => spec.category.clone(),
        // What has no price comes after all that has one.
        By::Price => format!("{:020}", service.cheapest().map_or(i64::MAX, |plan| plan.offer.monthly())),
    };
    (value, id(service.template.metadata.uid.as_ref()))
}

/// The id of an object that came from the cluster, where each has one.
pub(super) fn id(uid: Option<&String>) -> Uuid {
    name(uid).parse().unwrap_or_default()
}

/// Services by filters, sorted, a page at a time. A price is that of the cheapest plan for a month; a year's counts as twelve months.
#[utoipa::path(
    get,
    path = "/services",
    tag = "catalog",
    params(List<Filter, By>),
    responses(
        (status = 200, body = Page<ServiceView>, headers(("ETag" = String, description = "Of what is answered, for `If-None-Match`."))),
        (status = 304, description = "As the sender has it."),
    ),
)]
pub(super) async fn list(
    State(state): App,
    _visitor: Visitor,
    known: public::IfNoneMatch,
    list: List<Filter, By>,
) -> Result<Response> {
    let wanted = list.filter.wanted();
    let services = shop::window(&state).await?.into_values().filter(|service| wanted.has(service)).collect();
    let page: Page<ServiceView> = list.page_of_all(services, |service| key(list.sort, service));
    public::answer(&known, &page)
}

/// A service, with what can be set of it.
#[utoipa::path(
    get,
    path = "/services/{slug}",
    tag = "catalog",
    params(("slug" = String, Path, description = "The service.")),
    responses(
        (status = 200, body = ServiceDetailView, headers(("ETag" = String, description = "Of what is answered, for `If-None-Match`."))),
        (status = 304, description = "As the sender has it."),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such service, or it is not sold."),
    ),
)]
pub(super) async fn read(
    State(state): App,
    _visitor: Visitor,
    known: public::IfNoneMatch,
    Name(slug): Name,
) -> Result<Response> {
    let window = shop::window(&state).await?;
    let service = window.get(&slug).ok_or_else(|| Problem::new(Code::NotFound))?;
    public::answer(&known, &ServiceDetailView::from(service))
}
