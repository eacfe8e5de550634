//! `GET /instances/{id}/credentials`

use crate::{
    http::{
        App,
        admin::Trace,
        auth::CurrentUser,
        path::Id,
        problem::{self, Result},
        rate::{self, Limit},
    },
    instances::{
        credentials::{self as shown, Credential},
        own,
    },
};
use axum::{Json, extract::State};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use utoipa::ToSchema;

/// How often somebody looks.
const PER_USER: Limit = Limit::per_minute("credentials", 20);

/// Something to log in with.
#[derive(Serialize, ToSchema)]
#[schema(as = InstanceCredential)]
pub(super) struct CredentialView {
    /// What the app calls it.
    #[schema(example = "password")]
    name: String,
    /// What a page calls it.
    #[schema(example = "Password")]
    display_name: String,
    /// It.
    value: String,
    /// Whether a page hides it until asked.
    sensitive: bool,
}

/// All that an app's owner logs in with.
#[derive(Serialize, ToSchema)]
#[schema(as = InstanceCredentials)]
pub(super) struct CredentialsView {
    /// Each, in the app's own order.
    items: Vec<CredentialView>,
}

impl From<Credential> for CredentialView {
    fn from(credential: Credential) -> Self {
        let Credential { name, display_name, is_sensitive: sensitive, value } = credential;
        Self { name, display_name, value: value.expose_secret().to_owned(), sensitive }
    }
}

/// What one logs in to one's app with, as it was generated: a password that was changed in the app itself is not known here.
///
/// Each look has its line in the audit log.
#[utoipa::path(
    get,
    path = "/instances/{id}/credentials",
    tag = "instances",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The app.")),
    responses(
        (status = 200, body = CredentialsView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "One has no such app."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "It is not there yet."),
    ),
)]
pub(super) async fn credentials(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    trace: Trace,
    Id(id): Id,
) -> Result<Json<CredentialsView>> {
    let own = own::find(&state, principal.user_id, id).await?;
    rate::take(&state, PER_USER, &principal.user_id.to_string()).await?;
    let all = shown::show(&state, &own, &trace.actor(&principal)).await?;
    Ok(Json(CredentialsView { items: all.into_iter().map(CredentialView::from).collect() }))
}
