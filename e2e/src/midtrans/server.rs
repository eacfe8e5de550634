//! The port: accepts connections, which a fault can break.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::gateway::Gateway;
use super::{control, core_api, core_refund, page, snap};

/// How long to leave the port alone after it failed to accept.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// The connection of a call.
#[derive(Clone, Debug, Default)]
pub struct Line(CancellationToken);

impl Line {
    /// Closes the connection without an answer. It never returns.
    pub async fn hang_up(&self) {
        self.0.cancel();
        std::future::pending::<()>().await;
    }
}

/// All doors.
pub(super) fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/snap/v1/transactions", post(snap::create))
        .route("/snap/v1/transactions/{token}/cancel", post(snap::cancel))
        .route("/snap/v4/redirection/{token}", get(page::show))
        .route("/snap/v4/redirection/{token}/pick/{method}", post(page::pick))
        .route("/snap/v4/redirection/{token}/{answer}", post(page::answer))
        .route("/v2/{id}/status", get(core_api::status))
        .route("/v2/{id}/{verb}", post(core_api::change))
        .route("/v2/{id}/refund/online/direct", post(core_refund::direct))
        .nest("/control", control::router())
        .layer(DefaultBodyLimit::disable())
        .with_state(gateway)
}

/// Accepts until told to stop.
pub(super) async fn accept(listener: TcpListener, router: Router, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream, router.clone(), stop.clone()))),
            // Out of file descriptors, say: trying again at once would only take time from others.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, router: Router, stop: CancellationToken) {
    // Only latency depends on it.
    let _ = stream.set_nodelay(true);
    let line = Line::default();
    let service = service_fn(|mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(line.clone());
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {})) }
    });
    let server = auto::Builder::new(TokioExecutor::new());
    let serving = server.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = line.0.cancelled() => {}
        outcome = serving => if let Err(error) = outcome {
            tracing::debug!(%error, "a connection ended badly");
        },
    }
}
