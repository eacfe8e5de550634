//! Calls to an API server, wherever it runs.

use std::time::Duration;

use anyhow::{Result, bail};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::wait;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// Somebody who calls it.
#[derive(Clone, Debug)]
pub struct ApiClient {
    url: String,
}

impl ApiClient {
    /// Calls the one at this address.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into() }
    }

    /// Its address for people.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Calls it with JSON, as the holder of an access token or as nobody.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value)> {
        let (status, _, answer) = self.exchange(method, path, token, &[], body).await?;
        Ok((status, answer))
    }

    /// The same with headers of the request, and those of the answer.
    pub async fn exchange(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<(StatusCode, HeaderMap, Value)> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = token {
            request = request.header(http::header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let sent = match body {
            Some(body) => {
                request = request.header(http::header::CONTENT_TYPE, "application/json");
                Full::new(Bytes::from(serde_json::to_vec(body)?)).boxed()
            }
            None => Empty::new().boxed(),
        };
        let client = Client::builder(TokioExecutor::new()).build_http();
        let answered =
            wait::within("the API server's answer", ANSWER, client.request(request.body(sent)?)).await?;
        let (parts, body) = answered.into_parts();
        let bytes = body.collect().await?.to_bytes();
        Ok((parts.status, parts.headers, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }

    /// Calls it and takes nothing but success.
    pub async fn must(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Value> {
        let (status, answer) = self.call(method, path, token, body).await?;
        if !status.is_success() {
            bail!("{method} {path}: {status}: {answer}");
        }
        Ok(answer)
    }
}
