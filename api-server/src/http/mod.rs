//! The REST surface: every route, and what lies around all of them.

pub mod admin;
pub mod amount;
pub mod auth;
pub mod body;
pub mod catalog;
pub mod changes;
pub mod etag;
pub mod health;
pub mod idempotency;
pub mod inherited;
pub mod instances;
pub mod json;
pub mod me;
pub mod openapi;
pub mod pagination;
pub mod path;
pub mod problem;
pub mod public;
pub mod query;
pub mod quota;
pub mod rate;
pub mod request;
pub mod sign_in;
pub mod streams;
pub mod subscriptions;
pub mod top_ups;
pub mod view;
pub mod wallet;
pub mod webhooks;

use crate::state::State;
use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderName, HeaderValue, Method, header},
    middleware,
};
use problem::{Code, Problem};
use std::{sync::Arc, time::Duration};
use tower_http::{catch_panic::CatchPanicLayer, cors::CorsLayer};
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

/// What all requests share, as handlers get it.
pub type App = axum::extract::State<Arc<State>>;

/// What anybody may call. Every other route refuses whoever is not logged in; a test walks them all.
pub const PUBLIC: &[(&str, &str)] = &[
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/api/v1/.well-known/jwks.json"),
    ("POST", "/api/v1/auth/register"),
    ("POST", "/api/v1/auth/login"),
    ("POST", "/api/v1/auth/refresh"),
    ("POST", "/api/v1/auth/logout"),
    ("POST", "/api/v1/auth/email/verify"),
    ("POST", "/api/v1/auth/email/resend"),
    ("POST", "/api/v1/auth/password/forgot"),
    ("POST", "/api/v1/auth/password/reset"),
    ("POST", "/api/v1/webhooks/midtrans"),
    ("GET", "/api/v1/catalog/categories"),
    ("GET", "/api/v1/catalog/services"),
    ("GET", "/api/v1/catalog/services/{slug}"),
    ("GET", "/api/v1/catalog/services/{slug}/plans"),
    ("GET", "/api/v1/catalog/plans/{name}"),
];

/// All documented routes.
pub fn routes() -> OpenApiRouter<Arc<State>> {
    let api = OpenApiRouter::new()
        .merge(sign_in::routes())
        .merge(me::routes())
        .merge(top_ups::routes())
        .merge(webhooks::routes())
        .merge(wallet::routes())
        .merge(subscriptions::routes())
        .merge(instances::routes())
        .merge(catalog::routes())
        .merge(admin::routes());
    OpenApiRouter::with_openapi(openapi::Document::openapi()).merge(health::routes()).nest("/api/v1", api)
}

/// The service.
pub fn router(state: &Arc<State>) -> Router {
    let (router, document) = openapi::split(routes());
    around(router.merge(openapi::routes(&document)), state)
}

/// What a process that only does background work serves: how it is.
pub fn router_of_worker(state: &Arc<State>) -> Router {
    around(OpenApiRouter::new().merge(health::routes()).split_for_parts().0, state)
}

/// Lays around routes what lies around all of them.
pub fn around(router: Router<Arc<State>>, state: &Arc<State>) -> Router {
    let limit = usize::try_from(state.http.body_limit_bytes).unwrap_or(usize::MAX);
    router
        .fallback(async || Problem::new(Code::NoRoute))
        .method_not_allowed_fallback(async || Problem::new(Code::NoMethod))
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            tracing::error!("a handler panicked");
            axum::response::IntoResponse::into_response(Problem::new(Code::Internal))
        }))
        .layer(DefaultBodyLimit::max(limit))
        .layer(cors(&state.http.cors_origins))
        .layer(middleware::from_fn_with_state(Arc::clone(state), request::around))
        .with_state(Arc::clone(state))
}

fn cors(origins: &[String]) -> CorsLayer {
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    let exposed = [
        request::REQUEST_ID,
        header::ETAG,
        header::LOCATION,
        header::CONTENT_DISPOSITION,
        idempotency::REPLAYED,
        header::RETRY_AFTER,
        HeaderName::from_static("ratelimit-limit"),
        HeaderName::from_static("ratelimit-remaining"),
        HeaderName::from_static("ratelimit-reset"),
    ];
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            request::REQUEST_ID,
            idempotency::KEY,
            subscriptions::LAST_EVENT_ID,
        ])
        .expose_headers(exposed)
        .max_age(Duration::from_hours(1))
}
