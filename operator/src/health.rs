//! `/healthz`, `/readyz` (names what is not ready) and `/metrics`.

use crate::{context::Context, metrics::Scrape};
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The format of the metrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the answers are made from.
#[derive(Clone)]
pub struct Health {
    context: Arc<Context>,
    scrape: Arc<Scrape>,
}

impl Health {
    /// Answers from what the context knows.
    pub fn new(context: Arc<Context>) -> Self {
        Self { scrape: Arc::new(Scrape::new(Arc::clone(&context))), context }
    }
}

/// Serves until `stop`.
///
/// # Errors
/// When the address can't be listened on.
pub async fn serve(address: SocketAddr, health: Health, stop: CancellationToken) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "health and metrics are served");
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health);
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// Ready once every cache is filled: a standby is ready to take over, too. Nodes are not waited for: nothing that customers
/// have hangs on them.
async fn ready(State(health): State<Health>) -> (StatusCode, String) {
    let context = &health.context;
    let mut missing: Vec<String> = context.caches.unsynced().into_iter().map(str::to_owned).collect();
    missing.extend(context.children.unsynced().into_iter().map(|kind| kind.name().to_owned()));
    if missing.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("not listed yet: {}\n", missing.join(", ")))
    }
}

async fn metrics(State(health): State<Health>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, OPEN_METRICS)], health.scrape.text())
}
