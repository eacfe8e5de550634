//! Counts the calls to the API server where they leave: by verb, resource and code, with their durations. On the way it
//! learns two things that no API tells: when each watch was last renewed, and how far our clock is from the server's.

use super::Metrics;
use crate::clock::Clock;
use http::{HeaderMap, Request, Response, StatusCode, header};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use prometheus_client::encoding::EncodeLabelSet;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tower::{Layer, Service};

/// An answer that took longer tells the time too badly.
const PROMPT: Duration = Duration::from_secs(1);

/// What was called, and the answer.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Called {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `apply` or `delete`.
    pub verb: &'static str,
    /// The plural, with the subresource: `serviceinstances/status`.
    pub resource: String,
    /// The HTTP status; `none` where there was no answer.
    pub code: String,
}

/// Counts the calls of a client.
#[derive(Clone, Debug)]
pub struct CountCalls {
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
}

impl CountCalls {
    /// Counts into `metrics`.
    pub fn new(metrics: Arc<Metrics>, clock: Arc<dyn Clock>) -> Self {
        Self { metrics, clock }
    }
}

impl<S> Layer<S> for CountCalls {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Counted { inner, count: self.clone() }
    }
}

/// A service whose calls are counted.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    inner: S,
    count: CountCalls,
}

impl<S, A, B> Service<Request<A>> for Counted<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let call = Call::begin(&request, self.count.clone());
        let answer = self.inner.call(request);
        Box::pin(async move {
            // Dropped where nobody waits for the answer any more, which counts, too.
            let mut call = call;
            let answer = answer.await;
            if let Ok(answer) = &answer {
                call.answered(answer.status(), answer.headers());
            }
            answer
        })
    }
}

/// A call under way; counted when it is dropped.
struct Call {
    verb: &'static str,
    resource: String,
    code: Option<StatusCode>,
    begun: Instant,
    count: CountCalls,
}

impl Call {
    fn begin<A>(request: &Request<A>, count: CountCalls) -> Self {
        let (verb, resource) = what(request);
        Self { verb, resource, code: None, begun: Instant::now(), count }
    }

    fn answered(&mut self, code: StatusCode, headers: &HeaderMap) {
        self.code = Some(code);
        if self.verb == "watch" {
            if code.is_success() {
                self.count.metrics.watching(&self.resource, Instant::now());
            }
            return;
        }
        let date = headers.get(header::DATE).and_then(|date| date.to_str().ok());
        if let Some(ahead) = date.and_then(|date| ahead(date, self.count.clock.now()))
            && self.begun.elapsed() < PROMPT
        {
            self.count.metrics.skewed(ahead);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let code = self.code.map_or_else(|| "none".to_owned(), |code| code.as_str().to_owned());
        let called = Called { verb: self.verb, resource: std::mem::take(&mut self.resource), code };
        self.count.metrics.called(called, self.begun.elapsed());
    }
}

/// How far `now` is ahead of an HTTP date, which has whole seconds: up to half a second is nothing.
fn ahead(date: &str, now: Timestamp) -> Option<SignedDuration> {
    let date = rfc2822::parse(date).ok()?.timestamp();
    let ahead = now.duration_since(date) - SignedDuration::from_millis(500);
    Some(if ahead.abs() <= SignedDuration::from_millis(600) { SignedDuration::ZERO } else { ahead })
}

/// Verb and resource of a request, by the API's path rules.
fn what<A>(request: &Request<A>) -> (&'static str, String) {
    let (resource, named) = resource(request.uri().path());
    let query = request.uri().query().unwrap_or_default();
    let watches = query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1"));
    let applies = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|of| of.as_bytes().starts_with(b"application/apply-patch"));
    let verb = match request.method().as_str() {
        "GET" if watches => "watch",
        "GET" if named => "get",
        "GET" => "list",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" if applies => "apply",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "other",
    };
    (verb, resource)
}

/// The resource, and whether the path names one object of it.
fn resource(path: &str) -> (String, bool) {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let rest = match parts.as_slice() {
        ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
        _ => &[],
    };
    let rest = match rest {
        ["namespaces", _namespace, rest @ ..] if !rest.is_empty() => rest,
        other => other,
    };
    match rest {
        [resource] => ((*resource).to_owned(), false),
        [resource, _name] => ((*resource).to_owned(), true),
        [resource, _name, subresource, ..] => (format!("{resource}/{subresource}"), true),
        [] => ("other".to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn asked(method: &str, uri: &str, kind: &str) -> (&'static str, String) {
        let request = Request::builder().method(method).uri(uri).header("content-type", kind);
        what(&request.body(()).unwrap())
    }

    #[test]
    fn a_call_is_known_by_its_verb_and_resource() {
        let own = "/apis/nakhoda.dev/v1alpha1";
        for (method, uri, verb, resource) in [
            ("GET", "/api/v1/pods?labelSelector=a&watch=true&timeoutSeconds=60".to_owned(), "watch", "pods"),
            ("GET", "/api/v1/pods?limit=500".to_owned(), "list", "pods"),
            ("GET", "/api/v1/namespaces/customer-a/secrets/s".to_owned(), "get", "secrets"),
            ("GET", "/api/v1/namespaces/customer-a".to_owned(), "get", "namespaces"),
            ("GET", "/api/v1/namespaces".to_owned(), "list", "namespaces"),
            (
                "PATCH",
                format!("{own}/namespaces/n/serviceinstances/i/status"),
                "apply",
                "serviceinstances/status",
            ),
            ("POST", "/apis/events.k8s.io/v1/namespaces/n/events".to_owned(), "create", "events"),
            ("DELETE", format!("{own}/namespaces/n/serviceinstances/i"), "delete", "serviceinstances"),
            ("GET", "/version".to_owned(), "list", "other"),
        ] {
            let said = asked(method, &uri, "application/apply-patch+yaml");
            assert_eq!(said, (verb, resource.to_owned()), "{method} {uri}");
        }
        assert_eq!(asked("PATCH", "/api/v1/namespaces/n/pods/p", "application/merge-patch+json").0, "patch");
    }

    #[test]
    fn the_servers_date_tells_how_wrong_our_clock_is() {
        let date = "Sat, 21 Nov 2026 12:24:13 GMT";
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let seconds = |text| ahead(date, at(text)).map(|ahead| ahead.as_secs());
        assert_eq!(seconds("2026-11-21T12:24:13.9Z"), Some(0));
        assert_eq!(seconds("2026-11-22T12:24:13.5Z"), Some(86_400));
        assert_eq!(seconds("2026-11-21T12:23:13.5Z"), Some(-60));
        assert_eq!(ahead("yesterday", at("2026-11-21T12:24:13Z")), None);
    }

    #[tokio::test]
    async fn an_answer_and_a_call_that_was_given_up_are_counted() {
        let metrics = Arc::new(Metrics::default());
        let count = CountCalls::new(Arc::clone(&metrics), Arc::new(SystemClock::default()));
        let answers = tower::service_fn(|_: Request<()>| async {
            Ok::<_, std::convert::Infallible>(Response::builder().status(409).body(()).unwrap())
        });
        let request = || Request::get("/api/v1/namespaces/n/pods/p").body(()).unwrap();
        count.layer(answers).call(request()).await.unwrap();
        let hangs = tower::service_fn(|_: Request<()>| {
            std::future::pending::<Result<Response<()>, std::convert::Infallible>>()
        });
        drop(count.layer(hangs).call(request()));
        let counted = |code: &str| {
            let called = Called { verb: "get", resource: "pods".into(), code: code.into() };
            metrics.calls.get_or_create(&called).get()
        };
        assert_eq!((counted("409"), counted("none")), (1, 1));
    }
}
