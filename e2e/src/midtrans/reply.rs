//! Answers in the gateway's two shapes, and what faults make of them.

use std::time::Duration;

use axum::Json;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::faults::Fault;
use super::server::Line;

/// What a proxy in front of the gateway shows.
const BAD_GATEWAY: &str =
    "<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>";

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// JSON.
    Json(StatusCode, Value),
    /// The page of something in between.
    Html(StatusCode, String),
}

impl Reply {
    /// JSON with a status.
    pub fn json(status: u16, body: Value) -> Self {
        Self::Json(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body)
    }

    /// A refusal in Snap's shape.
    pub fn snap(status: u16, messages: &[impl AsRef<str>]) -> Self {
        let messages: Vec<&str> = messages.iter().map(AsRef::as_ref).collect();
        Self::json(status, json!({"error_messages": messages}))
    }

    /// A short answer in the Core API's shape.
    pub fn core(status: u16, code: &str, message: &str) -> Self {
        let id = Uuid::new_v4().to_string();
        Self::json(status, json!({"status_code": code, "status_message": message, "id": id}))
    }

    /// Whether it did what was asked: 407 is the success of expire, and 202 a refusal of the bank.
    pub fn is_success(&self) -> bool {
        let Self::Json(status, body) = self else { return false };
        status.is_success() && matches!(body["status_code"].as_str(), Some("200" | "201" | "407"))
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        match self {
            Self::Json(status, body) => (status, Json(body)).into_response(),
            Self::Html(status, page) => (status, Html(page)).into_response(),
        }
    }
}

/// Which shape errors have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Snap's.
    Snap,
    /// The Core API's.
    Core,
}

/// Carries something out as the fault will have it. `told` hears of the answer before it leaves, if it leaves or not.
pub async fn under(
    fault: Option<Fault>,
    shape: Shape,
    line: &Line,
    carry_out: impl FnOnce() -> Reply,
    told: impl FnOnce(&Reply),
) -> Reply {
    let failed = |status: u16, code: &str, message: &str| match shape {
        Shape::Snap => Reply::snap(status, &[message]),
        Shape::Core => Reply::core(status, code, message),
    };
    match fault {
        Some(Fault::Http500) => return failed(500, "500", "Sorry, we encountered internal server error."),
        Some(Fault::TooMany) => return failed(429, "429", "Too many requests."),
        Some(Fault::Html502) => return Reply::Html(StatusCode::BAD_GATEWAY, BAD_GATEWAY.to_owned()),
        Some(Fault::Nothing) => line.hang_up().await,
        Some(Fault::Delay { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
        _ => {}
    }
    let reply = carry_out();
    if let Some(Fault::Stall { ms }) = fault {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    told(&reply);
    if fault == Some(Fault::ClosedAfterDone) {
        line.hang_up().await;
    }
    reply
}
