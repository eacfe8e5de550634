//! Somebody at the public address of an app: through the ingress controller, by the app's host.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::wait;
use reqwest::{Client, Method, StatusCode};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// A visitor of one host, who keeps cookies.
pub struct Visitor {
    client: Client,
    /// `https://HOST`.
    pub url: String,
}

/// What was answered.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body as text.
    pub text: String,
}

impl Visitor {
    /// Somebody for whom the host of `url` is at `address`, as DNS will say it is. The controller's own certificate is taken.
    pub fn new(url: &str, address: Ipv4Addr) -> Result<Self> {
        let host = url.strip_prefix("https://").context("an app has an https address")?.trim_end_matches('/');
        let client = Client::builder()
            .resolve(host, SocketAddr::from((address, 443)))
            .danger_accept_invalid_certs(true)
            .redirect(reqwest::redirect::Policy::none())
            .cookie_store(true)
            .timeout(ANSWER)
            .build()?;
        Ok(Self { client, url: format!("https://{host}") })
    }

    /// Asks for a page.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, &[], None).await
    }

    /// Sends something, as what kind it is.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<Answer> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let answer = request.send().await?;
        Ok(Answer { status: answer.status(), text: answer.text().await? })
    }

    /// Waits until a page is answered so.
    pub async fn until(
        &self,
        path: &str,
        what: &str,
        bound: Duration,
        is_so: impl Fn(&Answer) -> bool,
    ) -> Result<Answer> {
        let mut last = None;
        let found = wait::until(what, bound, async || match self.get(path).await {
            Ok(answer) if is_so(&answer) => Ok(Some(answer)),
            Ok(answer) => {
                last = Some(answer.status);
                Ok(None)
            }
            Err(_) => Ok(None),
        })
        .await;
        found.with_context(|| format!("{}{path} answered {last:?} last", self.url))
    }
}
