//! `PATCH /admin/users/{id}`

use super::read::answer;
use crate::{
    http::{
        App,
        admin::{Trace, reason},
        auth::Administrator,
        body::Body,
        etag::IfMatch,
        path::Id,
        problem::{self, Code, Fields, Problem, Result},
        view::UserView,
    },
    users::{
        Language, account,
        administration::{self, By, Change},
        email::Email,
        parse_name, store,
    },
};
use axum::{extract::State, response::Response};
use serde::Deserialize;
use utoipa::ToSchema;

/// What is changed of a user. What is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeUser {
    /// What they are called.
    #[schema(example = "Ayu Lestari", min_length = 1, max_length = 100)]
    name: Option<String>,
    /// The language of mails.
    language: Option<Language>,
    /// The address, for which the administrator vouches. The old one is told, and sessions end.
    #[schema(example = "ayu@example.org", format = Email, max_length = 254)]
    email: Option<String>,
    /// Why, for the audit log.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// Change a user's name, language or address.
#[utoipa::path(
    patch,
    path = "/users/{id}",
    tag = "users",
    security(("access_token" = [])),
    params(
        ("id" = uuid::Uuid, Path, description = "The user."),
        ("If-Match" = String, Header, description = "The ETag of what is changed; refused where it is another by now."),
    ),
    request_body = ChangeUser,
    responses(
        (status = 200, body = UserView, headers(("ETag" = String, description = "The version, for `If-Match`."))),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such user."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "The address is taken, or the user is deleted."),
        (status = 412, body = problem::Body, content_type = "application/problem+json", description = "It was changed in the meantime."),
        (status = 428, body = problem::Body, content_type = "application/problem+json", description = "`If-Match` is missing."),
    ),
)]
pub(super) async fn change(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    Id(id): Id,
    if_match: IfMatch,
    body: Body<ChangeUser>,
) -> Result<Response> {
    let ChangeUser { name, language, email, reason: why } = body.value;
    let mut fields = Fields::new();
    let name = name.map(|name| fields.parse("name", parse_name(&name)));
    let email = email.map(|email| fields.parse("email", Email::parse(&email)));
    fields.check()?;
    let why = reason(why)?;
    let wanted = Change { name: name.flatten(), language, email: email.flatten() };
    let mut tx = state.db.begin().await?;
    let user = store::lock(&mut tx, id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    if_match.require(user.version)?;
    let actor = trace.actor(&principal);
    let by = By { actor: &actor, reason: why.as_deref(), now: state.clock.now() };
    let changed = administration::change(&mut tx, by, &user, wanted).await?;
    tx.commit().await?;
    account::settled(&state);
    Ok(answer(changed))
}
