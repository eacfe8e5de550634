//! `GET /instances`

use super::view::{Phase, SummaryView};
use crate::{
    http::{
        App,
        auth::CurrentUser,
        pagination::{List, Page, SortField},
        problem::Result,
        query::Words,
    },
    instances::{
        own::{self, Own},
        why,
    },
};
use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::IntoParams;

/// Which apps.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// How they are.
    phase: Option<Phase>,
    /// By which plan.
    #[param(example = "ghost-small")]
    plan: Option<String>,
    /// Which app.
    #[param(example = "ghost")]
    service: Option<String>,
    /// Words, each of which is somewhere in the name, the resource's name, the app or the plan.
    #[param(value_type = Option<String>, max_length = 200)]
    q: Option<Words>,
}

/// By what they are sorted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum By {
    CreatedAt,
    Name,
}

impl SortField for By {
    const ALL: &'static [(&'static str, Self)] = &[("created_at", Self::CreatedAt), ("name", Self::Name)];
    const DESCENDING: bool = true;
}

impl Filter {
    fn has(&self, own: &Own, shown: &SummaryView) -> bool {
        let Self { phase, plan, service, q } = self;
        phase.is_none_or(|phase| phase == why::phase(own.known()).into())
            && plan.as_ref().is_none_or(|plan| plan == shown.plan())
            && service.as_ref().is_none_or(|service| Some(service.as_str()) == shown.service())
            && q.as_ref().is_none_or(|words| words.all(|word| shown.text().contains(word)))
    }
}

/// One's apps: what was bought, until nothing of it is left, and what was made by hand in one's namespace.
///
/// It is answered from what is known here of the cluster; `as_of` says from when that is.
#[utoipa::path(
    get,
    path = "/instances",
    tag = "instances",
    security(("access_token" = [])),
    params(List<Filter, By>),
    responses((status = 200, body = Page<SummaryView>)),
)]
pub(super) async fn list(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    list: List<Filter, By>,
) -> Result<Json<Page<SummaryView>>> {
    let all = own::all(&state, principal.user_id).await?;
    let shown = all.into_iter().filter_map(|own| {
        let shown = SummaryView::from(&own);
        list.filter.has(&own, &shown).then_some(shown)
    });
    let sort = list.sort;
    Ok(Json(list.page_of_all(shown.collect(), |one| match sort {
        By::CreatedAt => (one.created_at().to_string(), one.id()),
        By::Name => (one.name().to_lowercase(), one.id()),
    })))
}
