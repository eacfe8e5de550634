//! The API server's way of saying no: a `Status` object.

use http::{HeaderValue, Response, header};
use serde_json::{Value, json};

use super::{body, call::Request};

/// An answer made up by a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    reason: Option<String>,
}

impl Reply {
    /// This code with the reason the API server usually gives: 401 `Unauthorized`, 403 `Forbidden`,
    /// 404 `NotFound`, 409 `Conflict`, 410 `Expired`, 422 `Invalid`, 429 `TooManyRequests` with
    /// `Retry-After: 1`, 500 `InternalError`, 503 `ServiceUnavailable`, 504 `Timeout`.
    pub fn code(code: u16) -> Self {
        Self { code, reason: None }
    }

    /// The 409 of a create whose object is already there.
    pub fn already_exists() -> Self {
        Self::code(409).reason("AlreadyExists")
    }

    /// Another reason.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// The status code as it will be sent; one that HTTP doesn't know becomes 500.
    pub(super) fn status(&self) -> u16 {
        http::StatusCode::from_u16(self.code).map_or(500, |it| it.as_u16())
    }

    /// The `Status` object for this request.
    pub(super) fn to_json(&self, request: &Request) -> Value {
        let reason = self.reason.as_deref().unwrap_or_else(|| usual_reason(self.code));
        let mut details = json!({});
        if let Some(name) = &request.name {
            details["name"] = json!(name);
        }
        if !request.group.is_empty() {
            details["group"] = json!(request.group);
        }
        if !request.resource.is_empty() {
            // The API server writes the plural resource here too, when it knows no kind.
            details["kind"] = json!(request.resource);
        }
        if self.code == 429 {
            details["retryAfterSeconds"] = json!(1);
        }
        json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message(reason, request),
            "reason": reason,
            "details": details,
            "code": self.status(),
        })
    }

    /// The whole answer to this request.
    pub(super) fn to_response(&self, request: &Request) -> Response<body::Body> {
        let mut response = Response::new(body::full(self.to_json(request).to_string()));
        *response.status_mut() = http::StatusCode::from_u16(self.status()).unwrap_or_default();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.code == 429 {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// The event with which the API server tells a watcher that it can't go on from where it is.
pub(super) fn expired_event(request: &Request) -> String {
    let status = Reply::code(410).to_json(request);
    format!("{}\n", json!({ "type": "ERROR", "object": status }))
}

fn usual_reason(code: u16) -> &'static str {
    match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        406 => "NotAcceptable",
        409 => "Conflict",
        410 => "Expired",
        413 => "RequestEntityTooLarge",
        415 => "UnsupportedMediaType",
        422 => "Invalid",
        429 => "TooManyRequests",
        502 | 503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    }
}

fn message(reason: &str, request: &Request) -> String {
    let kind = match request.group.as_str() {
        "" => request.resource.clone(),
        group => format!("{}.{group}", request.resource),
    };
    let object = format!("{kind} \"{}\"", request.name.as_deref().unwrap_or_default());
    match reason {
        "Unauthorized" => "Unauthorized".into(),
        "Forbidden" => format!("{object} is forbidden: injected by the fault proxy"),
        "NotFound" => format!("{object} not found"),
        "AlreadyExists" => format!("{object} already exists"),
        "Conflict" => format!(
            "Operation cannot be fulfilled on {object}: the object has been modified; please apply your \
             changes to the latest version and try again"
        ),
        "Expired" => "too old resource version: 1 (2)".into(),
        "Invalid" => format!("{object} is invalid: injected by the fault proxy"),
        "TooManyRequests" => "the server has received too many requests, please try again later".into(),
        "Timeout" => "request did not complete within the allotted timeout".into(),
        other => format!("{other}: injected by the fault proxy"),
    }
}
