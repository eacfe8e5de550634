//! `PATCH /instances/{id}`

use super::{
    power::PER_USER,
    read::{InstanceView, again},
    settings::{AccessView, WindowView},
};
use crate::{
    http::{
        App,
        admin::Trace,
        auth::CurrentUser,
        body::Body,
        changes::{Changes, Given, snake_case},
        path::Id,
        problem::{self, Code, FieldError, Problem, Result},
        rate,
    },
    instances::{
        own::{self, Own},
        owner::{self, By},
    },
    state,
    subscriptions::Status,
};
use axum::{Json, extract::State};
use crds::{ServiceInstance, instance::Retention, span, template::values};
use jiff::SignedDuration;
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};
use utoipa::ToSchema;

/// The most settings of an app.
const MOST: usize = 50;

/// The longest time that data is kept.
const LONGEST: SignedDuration = SignedDuration::from_hours(90 * 24);

/// What is changed; what is left out stays, and a null takes away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeInstance {
    /// Its settings, by the names that its service lists: those that are named here become as they are named, null leaves one to its
    /// default. One that is fixed once the app was made can't be taken away. The app may be restarted for it.
    #[schema(value_type = Option<BTreeMap<String, Option<String>>>, example = json!({"title": "My publication"}))]
    parameters: Option<BTreeMap<String, Option<String>>>,
    /// When updates may restart it; null: when the platform does.
    #[serde(default)]
    #[schema(value_type = Option<WindowView>, required = false)]
    maintenance_window: Given<WindowView>,
    /// Access from outside, where it speaks no HTTP.
    #[serde(default)]
    #[schema(value_type = Option<AccessView>, required = false)]
    access: Given<AccessView>,
    /// How long its data is kept once it is gone: hours or days.
    #[schema(example = "14d", pattern = "^[1-9][0-9]{0,3}[hd]$")]
    keep_for: Option<String>,
    /// Take over what another tool manages. A tool that goes on applying it sets it back.
    #[serde(default)]
    #[schema(required = false)]
    take_over: bool,
}

/// Checks its settings as they would be against what its template allows. What is fixed once it was made stays as it is.
fn check(state: &state::State, resource: &ServiceInstance, changed: &Settings) -> Result<()> {
    let wrong = |says: String| Problem::field(Code::Invalid, "parameters", says);
    if changed.len() > MOST {
        return Err(wrong(format!("has more than {MOST} entries")));
    }
    let before = resource.spec.parameters.clone();
    let mut after = before.clone();
    for (name, value) in changed {
        match value {
            Some(value) => drop(after.insert(name.clone(), value.clone())),
            None => drop(after.remove(name)),
        }
    }
    let watches = state.cluster.watches();
    let (templates, plans) = (watches.templates.last_known()?, watches.plans.last_known()?);
    let service = resource.status.as_ref().and_then(|status| status.template.clone());
    let service = service.or_else(|| Some(plans.named(&resource.spec.plan_ref)?.spec.template_ref.clone()));
    let service = service.unwrap_or_default();
    // Without its template nothing can be said of it; the operator says so.
    let Some(template) = templates.named(&service) else { return Ok(()) };
    let declared = &template.spec.parameters;
    // What is fixed could be given anew as another, once it was taken away.
    let is_taken =
        |name: &String| before.contains_key(name) && changed.get(name).is_some_and(Option::is_none);
    let taken: Vec<FieldError> = declared
        .iter()
        .filter(|one| one.immutable && is_taken(&one.name))
        .map(|one| {
            let message = "was fixed when the app was made, and can't be taken away".to_owned();
            FieldError { field: format!("parameters.{}", one.name), message }
        })
        .collect();
    if !taken.is_empty() {
        return Err(Problem::fields(Code::Invalid, taken));
    }
    let value = |name: &str, default: Option<&String>| before.get(name).or(default).cloned();
    let fixed = declared
        .iter()
        .filter(|one| one.immutable)
        .filter_map(|one| Some((one.name.clone(), value(&one.name, one.default.as_ref())?)));
    values::check(declared, &after, &fixed.collect())
        .map_err(|says| wrong(format!("can't be accepted: {says}")))?;
    Ok(())
}

/// What is changed of its settings.
type Settings = BTreeMap<String, Option<String>>;

/// All that is changed but its settings, which follow from those that are there.
fn changes(own: &Own, asked: ChangeInstance) -> Result<(Changes, Option<Settings>)> {
    let ChangeInstance { parameters: settings, maintenance_window, access, keep_for, take_over: _ } = asked;
    let mut changes = Changes::default();
    changes.set_or_take("maintenanceWindow", read(maintenance_window, WindowView::read)?)?;
    changes.set_or_take("access", read(access, AccessView::read)?)?;
    // What is given up before it was there costs nothing: neither does its data stay for long.
    let is_new = own.row.as_ref().is_some_and(|row| row.status == Status::PendingDeployment);
    if keep_for.is_some() && is_new {
        let detail = "The app is being made: say how long its data is kept once it is there.";
        return Err(Problem::with(Code::InstanceNotReady, detail));
    }
    // Each change makes its pods anew, so that who goes on with it would keep it from ever being there.
    if settings.is_some() && is_new {
        let detail = "The app is being made: change its settings once it is there, or cancel it, and all of its price comes back.";
        return Err(Problem::with(Code::InstanceNotReady, detail));
    }
    let keep_for = keep_for.map(retention).transpose()?;
    changes.set("retention", keep_for)?;
    Ok((changes, settings))
}

fn retention(keep_for: String) -> Result<Retention> {
    let fits = span::parse_span(&keep_for).is_ok_and(|span| span <= LONGEST);
    let wrong = || {
        Problem::field(
            Code::Invalid,
            "keep_for",
            "must be 1h to 90d: whole hours or days, such as 36h or 14d",
        )
    };
    if fits { Ok(Retention { keep_for }) } else { Err(wrong()) }
}

fn read<T, U>(given: Given<T>, read: impl Fn(T) -> Result<U>) -> Result<Given<U>> {
    Ok(match given {
        Given::Unsaid => Given::Unsaid,
        Given::As(value) => Given::As(value.map(read).transpose()?),
    })
}

/// A field of the resource, as it is called here.
fn field(error: &FieldError) -> String {
    match error.field.as_str() {
        "retention.keepFor" => "keep_for".to_owned(),
        // What follows is the app's own word.
        setting if setting.starts_with("parameters.") => setting.to_owned(),
        other => snake_case(other),
    }
}

/// Change an app's settings, its maintenance window, access from outside, or how long its data is kept.
///
/// Only what is named is written. A field that another tool manages is named and left alone, unless it is taken over.
#[utoipa::path(
    patch,
    path = "/instances/{id}",
    tag = "instances",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The app.")),
    request_body = ChangeInstance,
    responses(
        (status = 200, body = InstanceView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "One has no such app."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "It is not there yet, is being deleted, has ended, or another tool manages a field."),
        (status = 422, body = problem::Body, content_type = "application/problem+json", description = "A value can't be accepted; `errors` names each."),
    ),
)]
pub(super) async fn change(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    trace: Trace,
    Id(id): Id,
    body: Body<ChangeInstance>,
) -> Result<Json<InstanceView>> {
    let own = own::find(&state, principal.user_id, id).await?;
    rate::take(&state, PER_USER, &principal.user_id.to_string()).await?;
    let by = By { actor: trace.actor(&principal), take_over: body.value.take_over };
    let (others, settings) = changes(&own, body.value)?;
    let (writer, of) = (Arc::clone(&state), own.clone());
    // To its end, also when nobody waits for the answer any more.
    let done = tokio::spawn(async move {
        let changed = |resource: &ServiceInstance| {
            let mut all = Changes(others.0.clone());
            if let Some(changed) = &settings {
                check(&writer, resource, changed)?;
            }
            all.set("parameters", settings.as_ref())?;
            Ok(all.0)
        };
        owner::change(&writer, &of, changed, &by).await
    });
    let done = done.await.map_err(|error| Problem::internal(&error))?;
    let written = done.map_err(|problem| problem.renamed(field))?;
    let own = Own { resource: Some(Arc::new(written)), ..own };
    Ok(Json(again(&state, &own).await))
}
