//! `GET /catalog/services/{slug}/plans`, `GET /catalog/plans/{name}`

use super::{Visitor, services::id, view::PlanView};
use crate::{
    catalog::shop::{self, ShownPlan, WantedPlan},
    http::{
        App,
        pagination::{List, Page, SortField},
        path::Name,
        problem::{self, Code, Problem, Result},
        public,
    },
};
use axum::{extract::State, response::Response};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

/// Which plans.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Those that cost no less for a month, in rupiah.
    price_min: Option<i64>,
    /// Those that cost no more for a month, in rupiah.
    price_max: Option<i64>,
    /// Those with no less CPU.
    cpu_millicores_min: Option<i64>,
    /// Those with no less memory.
    memory_bytes_min: Option<i64>,
    /// Those with no less storage.
    storage_bytes_min: Option<i64>,
    /// Those that can be bought, or that can't.
    available: Option<bool>,
}

impl Filter {
    fn wanted(&self) -> WantedPlan {
        let Self { price_min, price_max, cpu_millicores_min, memory_bytes_min, storage_bytes_min, available } =
            *self;
        WantedPlan {
            price_min,
            price_max,
            cpu_millicores_min,
            memory_bytes_min,
            storage_bytes_min,
            available,
        }
    }
}

/// By what plans are sorted.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum By {
    Order,
    Price,
    Name,
}

impl SortField for By {
    const ALL: &'static [(&'static str, Self)] =
        &[("order", Self::Order), ("price", Self::Price), ("display_name", Self::Name)];
    const DESCENDING: bool = false;
}

fn key(by: By, plan: &ShownPlan) -> (String, Uuid) {
    let spec = &plan.offer.plan.spec;
    let value = match by {
        By::Order => format!("{:06}-{}", spec.order, plan.offer.name()),
        By::Price => format!("{:020}", plan.offer.monthly()),
        By::Name => spec.display_name.to_lowercase(),
    };
    (value, id(plan.offer.plan.metadata.uid.as_ref()))
}

/// The plans of a service.
#[utoipa::path(
    get,
    path = "/services/{slug}/plans",
    tag = "catalog",
    params(("slug" = String, Path, description = "The service."), List<Filter, By>),
    responses(
        (status = 200, body = Page<PlanView>, headers(("ETag" = String, description = "Of what is answered, for `If-None-Match`."))),
        (status = 304, description = "As the sender has it."),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such service, or it is not sold."),
    ),
)]
pub(super) async fn of_service(
    State(state): App,
    _visitor: Visitor,
    known: public::IfNoneMatch,
    Name(slug): Name,
    list: List<Filter, By>,
) -> Result<Response> {
    let service = shop::window(&state).await?.remove(&slug).ok_or_else(|| Problem::new(Code::NotFound))?;
    let wanted = list.filter.wanted();
    let plans = service.plans.into_iter().filter(|plan| wanted.has(plan)).collect();
    let page: Page<PlanView> = list.page_of_all(plans, |plan| key(list.sort, plan));
    public::answer(&known, &page)
}

/// A plan.
#[utoipa::path(
    get,
    path = "/plans/{name}",
    tag = "catalog",
    params(("name" = String, Path, description = "The plan.")),
    responses(
        (status = 200, body = PlanView, headers(("ETag" = String, description = "Of what is answered, for `If-None-Match`."))),
        (status = 304, description = "As the sender has it."),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such plan, or it is not sold."),
    ),
)]
pub(super) async fn read(
    State(state): App,
    _visitor: Visitor,
    known: public::IfNoneMatch,
    Name(name): Name,
) -> Result<Response> {
    let window = shop::window(&state).await?;
    let plans = window.values().flat_map(|service| &service.plans);
    let mut named = plans.filter(|plan| plan.offer.name() == name);
    let plan = named.next().ok_or_else(|| Problem::new(Code::NotFound))?;
    public::answer(&known, &PlanView::from(plan))
}
