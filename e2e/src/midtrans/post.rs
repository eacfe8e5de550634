//! The HTTP of a notification.

use std::time::Duration;

use anyhow::{Context as _, Result};
use http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

/// How often a redirect is followed.
const HOPS: usize = 5;

/// Sends bodies to addresses, over connections that are kept.
#[derive(Debug)]
pub struct Post(Client);

impl Post {
    /// One that waits so long for an answer.
    pub fn new(timeout: Duration) -> Result<Self> {
        let client = Client::builder().redirect(Policy::none()).timeout(timeout).no_proxy();
        Ok(Self(client.build().context("no HTTP client for notifications")?))
    }

    /// Posts it, following the two redirects that keep the method; the last answer's status, or why there was none.
    pub async fn send(&self, url: &str, body: &str) -> Result<u16, String> {
        let mut url = Url::parse(url).map_err(|error| error.to_string())?;
        for _ in 0..=HOPS {
            let request = self.0.post(url.clone()).header(CONTENT_TYPE, "application/json");
            let sent = request.header(ACCEPT, "application/json").body(body.to_owned()).send();
            let answer = sent.await.map_err(|error| format!("{error:?}"))?;
            let code = answer.status().as_u16();
            let there = answer.headers().get(LOCATION).and_then(|there| there.to_str().ok());
            let there = there.and_then(|there| url.join(there).ok());
            // Read to its end, so that the connection is used again.
            answer.bytes().await.map_err(|error| format!("{error:?}"))?;
            match (code, there) {
                (307 | 308, Some(there)) => url = there,
                _ => return Ok(code),
            }
        }
        Err(format!("more than {HOPS} redirects"))
    }
}
