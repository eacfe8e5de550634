//! `POST /admin/services`, `PATCH /admin/services/{name}`, `DELETE /admin/services/{name}`

use super::{
    Changes, Given, in_use,
    services::{DEFINITION, ServiceDetailView, answer},
    snake_case, wrong,
};
use crate::{
    catalog::usage::{self, Usage},
    cluster::{
        apply::Found,
        catalogue::{self, By},
    },
    http::{
        App,
        admin::{Trace, reason},
        auth::Administrator,
        body::Body,
        etag::IfMatch,
        idempotency::{self, Begun, Key},
        path::Name,
        problem::{self, Code, FieldError, Problem, Result},
    },
};
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::Response,
};
use crds::{ServiceTemplate, names};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A service to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateService {
    /// The `ServiceTemplate`'s name, which is the slug. It never changes.
    #[schema(example = "ghost", pattern = "^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")]
    name: String,
    /// What customers call it.
    #[schema(example = "Ghost", min_length = 1, max_length = 80)]
    display_name: String,
    /// What it is for.
    #[schema(min_length = 1, max_length = 2000)]
    description: String,
    /// Name of the picture that a frontend shows, or an https address of it.
    #[schema(max_length = 500)]
    icon: Option<String>,
    /// The category that it is listed in, by its slug.
    #[schema(example = "websites", pattern = "^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")]
    category: String,
    /// The version of the app.
    #[schema(example = "6.59.0", min_length = 1, max_length = 40)]
    version: String,
    /// What its licence asks of whoever sells it.
    #[schema(max_length = 1000)]
    licence_note: Option<String>,
    /// Not sold yet.
    #[serde(default)]
    #[schema(required = false)]
    disabled: bool,
    /// What it is made of, as the resource has it: `kubectl explain servicetemplate.spec` tells of `parameters`, `secrets`, `files`,
    /// `components`, `initJobs`, `expose` and `credentials`.
    #[schema(value_type = Object)]
    definition: Map<String, Value>,
    /// Why, for the audit log.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// What is changed of a service. What is left out stays; a null takes away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeService {
    /// What customers call it.
    #[schema(example = "Ghost", min_length = 1, max_length = 80)]
    display_name: Option<String>,
    /// What it is for.
    #[schema(min_length = 1, max_length = 2000)]
    description: Option<String>,
    /// Name of the picture that a frontend shows, or an https address of it.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 500)]
    icon: Given<String>,
    /// The category that it is listed in, by its slug.
    #[schema(example = "websites", pattern = "^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")]
    category: Option<String>,
    /// The version of the app.
    #[schema(example = "6.59.0", min_length = 1, max_length = 40)]
    version: Option<String>,
    /// What its licence asks of whoever sells it.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 1000)]
    licence_note: Given<String>,
    /// Not sold and not made anew; what runs goes on.
    disabled: Option<bool>,
    /// What it is made of, all of it: what is left out of it is taken away.
    #[schema(value_type = Option<Object>)]
    definition: Option<Map<String, Value>>,
    /// Take over what another tool manages. A tool that goes on applying it sets it back.
    #[serde(default)]
    #[schema(required = false)]
    take_over: bool,
    /// Why, for the audit log.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// What a definition changes of a spec: each part that it leaves out is taken away.
fn parts(mut definition: Map<String, Value>) -> Result<Map<String, Value>> {
    let part = |field: &str| (field.to_owned(), definition.remove(field).unwrap_or_default());
    let parts = DEFINITION.map(part).into_iter().collect();
    let unknown: Vec<_> = definition
        .keys()
        .map(|field| wrong(&format!("definition.{field}"), &format!("is none of {}", DEFINITION.join(", "))))
        .collect();
    if unknown.is_empty() { Ok(parts) } else { Err(Problem::fields(Code::Invalid, unknown)) }
}

/// A field of the resource, as it is called here.
fn field(error: &FieldError) -> String {
    let path = &error.field;
    let first = path.split(['.', '[']).next().unwrap_or_default();
    if DEFINITION.contains(&first) { format!("definition.{path}") } else { snake_case(path) }
}

/// Make a service. It is written as a `ServiceTemplate`, of which the operator then says whether it can be made.
#[utoipa::path(
    post,
    path = "/services",
    tag = "catalog-admin",
    security(("access_token" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = CreateService,
    responses(
        (status = 201, body = ServiceDetailView, headers(("Location" = String, description = "Where the service is read."))),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "There is one of this name, or the first request with this key is still under way."),
        (status = 422, body = problem::Body, content_type = "application/problem+json", description = "The cluster does not take it; `errors` names each field."),
    ),
)]
pub(super) async fn create(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    key: Key,
    body: Body<CreateService>,
) -> Result<Response> {
    let CreateService {
        name,
        display_name,
        description,
        icon,
        category,
        version,
        licence_note,
        disabled,
        definition,
        reason: why,
    } = body.value;
    if !names::is_label(&name) {
        let wanted = "must be 1 to 63 of a-z, 0-9 and -, beginning with a letter and not ending in -";
        return Err(Problem::field(Code::Invalid, "name", wanted));
    }
    let mut spec = Changes(parts(definition)?);
    spec.0.retain(|_, part| !part.is_null());
    spec.set("displayName", Some(display_name))?;
    spec.set("description", Some(description))?;
    spec.set("icon", icon)?;
    spec.set("category", Some(category))?;
    spec.set("version", Some(version))?;
    spec.set("licenceNote", licence_note)?;
    spec.set("disabled", Some(disabled))?;
    let by = By { reason: reason(why)?, take_over: false, actor: trace.actor(&principal) };
    let route = "POST /admin/services";
    let intent = match idempotency::begin_outside(&state, &principal, route, key, &body.bytes).await? {
        Begun::Before(answer) => return Ok(answer),
        Begun::First(intent) => intent,
    };
    let location = [(header::LOCATION, format!("/api/v1/admin/services/{name}"))];
    // To its end, also when nobody waits for the answer any more.
    let done = tokio::spawn(async move {
        let is_repeat = intent.is_repeat();
        let made = catalogue::create::<ServiceTemplate>(&state, &name, &spec.0, &by, is_repeat).await;
        let made = made.map(|made| ServiceDetailView::from(&made)).map_err(|problem| problem.renamed(field));
        intent.end(&state, StatusCode::CREATED, &location, made).await
    });
    done.await.map_err(|error| Problem::internal(&error))?
}

/// Change a service: what people see of it, whether it is sold, or what it is made of.
///
/// Only what is named is written, under a manager of our own. A field that another tool manages is named and left alone, unless it is
/// taken over.
#[utoipa::path(
    patch,
    path = "/services/{name}",
    tag = "catalog-admin",
    security(("access_token" = [])),
    params(
        ("name" = String, Path, description = "The service."),
        ("If-Match" = String, Header, description = "The ETag of what is changed; refused where it is another by now."),
    ),
    request_body = ChangeService,
    responses(
        (status = 200, body = ServiceDetailView, headers(("ETag" = String, description = "The version, for `If-Match`."))),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such service."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "Another tool manages a field."),
        (status = 412, body = problem::Body, content_type = "application/problem+json", description = "It was changed in the meantime."),
        (status = 422, body = problem::Body, content_type = "application/problem+json", description = "The cluster does not take it; `errors` names each field."),
        (status = 428, body = problem::Body, content_type = "application/problem+json", description = "`If-Match` is missing."),
    ),
)]
pub(super) async fn change(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    Name(name): Name,
    if_match: IfMatch,
    body: Body<ChangeService>,
) -> Result<Response> {
    let ChangeService {
        display_name,
        description,
        icon,
        category,
        version,
        licence_note,
        disabled,
        definition,
        take_over,
        reason: why,
    } = body.value;
    let mut changes = Changes(definition.map(parts).transpose()?.unwrap_or_default());
    changes.set("displayName", display_name)?;
    changes.set("description", description)?;
    changes.set_or_take("icon", icon)?;
    changes.set("category", category)?;
    changes.set("version", version)?;
    changes.set_or_take("licenceNote", licence_note)?;
    changes.set("disabled", disabled)?;
    let by = By { reason: reason(why)?, take_over, actor: trace.actor(&principal) };
    let found: Found<ServiceTemplate> = catalogue::read(&state.cluster, &name).await?;
    if_match.require(found.version())?;
    let done = tokio::spawn(async move { catalogue::change(&state, found, &changes.0, &by).await });
    let done = done.await.map_err(|error| Problem::internal(&error))?;
    Ok(answer(&done.map_err(|problem| problem.renamed(field))?))
}

/// Delete a service that nobody sells, runs or has data of. One that is in use can be disabled.
#[utoipa::path(
    delete,
    path = "/services/{name}",
    tag = "catalog-admin",
    security(("access_token" = [])),
    params(
        ("name" = String, Path, description = "The service."),
        ("If-Match" = String, Header, description = "The ETag of what is deleted; refused where it is another by now."),
    ),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such service."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "It is in use."),
        (status = 412, body = problem::Body, content_type = "application/problem+json", description = "It was changed in the meantime."),
        (status = 428, body = problem::Body, content_type = "application/problem+json", description = "`If-Match` is missing."),
    ),
)]
pub(super) async fn delete(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    Name(name): Name,
    if_match: IfMatch,
) -> Result<StatusCode> {
    let found: Found<ServiceTemplate> = catalogue::read(&state.cluster, &name).await?;
    if_match.require(found.version())?;
    let plans = catalogue::plans_of(&state.cluster, &name).await?;
    let tenants = usage::tenants_with_data(&state, &name)?;
    let obstacles = [
        (!plans.is_empty()).then(|| {
            format!("plans sell it ({})", plans.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
        }),
        in_use(&Usage::of_service(&state, &name)?),
        (tenants > 0).then(|| format!("{tenants} tenants have kept data of it")),
    ];
    let obstacles: Vec<String> = obstacles.into_iter().flatten().collect();
    if !obstacles.is_empty() {
        let detail = format!("It is in use: {}. It can be disabled.", obstacles.join("; "));
        return Err(Problem::with(Code::CatalogueInUse, detail));
    }
    let by = By { reason: None, take_over: false, actor: trace.actor(&principal) };
    let done = tokio::spawn(async move { catalogue::delete(&state, &found, &by).await });
    done.await.map_err(|error| Problem::internal(&error))??;
    Ok(StatusCode::NO_CONTENT)
}
