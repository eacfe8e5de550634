//! `/healthz`, `/readyz` (names what is not ready) and `/metrics`.

use crate::{cache::ChildCache, context::Context, metrics::Metrics, reflect::Caches};
use axum::{Router, extract::State, http::StatusCode, routing::get};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the answers are made from.
#[derive(Clone)]
pub struct Health {
    /// Nakhoda's own kinds.
    pub caches: Arc<Caches>,
    /// Child objects.
    pub children: Arc<ChildCache>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// For counts.
    pub context: Arc<Context>,
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

/// Ready once every cache is filled: a standby is ready to take over, too.
async fn ready(State(health): State<Health>) -> (StatusCode, String) {
    let mut missing: Vec<String> = health.caches.unsynced().into_iter().map(str::to_owned).collect();
    missing.extend(health.children.unsynced().into_iter().map(|kind| kind.name().to_owned()));
    if missing.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("not listed yet: {}\n", missing.join(", ")))
    }
}

async fn metrics(State(health): State<Health>) -> String {
    let mut phases: BTreeMap<String, i64> =
        crds::instance::Phase::ALL.iter().map(|phase| (format!("{phase:?}"), 0)).collect();
    let mut hands_off = 0;
    for instance in health.caches.instances.state() {
        if let Some(phase) = instance.status.as_ref().and_then(|status| status.phase) {
            *phases.entry(format!("{phase:?}")).or_default() += 1;
        }
        let annotations = instance.metadata.annotations.as_ref();
        hands_off += i64::from(
            annotations.is_some_and(|all| all.get(crds::labels::RECONCILE).is_some_and(|v| v == "disabled")),
        );
    }
    let phases: Vec<(String, i64)> = phases.into_iter().collect();
    health.metrics.counted(&phases, hands_off, health.context.backoff.waiting());
    health.metrics.text()
}
