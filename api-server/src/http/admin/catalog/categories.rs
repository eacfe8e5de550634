//! `GET /admin/categories`, `POST /admin/categories`, `GET /admin/categories/{slug}`, `PATCH /admin/categories/{slug}`,
//! `DELETE /admin/categories/{slug}`

use crate::{
    catalog::{
        categories::{self, By, Category, Looks},
        store,
    },
    http::{
        App,
        admin::{Trace, reason},
        auth::Administrator,
        body::Body,
        etag::{self, IfMatch},
        idempotency::{self, Begun, Key},
        path::Name,
        problem::{self, Code, Problem, Result},
    },
};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A category, as administrators see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminCategory)]
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
    /// Its place in lists, smallest first.
    #[schema(example = 10)]
    position: i32,
    /// When it was made.
    created_at: Timestamp,
    /// When it was changed last.
    updated_at: Timestamp,
}

impl From<Category> for CategoryView {
    fn from(category: Category) -> Self {
        let Category { looks, version: _, created_at, updated_at } = category;
        let Looks { slug, name_en, name_id, description_en, description_id, position } = looks;
        Self { slug, name_en, name_id, description_en, description_id, position, created_at, updated_at }
    }
}

/// All categories that are described.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AdminCategories {
    /// In their order.
    items: Vec<CategoryView>,
}

fn answer(category: Category) -> Response {
    (etag::of(category.version), Json(CategoryView::from(category))).into_response()
}

/// All categories that are described, in their order.
#[utoipa::path(
    get,
    path = "/categories",
    tag = "catalog-admin",
    security(("access_token" = [])),
    responses((status = 200, body = AdminCategories)),
)]
pub(super) async fn list(State(state): App, _admin: Administrator) -> Result<Json<AdminCategories>> {
    let all = store::all(&mut *state.db.acquire().await?).await?;
    Ok(Json(AdminCategories { items: all.into_iter().map(CategoryView::from).collect() }))
}

/// A category.
#[utoipa::path(
    get,
    path = "/categories/{slug}",
    tag = "catalog-admin",
    security(("access_token" = [])),
    params(("slug" = String, Path, description = "The category.")),
    responses(
        (status = 200, body = CategoryView, headers(("ETag" = String, description = "The version, for `If-Match`."))),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such category."),
    ),
)]
pub(super) async fn read(State(state): App, _admin: Administrator, Name(slug): Name) -> Result<Response> {
    let found = store::find(&mut *state.db.acquire().await?, &slug).await?;
    found.map(answer).ok_or_else(|| Problem::new(Code::NotFound))
}

/// A category to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateCategory {
    /// What services name it by. It never changes.
    #[schema(example = "websites", pattern = "^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")]
    slug: String,
    /// Its name in English.
    #[schema(example = "Websites", min_length = 1, max_length = 80)]
    name_en: String,
    /// Its name in Indonesian.
    #[schema(example = "Situs web", min_length = 1, max_length = 80)]
    name_id: String,
    /// What is in it, in English.
    #[serde(default)]
    #[schema(required = false, max_length = 1000)]
    description_en: String,
    /// What is in it, in Indonesian.
    #[serde(default)]
    #[schema(required = false, max_length = 1000)]
    description_id: String,
    /// Its place in lists, smallest first.
    #[schema(example = 10, minimum = 0, maximum = 10_000)]
    position: i32,
    /// Why, for the audit log.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// Make a category: say how what services name by this slug is shown.
#[utoipa::path(
    post,
    path = "/categories",
    tag = "catalog-admin",
    security(("access_token" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = CreateCategory,
    responses(
        (status = 201, body = CategoryView, headers(("Location" = String, description = "Where the category is read."))),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "There is one of this slug, or the first request with this key is still under way."),
    ),
)]
pub(super) async fn create(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    key: Key,
    body: Body<CreateCategory>,
) -> Result<Response> {
    let CreateCategory { slug, name_en, name_id, description_en, description_id, position, reason: why } =
        body.value;
    let looks = Looks { slug, name_en, name_id, description_en, description_id, position }.checked()?;
    let why = reason(why)?;
    let route = "POST /admin/categories";
    let mut once = match idempotency::begin(&state, &principal, route, key, &body.bytes).await? {
        Begun::Before(answer) => return Ok(answer),
        Begun::First(once) => once,
    };
    let by = By { actor: &trace.actor(&principal), reason: why.as_deref(), now: state.clock.now() };
    let made = categories::create(once.db(), by, looks).await?;
    let location = [(header::LOCATION, format!("/api/v1/admin/categories/{}", made.looks.slug))];
    once.finish(StatusCode::CREATED, &location, &CategoryView::from(made)).await
}

/// What is changed of a category. What is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeCategory {
    /// Its name in English.
    #[schema(example = "Websites", min_length = 1, max_length = 80)]
    name_en: Option<String>,
    /// Its name in Indonesian.
    #[schema(example = "Situs web", min_length = 1, max_length = 80)]
    name_id: Option<String>,
    /// What is in it, in English.
    #[schema(max_length = 1000)]
    description_en: Option<String>,
    /// What is in it, in Indonesian.
    #[schema(max_length = 1000)]
    description_id: Option<String>,
    /// Its place in lists, smallest first.
    #[schema(example = 10, minimum = 0, maximum = 10_000)]
    position: Option<i32>,
    /// Why, for the audit log.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// Rename, describe or move a category.
#[utoipa::path(
    patch,
    path = "/categories/{slug}",
    tag = "catalog-admin",
    security(("access_token" = [])),
    params(
        ("slug" = String, Path, description = "The category."),
        ("If-Match" = String, Header, description = "The ETag of what is changed; refused where it is another by now."),
    ),
    request_body = ChangeCategory,
    responses(
        (status = 200, body = CategoryView, headers(("ETag" = String, description = "The version, for `If-Match`."))),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such category."),
        (status = 412, body = problem::Body, content_type = "application/problem+json", description = "It was changed in the meantime."),
        (status = 428, body = problem::Body, content_type = "application/problem+json", description = "`If-Match` is missing."),
    ),
)]
pub(super) async fn change(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    Name(slug): Name,
    if_match: IfMatch,
    body: Body<ChangeCategory>,
) -> Result<Response> {
    let ChangeCategory { name_en, name_id, description_en, description_id, position, reason: why } =
        body.value;
    let why = reason(why)?;
    let mut tx = state.db.begin().await?;
    let was = store::lock(&mut tx, &slug).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    let looks = was.looks.clone();
    let looks = Looks {
        slug,
        name_en: name_en.unwrap_or(looks.name_en),
        name_id: name_id.unwrap_or(looks.name_id),
        description_en: description_en.unwrap_or(looks.description_en),
        description_id: description_id.unwrap_or(looks.description_id),
        position: position.unwrap_or(looks.position),
    }
    .checked()?;
    if_match.require(was.version)?;
    let by = By { actor: &trace.actor(&principal), reason: why.as_deref(), now: state.clock.now() };
    let changed = categories::change(&mut tx, by, was, looks).await?;
    tx.commit().await?;
    Ok(answer(changed))
}

/// Delete a category that no service is in.
#[utoipa::path(
    delete,
    path = "/categories/{slug}",
    tag = "catalog-admin",
    security(("access_token" = [])),
    params(
        ("slug" = String, Path, description = "The category."),
        ("If-Match" = String, Header, description = "The ETag of what is deleted; refused where it is another by now."),
    ),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such category."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "Services are in it."),
        (status = 412, body = problem::Body, content_type = "application/problem+json", description = "It was changed in the meantime."),
        (status = 428, body = problem::Body, content_type = "application/problem+json", description = "`If-Match` is missing."),
    ),
)]
pub(super) async fn delete(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    Name(slug): Name,
    if_match: IfMatch,
) -> Result<StatusCode> {
    let mut tx = state.db.begin().await?;
    let was = store::lock(&mut tx, &slug).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    if_match.require(was.version)?;
    // Also those that are not sold: they come back under its bare name otherwise.
    let templates = state.cluster.watches().templates.fresh()?;
    if templates.all().any(|template| template.spec.category == slug) {
        return Err(Problem::new(Code::CategoryInUse));
    }
    let by = By { actor: &trace.actor(&principal), reason: None, now: state.clock.now() };
    categories::delete(&mut tx, by, &was).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
