//! `GET /me`, `PATCH /me`

use crate::{
    http::{
        App,
        auth::CurrentUser,
        body::Body,
        etag::{self, IfMatch},
        problem::{self, Code, Fields, Problem, Result},
        view::UserView,
    },
    users::{Language, User, account, parse_name, store},
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use utoipa::ToSchema;

/// Who I am.
#[utoipa::path(
    get,
    path = "/me",
    tag = "me",
    security(("access_token" = [])),
    responses(
        (status = 200, body = UserView, headers(("ETag" = String, description = "The version, for `If-Match`."))),
    ),
)]
pub(super) async fn read(State(state): App, CurrentUser(principal): CurrentUser) -> Result<Response> {
    Ok(answer(account::of(&state, &principal).await?))
}

/// What one changes about oneself. What is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    /// What one is called.
    #[schema(example = "Ayu Lestari", min_length = 1, max_length = 100)]
    name: Option<String>,
    /// The language of mails.
    language: Option<Language>,
}

/// Change one's name or language.
#[utoipa::path(
    patch,
    path = "/me",
    tag = "me",
    security(("access_token" = [])),
    params(("If-Match" = Option<String>, Header, description = "The ETag of what is changed; refused where it is another by now.")),
    request_body = Change,
    responses(
        (status = 200, body = UserView, headers(("ETag" = String, description = "The version, for `If-Match`."))),
        (status = 412, body = problem::Body, content_type = "application/problem+json", description = "It was changed in the meantime."),
    ),
)]
pub(super) async fn change(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    if_match: IfMatch,
    body: Body<Change>,
) -> Result<Response> {
    let Change { name, language } = body.value;
    let mut fields = Fields::new();
    let name = name.map(|name| fields.parse("name", parse_name(&name)).unwrap_or_default());
    fields.check()?;
    let now = state.clock.now();
    let mut tx = state.db.begin().await?;
    let user = store::lock(&mut tx, principal.user_id).await?.ok_or_else(|| Problem::new(Code::BadToken))?;
    if_match.check(user.version)?;
    let changed = User {
        name: name.unwrap_or_else(|| user.name.clone()),
        language: language.unwrap_or(user.language),
        ..user.clone()
    };
    let saved = if changed == user { user } else { store::save(&mut tx, &changed, now).await? };
    tx.commit().await?;
    Ok(answer(saved))
}

fn answer(user: User) -> Response {
    let tag = etag::of(user.version);
    (tag, Json(UserView::from(user))).into_response()
}
