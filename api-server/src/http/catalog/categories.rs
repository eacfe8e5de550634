//! `GET /catalog/categories`

use super::Visitor;
use crate::{
    catalog::{categories::Looks, shop, store},
    http::{App, problem::Result, public},
};
use axum::{extract::State, response::Response};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A category.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Category)]
pub(super) struct CategoryView {
    /// What services name it by.
    #[schema(example = "websites")]
    slug: String,
    /// Its name in English.
    #[schema(example = "Websites")]
    name_en: String,
    /// Its name in Indonesian.
    #[schema(example = "Situs web")]
    name_id: String,
    /// What is in it, in English.
    description_en: String,
    /// What is in it, in Indonesian.
    description_id: String,
    /// How many services are shown in it.
    #[schema(example = 2)]
    services: i64,
}

/// All categories.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Categories {
    /// In their order.
    items: Vec<CategoryView>,
}

/// All categories, in their order. One that only services name has their word as its name, and comes last.
#[utoipa::path(
    get,
    path = "/categories",
    tag = "catalog",
    responses(
        (status = 200, body = Categories, headers(("ETag" = String, description = "Of what is answered, for `If-None-Match`."))),
        (status = 304, description = "As the sender has it."),
    ),
)]
pub(super) async fn list(
    State(state): App,
    _visitor: Visitor,
    known: public::IfNoneMatch,
) -> Result<Response> {
    let window = shop::window(&state).await?;
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for service in window.values() {
        *counts.entry(&service.template.spec.category).or_default() += 1;
    }
    let described = store::all(&mut *state.db.acquire().await?).await?;
    let mut items: Vec<CategoryView> = described
        .into_iter()
        .map(|category| {
            let Looks { slug, name_en, name_id, description_en, description_id, position: _ } =
                category.looks;
            let services = counts.remove(slug.as_str()).unwrap_or_default();
            CategoryView { slug, name_en, name_id, description_en, description_id, services }
        })
        .collect();
    items.extend(counts.into_iter().map(|(slug, services)| CategoryView {
        slug: slug.to_owned(),
        name_en: slug.to_owned(),
        name_id: slug.to_owned(),
        description_en: String::new(),
        description_id: String::new(),
        services,
    }));
    public::answer(&known, &Categories { items })
}
