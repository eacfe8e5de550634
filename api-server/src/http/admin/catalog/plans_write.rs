//! `POST /admin/plans`, `PATCH /admin/plans/{name}`, `DELETE /admin/plans/{name}`

use super::{
    Changes, Given, in_use,
    plans::{PlanView, answer},
    snake_case,
};
use crate::{
    catalog::usage::Usage,
    cluster::{
        apply::Found,
        catalogue::{self, By},
    },
    http::{
        App,
        admin::{Trace, reason},
        auth::Administrator,
        body::Body,
        catalog::view::Period,
        etag::IfMatch,
        idempotency::{self, Begun, Key},
        path::Name,
        problem::{self, Code, FieldError, Fields, Problem, Result},
    },
    state,
    subscriptions::sales,
};
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::Response,
};
use crds::{
    Quantity, ServicePlan, ServiceTemplate, names,
    plan::{self, PlanResources},
};
use serde::Deserialize;
use utoipa::ToSchema;

/// What a plan is to cost.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SetPlanPrice)]
pub(super) struct SetPrice {
    /// Whole rupiah for one period.
    #[schema(example = 89_000, minimum = 0, maximum = 1_000_000_000)]
    amount: i64,
    /// How long one payment lasts.
    period: Period,
    /// Whether tax is in the amount already.
    tax_inclusive: bool,
}

impl From<SetPrice> for plan::Price {
    fn from(price: SetPrice) -> Self {
        let SetPrice { amount, period, tax_inclusive } = price;
        let period = match period {
            Period::Monthly => plan::Period::Monthly,
            Period::Yearly => plan::Period::Yearly,
        };
        Self { amount, period, tax_inclusive }
    }
}

/// A plan to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreatePlan {
    /// The `ServicePlan`'s name. It never changes.
    #[schema(example = "ghost-small", pattern = "^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")]
    name: String,
    /// The app, by its slug. It never changes.
    #[schema(example = "ghost", pattern = "^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")]
    service: String,
    /// What customers call it.
    #[schema(example = "Small", min_length = 1, max_length = 80)]
    display_name: String,
    /// For whom it is.
    #[serde(default)]
    #[schema(required = false, max_length = 1000)]
    description: String,
    /// What it includes, a short line each.
    #[serde(default)]
    #[schema(required = false, max_items = 20)]
    features: Vec<String>,
    /// What it costs.
    price: SetPrice,
    /// CPU of an instance, in millicores. It never changes.
    #[schema(example = 1000, minimum = 10, maximum = 128_000)]
    cpu_millicores: i64,
    /// Memory of an instance, in bytes. It never changes.
    #[schema(example = 1_073_741_824_i64, minimum = 16_777_216, maximum = 4_398_046_511_104_i64)]
    memory_bytes: i64,
    /// Storage of an instance, in bytes. It never changes.
    #[schema(example = 10_737_418_240_i64, minimum = 16_777_216, maximum = 70_368_744_177_664_i64)]
    storage_bytes: i64,
    /// The storage class of its volumes; none: the operator's setting.
    #[schema(max_length = 253)]
    storage_class_name: Option<String>,
    /// How many may be sold at once; none: as many as fit.
    #[schema(example = 200, minimum = 0, maximum = 1_000_000)]
    capacity: Option<i64>,
    /// Its place in lists, smallest first.
    #[serde(default)]
    #[schema(required = false, example = 310, minimum = 0, maximum = 10_000)]
    order: i64,
    /// Not sold yet.
    #[serde(default)]
    #[schema(required = false)]
    retired: bool,
    /// Why, for the audit log.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// What is changed of a plan. What is left out stays; a null takes away. Another size, or a plan of another app, is another plan.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangePlan {
    /// What customers call it.
    #[schema(example = "Small", min_length = 1, max_length = 80)]
    display_name: Option<String>,
    /// For whom it is.
    #[schema(max_length = 1000)]
    description: Option<String>,
    /// What it includes, a short line each.
    #[schema(max_items = 20)]
    features: Option<Vec<String>>,
    /// What it costs. A new price applies to purchases from now on, and to what runs from its next renewal.
    price: Option<SetPrice>,
    /// The storage class of volumes that are made from now on; none: the operator's setting.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 253)]
    storage_class_name: Given<String>,
    /// How many may be sold at once; none: as many as fit.
    #[serde(default)]
    #[schema(value_type = Option<i64>, required = false, example = 200, minimum = 0, maximum = 1_000_000)]
    capacity: Given<i64>,
    /// Its place in lists, smallest first.
    #[schema(example = 310, minimum = 0, maximum = 10_000)]
    order: Option<i64>,
    /// Not sold any more; what runs by it goes on.
    retired: Option<bool>,
    /// Take over what another tool manages. A tool that goes on applying it sets it back.
    #[serde(default)]
    #[schema(required = false)]
    take_over: bool,
    /// Why, for the audit log.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// A field of the resource, as it is called here. Rules about sizes stand at all three, and begin with the one that they are about.
fn field(error: &FieldError) -> String {
    let size = error.message.split([' ', ':']).find_map(size_of);
    match error.field.as_str() {
        "templateRef" => "service".to_owned(),
        "resources" => size.unwrap_or("cpu_millicores").to_owned(),
        other => {
            let below = other.strip_prefix("resources.").and_then(size_of);
            below.map_or_else(|| snake_case(other), str::to_owned)
        }
    }
}

fn size_of(word: &str) -> Option<&'static str> {
    match word {
        "cpu" => Some("cpu_millicores"),
        "memory" => Some("memory_bytes"),
        "storage" => Some("storage_bytes"),
        _ => None,
    }
}

/// The spec of a plan to be made, with its name.
fn spec(create: CreatePlan) -> Result<(String, Changes, Option<String>)> {
    let CreatePlan {
        name,
        service,
        display_name,
        description,
        features,
        price,
        cpu_millicores,
        memory_bytes,
        storage_bytes,
        storage_class_name,
        capacity,
        order,
        retired,
        reason: why,
    } = create;
    let mut fields = Fields::new();
    let wanted = "must be 1 to 63 of a-z, 0-9 and -, beginning with a letter and not ending in -";
    for (field, label) in [("name", &name), ("service", &service)] {
        fields.parse(field, Some(()).filter(|()| names::is_label(label)).ok_or(wanted));
    }
    let mut size = |field: &str, value: i64| {
        fields.parse(field, u64::try_from(value).map_err(|_| "can't be below 0")).unwrap_or_default()
    };
    let resources = PlanResources {
        cpu: Quantity::from_millis(size("cpu_millicores", cpu_millicores)),
        memory: Quantity::from_units(size("memory_bytes", memory_bytes)),
        storage: Quantity::from_units(size("storage_bytes", storage_bytes)),
    };
    fields.check()?;
    let mut spec = Changes::default();
    spec.set("templateRef", Some(service))?;
    spec.set("displayName", Some(display_name))?;
    spec.set("description", Some(description).filter(|text| !text.is_empty()))?;
    spec.set("features", Some(features).filter(|features| !features.is_empty()))?;
    spec.set("price", Some(plan::Price::from(price)))?;
    spec.set("resources", Some(resources))?;
    spec.set("storageClassName", storage_class_name)?;
    spec.set("capacity", capacity)?;
    spec.set("order", Some(order))?;
    spec.set("retired", Some(retired))?;
    Ok((name, spec, why))
}

/// Make a plan of a service that is there.
#[utoipa::path(
    post,
    path = "/plans",
    tag = "catalog-admin",
    security(("access_token" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = CreatePlan,
    responses(
        (status = 201, body = PlanView, headers(("Location" = String, description = "Where the plan is read."))),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "There is one of this name, or the first request with this key is still under way."),
        (status = 422, body = problem::Body, content_type = "application/problem+json", description = "The cluster does not take it; `errors` names each field."),
    ),
)]
pub(super) async fn create(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    key: Key,
    body: Body<CreatePlan>,
) -> Result<Response> {
    let (name, spec, why) = spec(body.value)?;
    let by = By { reason: reason(why)?, take_over: false, actor: trace.actor(&principal) };
    let route = "POST /admin/plans";
    let intent = match idempotency::begin_outside(&state, &principal, route, key, &body.bytes).await? {
        Begun::Before(answer) => return Ok(answer),
        Begun::First(intent) => intent,
    };
    let location = [(header::LOCATION, format!("/api/v1/admin/plans/{name}"))];
    // To its end, also when nobody waits for the answer any more.
    let done = tokio::spawn(async move {
        let made = make(&state, &name, &spec, &by, intent.is_repeat()).await;
        let made = made.map(|made| PlanView::from(&made.known));
        intent.end(&state, StatusCode::CREATED, &location, made).await
    });
    done.await.map_err(|error| Problem::internal(&error))?
}

async fn make(
    state: &state::State,
    name: &str,
    spec: &Changes,
    by: &By,
    is_repeat: bool,
) -> Result<Found<ServicePlan>> {
    let service = spec.0["templateRef"].as_str().unwrap_or_default();
    match catalogue::read::<ServiceTemplate>(&state.cluster, service).await {
        Err(problem) if problem.code() == Code::NotFound => {
            return Err(Problem::field(Code::Invalid, "service", "there is no such service"));
        }
        read => drop(read?),
    }
    let made = catalogue::create::<ServicePlan>(state, name, &spec.0, by, is_repeat).await;
    made.map_err(|problem| problem.renamed(field))
}

/// Change a plan: what people see of it, what it costs, how many are sold, or whether any more are.
///
/// Only what is named is written, under a manager of our own. A field that another tool manages is named and left alone, unless it is
/// taken over.
#[utoipa::path(
    patch,
    path = "/plans/{name}",
    tag = "catalog-admin",
    security(("access_token" = [])),
    params(
        ("name" = String, Path, description = "The plan."),
        ("If-Match" = String, Header, description = "The ETag of what is changed; refused where it is another by now."),
    ),
    request_body = ChangePlan,
    responses(
        (status = 200, body = PlanView, headers(("ETag" = String, description = "The version, for `If-Match`."))),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such plan."),
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
    body: Body<ChangePlan>,
) -> Result<Response> {
    let ChangePlan {
        display_name,
        description,
        features,
        price,
        storage_class_name,
        capacity,
        order,
        retired,
        take_over,
        reason: why,
    } = body.value;
    let mut changes = Changes::default();
    changes.set("displayName", display_name)?;
    // An empty one is as none, which is what the resource has then.
    changes.set("description", description.map(|text| Some(text).filter(|text| !text.is_empty())))?;
    changes.set("features", features.map(|lines| Some(lines).filter(|lines| !lines.is_empty())))?;
    changes.set("price", price.map(plan::Price::from))?;
    changes.set_or_take("storageClassName", storage_class_name)?;
    changes.set_or_take("capacity", capacity)?;
    changes.set("order", order)?;
    changes.set("retired", retired)?;
    let by = By { reason: reason(why)?, take_over, actor: trace.actor(&principal) };
    let found: Found<ServicePlan> = catalogue::read(&state.cluster, &name).await?;
    if_match.require(found.version())?;
    let done = tokio::spawn(async move { catalogue::change(&state, found, &changes.0, &by).await });
    let done = done.await.map_err(|error| Problem::internal(&error))?;
    Ok(answer(&done.map_err(|problem| problem.renamed(field))?))
}

/// Delete a plan that nothing runs by. One that is in use can be retired.
#[utoipa::path(
    delete,
    path = "/plans/{name}",
    tag = "catalog-admin",
    security(("access_token" = [])),
    params(
        ("name" = String, Path, description = "The plan."),
        ("If-Match" = String, Header, description = "The ETag of what is deleted; refused where it is another by now."),
    ),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such plan."),
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
    let found: Found<ServicePlan> = catalogue::read(&state.cluster, &name).await?;
    if_match.require(found.version())?;
    if let Some(obstacle) = in_use(&Usage::of_plan(&state, &name)?) {
        let detail = format!("It is in use: {obstacle}. It can be retired.");
        return Err(Problem::with(Code::CatalogueInUse, detail));
    }
    let by = By { reason: None, take_over: false, actor: trace.actor(&principal) };
    let done = tokio::spawn(async move { sales::take_away(&state, &found, &by).await });
    done.await.map_err(|error| Problem::internal(&error))??;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_about_sizes_is_told_of_the_one_that_it_is_about() {
        let told = |field_of: &str, message: &str| {
            field(&FieldError { field: field_of.to_owned(), message: message.to_owned() })
        };
        let too_small = "Invalid value: \"object\": memory must be at least 16Mi and at most 4Ti";
        assert_eq!(told("resources", too_small), "memory_bytes");
        assert_eq!(told("resources.storage", "no quantity"), "storage_bytes");
        assert_eq!(told("templateRef", "never changes"), "service");
        assert_eq!(told("price.taxInclusive", "no"), "price.tax_inclusive");
    }
}
