//! How the process is: for whoever restarts it, sends it traffic, and measures it.

use crate::{
    cluster::watch::{SHOWN, Standing},
    db::{self, Level},
    http::App,
};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The process answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Whether the process can do its work.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether it can.
    ready: bool,
    /// What is missing, each in a sentence that says what to do.
    missing: Vec<String>,
    /// What is noteworthy and keeps nobody from working.
    notes: Vec<String>,
}

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<crate::state::State>> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz)).routes(routes!(metrics))
}

/// Whether the process answers.
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200, body = Health)))]
async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether the process can do its work, and what is missing.
#[utoipa::path(get, path = "/readyz", tag = "operations", responses(
    (status = 200, body = Readiness),
    (status = 503, body = Readiness, description = "Something is missing."),
))]
async fn readyz(State(state): App) -> Response {
    let (mut missing, mut notes) = (Vec::new(), Vec::new());
    match db::check(&state.db).await {
        Ok(Level::Current) => {}
        Ok(Level::Newer { found }) => {
            notes.push(format!("the database is migrated up to {found}, by a newer version"));
        }
        Err(error) => missing.push(error.to_string()),
    }
    if !state.keys.is_ready(state.clock.now()) {
        missing.push("no signing key could be read yet".to_owned());
    }
    // Whoever needs no cluster is served without it, so it takes no replica out of service.
    let watched = if state.cluster.is_there() { &state.cluster.watches().standing()[..] } else { &[] };
    for Standing { kind, .. } in watched.iter().filter(|one| !one.is_ready) {
        notes.push(format!("no {kind} could be read from the cluster yet: what needs them answers 503"));
    }
    for Standing { kind, .. } in watched.iter().filter(|one| one.is_stale()) {
        notes.push(format!(
            "the cluster says nothing of any {kind} for more than {} seconds",
            SHOWN.as_secs()
        ));
    }
    let ready = missing.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, missing, notes })).into_response()
}

/// What is counted, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses(
    (status = 200, body = String, content_type = "application/openmetrics-text"),
))]
async fn metrics(State(state): App) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], state.metrics.render(&state.db, &state.hasher, state.cluster.watches()))
        .into_response()
}
