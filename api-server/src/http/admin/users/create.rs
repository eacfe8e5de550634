//! `POST /admin/users`

use crate::{
    http::{
        App,
        admin::{Trace, reason},
        auth::Administrator,
        body::Body,
        idempotency::{self, Begun, Key},
        problem::{self, Fields, Result},
        view::UserView,
    },
    users::{
        Language, Role,
        administration::{self, By, Invitation},
        email::Email,
        parse_name,
    },
};
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::Response,
};
use serde::Deserialize;
use utoipa::ToSchema;

/// A user to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateUser {
    /// The address, for which the administrator vouches.
    #[schema(example = "ayu@example.com", format = Email, max_length = 254)]
    email: String,
    /// What they are called.
    #[schema(example = "Ayu Lestari", min_length = 1, max_length = 100)]
    name: String,
    /// The language of mails; Indonesian where it is not said.
    #[serde(default)]
    language: Language,
    /// What they may; `USER` where it is not said.
    role: Option<Role>,
    /// Why, for the audit log.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// Make a user. A mail with a link to set a password goes to the address.
#[utoipa::path(
    post,
    path = "/users",
    tag = "users",
    security(("access_token" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = CreateUser,
    responses(
        (status = 201, body = UserView, headers(("Location" = String, description = "Where the user is read."))),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "The address is taken, or the first request with this key is still under way."),
        (status = 422, body = problem::Body, content_type = "application/problem+json", description = "Values can't be accepted, or the key was used with another body."),
    ),
)]
pub(super) async fn create(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    key: Key,
    body: Body<CreateUser>,
) -> Result<Response> {
    let CreateUser { email, name, language, role, reason: why } = body.value;
    let mut fields = Fields::new();
    let email = fields.parse("email", Email::parse(&email));
    let name = fields.parse("name", parse_name(&name));
    let (Some(email), Some(name)) = (email, name) else { return Err(fields.problem()) };
    let why = reason(why)?;
    let new = Invitation { email, name, language, role: role.unwrap_or(Role::User) };
    let mut once = match idempotency::begin(&state, &principal, "POST /admin/users", key, &body.bytes).await?
    {
        Begun::Before(answer) => return Ok(answer),
        Begun::First(once) => once,
    };
    let actor = trace.actor(&principal);
    let by = By { actor: &actor, reason: why.as_deref(), now: state.clock.now() };
    let user = administration::invite(once.db(), by, &new).await?;
    let location = [(header::LOCATION, format!("/api/v1/admin/users/{}", user.id))];
    let answer = once.finish(StatusCode::CREATED, &location, &UserView::from(user)).await?;
    state.mail_is_due.notify_one();
    Ok(answer)
}
