//! Midtrans, the gateway: Snap, where customers pay, and the Core API, which tells what became of it. What it says is read here and judged
//! elsewhere ([`super::judge`]); nothing here knows the database, the clock or who asks.

pub mod amount;
mod answer;
mod core;
pub mod notification;
mod observed;
mod order_id;
mod snap;
pub mod time;

#[cfg(test)]
mod tests;

pub use core::Ended;
pub use observed::{Fraud, Observed, ObservedError, Refund, Status};
pub use order_id::{NotOurs, OrderId};
pub use snap::{NewPage, Page, PageEnded};

use crate::config::{self, ConfigError, MidtransEnvironment};
use answer::Answer;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use notification::Keys;
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret as _, SecretString};
use std::{fmt, sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use url::Url;

/// How long it may take to reach Midtrans.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one call may take in all, waiting for its turn included.
const CALL: Duration = Duration::from_secs(20);
/// The most bytes of an answer.
const LARGEST_ANSWER: usize = 1024 * 1024;
/// Where Midtrans is told to send an order's notifications.
const OVERRIDE: HeaderName = HeaderName::from_static("x-override-notification");

impl MidtransEnvironment {
    const fn snap_url(self) -> &'static str {
        match self {
            Self::Sandbox => "https://app.sandbox.midtrans.com/snap/v1",
            Self::Production => "https://app.midtrans.com/snap/v1",
        }
    }

    const fn core_url(self) -> &'static str {
        match self {
            Self::Sandbox => "https://api.sandbox.midtrans.com",
            Self::Production => "https://api.midtrans.com",
        }
    }
}

/// Why the settings can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A key can't be read.
    #[error(transparent)]
    Key(#[from] ConfigError),
    /// An address is none of a server.
    #[error("{flag} must be an http or https address, without user, query and fragment")]
    Url {
        /// The setting.
        flag: &'static str,
    },
    /// Real money in the clear.
    #[error("{flag} must be an https address with --midtrans-environment production")]
    NotHttps {
        /// The setting.
        flag: &'static str,
    },
    /// There is no client.
    #[error("the client of Midtrans can't be made")]
    Client(#[from] reqwest::Error),
}

/// Why nobody knows whether Midtrans did what it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
    /// It can't be reached, or the connection broke.
    #[error("no connection, or one that broke")]
    Connection,
    /// A code by which anything may have happened.
    #[error("answered {0}")]
    Answered(u16),
    /// What no API says, such as a proxy's page.
    #[error("answered {0} and something that is no JSON")]
    NotJson(u16),
    /// More than anybody reads.
    #[error("answered more than {LARGEST_ANSWER} bytes")]
    TooLarge,
    /// The same call is still at work there.
    #[error("the same call is still at work")]
    AtWork,
}

/// Why a call had no success.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It may have been done or not. It may be tried again, for no call here does harm twice.
    #[error("Midtrans gave no clear answer: {0}")]
    Unknown(#[from] Unclear),
    /// It says no, and would again.
    #[error("Midtrans refuses with {status_code}: {}", messages.join("; "))]
    Refused {
        /// Its code, of the body or of HTTP.
        status_code: u16,
        /// What it says.
        messages: Vec<String>,
    },
    /// The order may be under way or paid: ask for its status.
    #[error("Midtrans has had this order before: {}", messages.join("; "))]
    OrderUsed {
        /// What it says.
        messages: Vec<String>,
    },
    /// The key is not known there.
    #[error(
        "Midtrans does not know the server key: look at NAKHODA_MIDTRANS_SERVER_KEY (or its _FILE), which must be a server key, no client key, and at NAKHODA_MIDTRANS_ENVIRONMENT, which must name the environment that it belongs to"
    )]
    Unauthorised,
    /// It speaks otherwise than is known here.
    #[error("Midtrans' answer can't be read: {0}")]
    Unreadable(String),
}

impl CallError {
    /// Whether the same call may end better a little later.
    pub const fn is_worth_repeating(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    /// One word for metrics.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "unknown",
            Self::Refused { .. } => "refused",
            Self::OrderUsed { .. } => "order_used",
            Self::Unauthorised => "unauthorised",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

/// The way to Midtrans. Copies share the connections and the bound on calls.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    bound: Duration,
}

struct Shared {
    http: reqwest::Client,
    snap: String,
    core: String,
    authorization: HeaderValue,
    notification_url: Option<HeaderValue>,
    keys: Keys,
    places: Semaphore,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { snap, core, .. } = &*self.shared;
        f.debug_struct("Client").field("snap", snap).field("core", core).finish_non_exhaustive()
    }
}

impl Client {
    /// One by these settings; none where there is no key, and then payments are off.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn new(settings: &config::Midtrans) -> Result<Option<Self>, SettingsError> {
        let environment = settings.midtrans_environment;
        let address = |flag, given: Option<&Url>, known: &'static str| match given {
            Some(url) => check(flag, url, environment),
            None => Ok(known.to_owned()),
        };
        let snap =
            address("--midtrans-snap-url", settings.midtrans_snap_url.as_ref(), environment.snap_url())?;
        let core =
            address("--midtrans-core-url", settings.midtrans_core_url.as_ref(), environment.core_url())?;
        let notification_url = settings.midtrans_notification_url.as_ref();
        let notification_url = notification_url.map(header_of).transpose()?;
        let previous = settings.previous_server_key()?;
        let Some(key) = settings.server_key()? else { return Ok(None) };
        let shared = Shared {
            http: http_client(&[&snap, &core])?,
            snap,
            core,
            authorization: authorization(&key)?,
            notification_url,
            keys: Keys::new(key, previous),
            places: Semaphore::new(settings.midtrans_at_once.into()),
        };
        Ok(Some(Self { shared: Arc::new(shared), bound: CALL }))
    }

    /// The same, each call of which takes no longer than this: for somebody who waits.
    #[must_use]
    pub fn within(&self, bound: Duration) -> Self {
        Self { shared: Arc::clone(&self.shared), bound: bound.min(self.bound) }
    }

    /// What notifications are verified with.
    pub fn keys(&self) -> &Keys {
        &self.shared.keys
    }

    /// Makes one call, which ends in time.
    async fn call(
        &self,
        method: Method,
        url: &str,
        body: Option<Vec<u8>>,
        headers: HeaderMap,
    ) -> Result<Answer, CallError> {
        let bounded = async {
            let _place = self.shared.places.acquire().await;
            let request = self.shared.http.request(method, url).headers(headers);
            let request = request.header(AUTHORIZATION, self.shared.authorization.clone());
            let request = match body {
                Some(body) => request.body(body),
                None => request,
            };
            read(request).await
        };
        tokio::time::timeout(self.bound, bounded).await.unwrap_or(Err(Unclear::TimedOut.into()))
    }
}

async fn read(request: reqwest::RequestBuilder) -> Result<Answer, CallError> {
    let broken = |error: reqwest::Error| {
        if error.is_timeout() { Unclear::TimedOut } else { Unclear::Connection }
    };
    let mut response = request.send().await.map_err(broken)?;
    let (http, mut body) = (response.status().as_u16(), Vec::new());
    while let Some(part) = response.chunk().await.map_err(broken)? {
        if body.len() + part.len() > LARGEST_ANSWER {
            return Err(Unclear::TooLarge.into());
        }
        body.extend_from_slice(&part);
    }
    Ok(Answer { http, body })
}

/// The addresses decide about proxies: those of the environment are for the way out of a network, and what is not encrypted stays within.
fn http_client(addresses: &[&str]) -> Result<reqwest::Client, reqwest::Error> {
    let json = HeaderValue::from_static("application/json");
    let headers = HeaderMap::from_iter([(ACCEPT, json.clone()), (CONTENT_TYPE, json)]);
    let builder = reqwest::Client::builder()
        .user_agent(concat!("nakhoda/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .connect_timeout(CONNECT)
        .redirect(Policy::none())
        // What to try again, and when, is the caller's to decide.
        .retry(reqwest::retry::never());
    let is_plain = addresses.iter().any(|it| it.starts_with("http://"));
    if is_plain { builder.no_proxy() } else { builder }.build()
}

/// The key as the name, and no password: the colon belongs to it.
fn authorization(key: &SecretString) -> Result<HeaderValue, ConfigError> {
    let basic = format!("Basic {}", STANDARD.encode(format!("{}:", key.expose_secret())));
    let mut value = HeaderValue::try_from(basic).map_err(|_| ConfigError::MidtransKeyMalformed)?;
    value.set_sensitive(true);
    Ok(value)
}

fn is_plain_address(url: &Url) -> bool {
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    is_web && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
}

fn check(flag: &'static str, url: &Url, environment: MidtransEnvironment) -> Result<String, SettingsError> {
    if !is_plain_address(url) || url.query().is_some() {
        return Err(SettingsError::Url { flag });
    }
    if environment == MidtransEnvironment::Production && url.scheme() != "https" {
        return Err(SettingsError::NotHttps { flag });
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn header_of(url: &Url) -> Result<HeaderValue, SettingsError> {
    let wrong = SettingsError::Url { flag: "--midtrans-notification-url" };
    // Several are separated by commas there, so one must have none.
    if !is_plain_address(url) || url.as_str().contains(',') {
        return Err(wrong);
    }
    HeaderValue::from_str(url.as_str()).map_err(|_| wrong)
}

/// An id as a part of a path, where it can be one.
fn segment(id: &str) -> Option<String> {
    use std::fmt::Write as _;
    if id.is_empty() || id == "." || id == ".." || id.len() > 200 {
        return None;
    }
    let mut escaped = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "%{byte:02X}").ok()?;
        }
    }
    Some(escaped)
}
