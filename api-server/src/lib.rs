//! Nakhoda's REST API. So far it answers only for its own health.

use axum::{Json, Router, routing::get};
use serde_json::{Value, json};

/// The routes.
pub fn router() -> Router {
    Router::new().route("/healthz", get(health)).route("/readyz", get(health))
}

/// Whether the process answers.
async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{body::Body, http::Request, http::StatusCode};
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    #[tokio::test]
    async fn it_says_that_it_is_well() {
        let request = Request::get("/healthz").body(Body::empty()).unwrap();
        let answer = router().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(&answer.into_body().collect().await.unwrap().to_bytes()[..], br#"{"status":"ok"}"#);
    }
}
