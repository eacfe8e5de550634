//! `GET /admin/emails`, `GET /admin/emails/{id}`

use super::EmailView;
use crate::{
    http::{
        App,
        auth::Administrator,
        pagination::{ByCreation, List, Page},
        path::Id,
        problem::{self, Code, Problem, Result},
    },
    mail::{
        Kind,
        store::{self, Query, Status},
    },
    users::email::Email,
};
use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

/// Which mails.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// To which user.
    user_id: Option<Uuid>,
    /// To which address.
    recipient: Option<String>,
    /// About what.
    #[param(inline)]
    kind: Option<Kind>,
    /// What became of them.
    status: Option<Status>,
}

/// What became of mails, of the last ninety days.
#[utoipa::path(
    get,
    path = "/emails",
    tag = "emails",
    security(("access_token" = [])),
    params(List<Filter, ByCreation>),
    responses(
        (status = 200, body = Page<EmailView>),
    ),
)]
pub(super) async fn list(
    State(state): App,
    _admin: Administrator,
    list: List<Filter, ByCreation>,
) -> Result<Json<Page<EmailView>>> {
    let Filter { user_id, recipient, kind, status } = &list.filter;
    let query = Query {
        user_id: *user_id,
        // As addresses are kept; what is none is nobody's.
        recipient: recipient
            .as_ref()
            .map(|text| Email::parse(text).map_or_else(|_| text.clone(), |email| email.as_str().to_owned())),
        kind: kind.map(Kind::as_str),
        status: *status,
        beyond: list.beyond().map(|cursor| cursor.id),
        descending: list.reads_descending(),
        limit: list.limit(),
    };
    let mails = store::list(&state.db, &query).await?;
    Ok(Json(list.page(mails, |mail| (String::new(), mail.id), None)))
}

/// What became of a mail.
#[utoipa::path(
    get,
    path = "/emails/{id}",
    tag = "emails",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The mail.")),
    responses(
        (status = 200, body = EmailView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such mail."),
    ),
)]
pub(super) async fn read(State(state): App, _admin: Administrator, Id(id): Id) -> Result<Json<EmailView>> {
    let mail = store::find(&state.db, id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(Json(mail.into()))
}
