//! `POST /admin/emails/{id}/resend`

use super::EmailView;
use crate::{
    http::{
        App,
        admin::{Because, Trace, reason},
        auth::Administrator,
        body::Body,
        idempotency::{self, Begun, Key},
        path::Id,
        problem::{self, Result},
    },
    mail::deliveries,
    users::administration::By,
};
use axum::{extract::State, http::StatusCode, response::Response};

/// Send a mail once more, now.
///
/// It keeps its `Message-ID`; a link in it is good anew. One whose link was used is not sent.
#[utoipa::path(
    post,
    path = "/emails/{id}/resend",
    tag = "emails",
    security(("access_token" = [])),
    params(
        ("id" = uuid::Uuid, Path, description = "The mail."),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = Because,
    responses(
        (status = 200, body = EmailView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "There is no such mail."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "The address is not kept any more, or nobody needs the mail; or the first request with this key is still under way."),
        (status = 422, body = problem::Body, content_type = "application/problem+json", description = "Values can't be accepted, or the key was used with another body."),
    ),
)]
pub(super) async fn resend(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    Id(id): Id,
    key: Key,
    body: Body<Because>,
) -> Result<Response> {
    let why = reason(body.value.reason)?;
    let route = format!("POST /admin/emails/{id}/resend");
    let mut once = match idempotency::begin(&state, &principal, &route, key, &body.bytes).await? {
        Begun::Before(answer) => return Ok(answer),
        Begun::First(once) => once,
    };
    let actor = trace.actor(&principal);
    let by = By { actor: &actor, reason: why.as_deref(), now: state.clock.now() };
    let mail = deliveries::resend(once.db(), by, id).await?;
    let answer = once.finish(StatusCode::OK, &[], &EmailView::from(mail)).await?;
    state.mail_is_due.notify_one();
    Ok(answer)
}
