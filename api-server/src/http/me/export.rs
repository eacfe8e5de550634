//! `GET /me/export`

use crate::{
    clock,
    http::{
        App,
        auth::CurrentUser,
        problem::Result,
        view::{SessionView, UserView},
    },
    sessions,
    users::account,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderName, header},
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// Everything that is kept of somebody.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Export {
    /// When it was gathered.
    exported_at: Timestamp,
    /// The profile.
    profile: UserView,
    /// The sessions that stand.
    sessions: Vec<SessionView>,
}

/// Download what is kept of oneself.
#[utoipa::path(
    get,
    path = "/me/export",
    tag = "me",
    security(("access_token" = [])),
    responses(
        (status = 200, body = Export, headers(("Content-Disposition" = String, description = "A name for the file."))),
    ),
)]
pub(super) async fn export(
    State(state): App,
    CurrentUser(principal): CurrentUser,
) -> Result<([(HeaderName, &'static str); 1], Json<Export>)> {
    let now = state.clock.now();
    let profile = account::of(&state, &principal).await?.into();
    let all = sessions::list(&state.db, principal.user_id, now, clock::before(now, sessions::IDLE)).await?;
    let sessions = all.into_iter().map(|session| SessionView::new(session, principal.session_id)).collect();
    let name = [(header::CONTENT_DISPOSITION, "attachment; filename=\"nakhoda_export.json\"")];
    Ok((name, Json(Export { exported_at: now, profile, sessions })))
}
