//! What happens around every request: its id, its log line, its numbers, the headers of every answer, and the body of a problem.

use super::{
    problem::{Code, Problem},
    rate::{self, Standing},
};
use crate::{random, state::State};
use axum::{
    extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State as Extract},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts},
    middleware::Next,
    response::Response,
};
use ipnet::IpNet;
use std::{
    cell::Cell,
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};
use tracing::Instrument as _;

/// The header with a request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The id of a request: its sender's, if it is a decent one, or our own.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

impl RequestId {
    fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        let is_decent = |id: &&str| {
            (8..=64).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        Self(given.filter(is_decent).map_or_else(random::request_id, str::to_owned))
    }
}

/// Where a request comes from, seen through the proxies that are trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    fn of(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).to_canonical();
        let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
        let named = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = named.flat_map(|value| value.split(',')).map(str::trim).collect();
        let mut address = peer;
        // From the nearest hop on, as far as each was named by somebody who is trusted.
        for hop in hops.iter().rev() {
            let Ok(next) = hop.parse::<IpAddr>() else { break };
            if !is_trusted(&address) {
                break;
            }
            address = next.to_canonical();
        }
        Self(address)
    }

    /// What is counted as one sender: the address, of IPv6 its /64.
    pub fn network(self) -> String {
        match self.0 {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_else(|| Self(random::request_id())))
    }
}

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or(Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED))))
    }
}

/// The outermost layer.
pub async fn around(Extract(state): Extract<Arc<State>>, mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let address = ClientAddress::of(peer, request.headers(), &state.http.trusted_proxies);
    let method = method(&request);
    request.extensions_mut().insert(id.clone());
    request.extensions_mut().insert(address);
    // The path as it is routed: an id in it is none of the log's business, and no label of a metric.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "(none)".to_owned(), |path| path.as_str().to_owned());
    let span = tracing::info_span!("request", request.id = %id.0, http.method = method, http.route = route, user.id = tracing::field::Empty);
    let begun = Instant::now();
    let limit = Duration::from_secs(state.http.request_timeout_seconds);
    let answer = async {
        let answered = tokio::time::timeout(limit, next.run(request)).instrument(span.clone()).await;
        (answered, rate::STANDING.with(Cell::take))
    };
    let (answered, standing) = rate::STANDING.scope(Cell::new(None), answer).await;
    let mut response = answered
        .unwrap_or_else(|_| axum::response::IntoResponse::into_response(Problem::new(Code::TimedOut)));
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let headers = std::mem::take(response.headers_mut());
        response = problem.answer(&id.0);
        for (name, value) in &headers {
            response.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
    }
    let took = begun.elapsed();
    state.metrics.answered(method, &route, response.status().as_u16(), took);
    let _in_span = span.enter();
    tracing::info!(
        http.status = response.status().as_u16(),
        took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "answered"
    );
    if let Some(standing) = standing {
        show(standing, response.headers_mut());
    }
    finish(&state, response, &id)
}

/// The method, of which there are few: anybody can send any word as one, and each would be kept for ever.
fn method(request: &Request) -> &'static str {
    match *request.method() {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

fn show(standing: Standing, headers: &mut HeaderMap) {
    headers.insert("ratelimit-limit", standing.limit.into());
    headers.insert("ratelimit-remaining", standing.remaining.into());
    headers.insert("ratelimit-reset", standing.reset_seconds.into());
}

fn finish(state: &State, mut response: Response, id: &RequestId) -> Response {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, id);
    }
    let unless_said = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    for (name, value) in unless_said {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if state.http.hsts {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000; includeSubDomains"),
        );
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &str, trusted: &str) -> String {
        let headers = HeaderMap::from_iter([(FORWARDED_FOR, HeaderValue::from_str(forwarded).unwrap())]);
        let trusted: Vec<IpNet> = trusted.split(',').filter_map(|one| one.parse().ok()).collect();
        ClientAddress::of(peer.parse().ok(), &headers, &trusted).0.to_string()
    }

    #[test]
    fn only_trusted_proxies_say_where_a_request_comes_from() {
        assert_eq!(seen("203.0.113.9", "198.51.100.1", ""), "203.0.113.9", "anybody can write the header");
        assert_eq!(seen("10.0.0.1", "198.51.100.1", "10.0.0.0/8"), "198.51.100.1");
        assert_eq!(
            seen("10.0.0.1", "1.1.1.1, 198.51.100.1, 10.0.0.7", "10.0.0.0/8"),
            "198.51.100.1",
            "the rest is invented"
        );
        assert_eq!(seen("10.0.0.1", "1.1.1.1, nonsense", "10.0.0.0/8"), "10.0.0.1");
    }

    #[test]
    fn one_sender_has_a_whole_network_of_ipv6() {
        let network = |address: &str| ClientAddress(address.parse().unwrap()).network();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2::1"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
    }

    #[test]
    fn an_id_that_could_disturb_a_log_is_replaced() {
        let of = |id: &'static str| {
            RequestId::of(&HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_static(id))])).0
        };
        assert_eq!(of("0123-abcd"), "0123-abcd");
        assert_ne!(of("a b c d e f g"), "a b c d e f g");
        assert_ne!(of("short"), "short");
    }
}
