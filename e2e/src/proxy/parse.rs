//! Reads an HTTP request as the API server does (`RequestInfoFactory` in k8s.io/apiserver).

use std::fmt::Write as _;

use axum::extract::Query;
use http::{Method, header::CONTENT_TYPE, request::Parts};
use hyper::body::Bytes;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::call::{Preconditions, Request, Verb};

/// The parts of a path under `/api` or `/apis`.
#[derive(Default)]
struct Target<'a> {
    group: &'a str,
    version: &'a str,
    resource: &'a str,
    subresource: Option<String>,
    namespace: Option<&'a str>,
    name: Option<&'a str>,
    /// The deprecated `/api/v1/watch/…`.
    watch: bool,
}

/// Reads the head and the body of a request. `keep_body` says whether the body may stay in the log.
pub(super) fn parse(head: &Parts, body: &Bytes, keep_body: bool) -> Request {
    let path = head.uri.path();
    let target = parse_path(path);
    let query =
        Query::<Vec<(String, String)>>::try_from_uri(&head.uri).map(|Query(it)| it).unwrap_or_default();
    let verb = parse_verb(&head.method, &target, &query);
    let fields = if verb.is_write() { BodyFields::read(body) } else { BodyFields::default() };
    let name = target.name.map(str::to_owned).or_else(|| match verb {
        Verb::Create => fields.metadata.name.clone(),
        Verb::List | Verb::Watch | Verb::DeleteCollection => selected_name(&query),
        _ => None,
    });
    let mut request = Request {
        verb,
        path: path.to_owned(),
        group: target.group.to_owned(),
        version: target.version.to_owned(),
        resource: target.resource.to_owned(),
        subresource: target.subresource,
        namespace: target.namespace.map(str::to_owned),
        name,
        query,
        content_type: head.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).map(str::to_owned),
        body_sha256: (!body.is_empty()).then(|| hexadecimal(&Sha256::digest(body))),
        preconditions: fields.preconditions(),
        body: None,
        dry_run_in_body: !fields.dry_run.is_empty(),
    };
    if keep_body && !body.is_empty() && !request.is_secret() {
        request.body = Some(body.clone());
    }
    request
}

fn parse_path(path: &str) -> Target<'_> {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let mut target = Target::default();
    match segments.next() {
        Some("api") => {}
        Some("apis") => target.group = segments.next().unwrap_or_default(),
        _ => return Target::default(),
    }
    target.version = segments.next().unwrap_or_default();
    let mut rest: Vec<&str> = segments.collect();
    if rest.first() == Some(&"watch") {
        target.watch = true;
        rest.remove(0);
    }
    match rest.as_slice() {
        // `/apis/apps/v1` is discovery, not a resource.
        [] => return Target::default(),
        // The namespace itself, and its own subresources, rather than something in it.
        [resource @ "namespaces", name, own @ ..] if matches!(own, [] | ["status" | "finalize"]) => {
            target.resource = resource;
            (target.namespace, target.name) = (Some(*name), Some(*name));
            target.subresource = own.first().map(|it| (*it).to_owned());
        }
        ["namespaces", namespace, inside @ ..] if !inside.is_empty() => {
            target.namespace = Some(namespace);
            read_object(&mut target, inside);
        }
        cluster_scoped => read_object(&mut target, cluster_scoped),
    }
    target
}

fn read_object<'a>(target: &mut Target<'a>, segments: &[&'a str]) {
    target.resource = segments.first().copied().unwrap_or_default();
    target.name = segments.get(1).copied();
    target.subresource = segments.get(2..).filter(|rest| !rest.is_empty()).map(|rest| rest.join("/"));
}

fn parse_verb(method: &Method, target: &Target<'_>, query: &[(String, String)]) -> Verb {
    let collection = !target.resource.is_empty() && target.name.is_none();
    let watches =
        query.iter().any(|(key, value)| key == "watch" && matches!(value.as_str(), "true" | "1" | ""));
    match *method {
        Method::GET | Method::HEAD if target.watch || (collection && watches) => Verb::Watch,
        Method::GET | Method::HEAD if collection => Verb::List,
        Method::GET | Method::HEAD => Verb::Get,
        Method::POST => Verb::Create,
        Method::PUT => Verb::Update,
        Method::PATCH => Verb::Patch,
        Method::DELETE if collection => Verb::DeleteCollection,
        Method::DELETE => Verb::Delete,
        _ => Verb::Other,
    }
}

fn selected_name(query: &[(String, String)]) -> Option<String> {
    let (_, selector) = query.iter().find(|(key, _)| key == "fieldSelector")?;
    let terms = selector.split(',');
    terms
        .filter_map(|term| term.strip_prefix("metadata.name="))
        .map(|name| name.trim_start_matches('='))
        .next()
        .map(str::to_owned)
}

/// SHA-256 and the like, for reading.
fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a `String` can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The few fields of a request body that matter here: of an object, or of `DeleteOptions`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct BodyFields {
    metadata: BodyMeta,
    preconditions: Option<BodyMeta>,
    dry_run: Vec<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct BodyMeta {
    name: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
}

impl BodyFields {
    /// A body that is not a JSON object (a JSON patch, protobuf) has none of them.
    fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    fn preconditions(&self) -> Preconditions {
        let meta = self.preconditions.as_ref().unwrap_or(&self.metadata);
        Preconditions { uid: meta.uid.clone(), resource_version: meta.resource_version.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(method: &str, uri: &str, body: &str) -> Request {
        let request = http::Request::builder().method(method).uri(uri).body(()).unwrap();
        let (head, ()) = request.into_parts();
        parse(&head, &Bytes::copy_from_slice(body.as_bytes()), true)
    }

    /// verb, group, version, resource, subresource, namespace, name; `-` for none.
    fn summary(request: &Request) -> String {
        let or_dash = |it: &Option<String>| it.clone().unwrap_or_else(|| "-".into());
        let plain = |it: &str| if it.is_empty() { "-".to_owned() } else { it.to_owned() };
        [
            request.verb.to_string(),
            plain(&request.group),
            plain(&request.version),
            plain(&request.resource),
            or_dash(&request.subresource),
            or_dash(&request.namespace),
            or_dash(&request.name),
        ]
        .join(" ")
    }

    #[test]
    fn a_request_is_read_as_the_api_server_reads_it() {
        let table = [
            ("GET", "/api/v1/namespaces/a/pods/p", "get - v1 pods - a p"),
            ("GET", "/api/v1/namespaces/a/pods", "list - v1 pods - a -"),
            ("GET", "/api/v1/pods?watch=true", "watch - v1 pods - - -"),
            ("GET", "/api/v1/pods?watch=1&fieldSelector=metadata.name%3Dp", "watch - v1 pods - - p"),
            ("GET", "/api/v1/pods?watch=false", "list - v1 pods - - -"),
            ("GET", "/api/v1/watch/namespaces/a/pods", "watch - v1 pods - a -"),
            ("GET", "/api/v1/namespaces/a/pods/p/log?follow=true", "get - v1 pods log a p"),
            ("GET", "/api/v1/namespaces", "list - v1 namespaces - - -"),
            ("GET", "/api/v1/namespaces/a", "get - v1 namespaces - a a"),
            ("PUT", "/api/v1/namespaces/a/finalize", "update - v1 namespaces finalize a a"),
            ("PATCH", "/api/v1/namespaces/a/status", "patch - v1 namespaces status a a"),
            ("POST", "/apis/apps/v1/namespaces/a/deployments", "create apps v1 deployments - a from-body"),
            ("PUT", "/apis/apps/v1/namespaces/a/deployments/d", "update apps v1 deployments - a d"),
            (
                "PATCH",
                "/apis/apps/v1/namespaces/a/deployments/d/scale",
                "patch apps v1 deployments scale a d",
            ),
            ("POST", "/api/v1/namespaces/a/pods/p/eviction", "create - v1 pods eviction a p"),
            ("DELETE", "/apis/n.id/v1/namespaces/a/instances/i", "delete n.id v1 instances - a i"),
            ("DELETE", "/apis/n.id/v1/namespaces/a/instances", "deletecollection n.id v1 instances - a -"),
            ("PATCH", "/apis/n.id/v1/tenants/t/status", "patch n.id v1 tenants status - t"),
            ("GET", "/apis/apps/v1", "get - - - - - -"),
            ("GET", "/version", "get - - - - - -"),
            ("OPTIONS", "/api/v1/pods", "other - v1 pods - - -"),
        ];
        for (method, uri, expected) in table {
            let request = parsed(method, uri, r#"{"metadata":{"name":"from-body"}}"#);
            assert_eq!(summary(&request), expected, "{method} {uri}");
        }
    }

    #[test]
    fn preconditions_come_from_delete_options_or_the_object() {
        let delete = parsed("DELETE", "/api/v1/namespaces/a/pods/p", r#"{"preconditions":{"uid":"u"}}"#);
        assert_eq!(delete.preconditions, Preconditions { uid: Some("u".into()), resource_version: None });
        let update =
            parsed("PUT", "/api/v1/namespaces/a/pods/p", r#"{"metadata":{"uid":"u","resourceVersion":"7"}}"#);
        assert_eq!(update.preconditions.resource_version.as_deref(), Some("7"));
    }

    #[test]
    fn the_body_of_a_secret_is_hashed_and_not_kept() {
        let body = r#"{"metadata":{"name":"s"},"data":{"password":"aHVudGVyMg=="}}"#;
        let secret = parsed("POST", "/api/v1/namespaces/a/secrets", body);
        assert_eq!(secret.body_sha256.as_deref().map(str::len), Some(64));
        assert!(secret.body.is_none() && !format!("{secret:?}").contains("aHVudGVyMg"));
        let other = parsed("POST", "/api/v1/namespaces/a/configmaps", body);
        assert_eq!(other.body.as_deref(), Some(body.as_bytes()));
    }

    #[test]
    fn questions_and_dry_runs_are_not_writes() {
        assert!(parsed("POST", "/api/v1/namespaces/a/pods", "{}").is_write());
        assert!(!parsed("POST", "/api/v1/namespaces/a/pods?dryRun=All", "{}").is_write());
        assert!(!parsed("DELETE", "/api/v1/namespaces/a/pods/p", r#"{"dryRun":["All"]}"#).is_write());
        assert!(!parsed("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "{}").is_write());
        assert!(!parsed("POST", "/api/v1/namespaces/a/serviceaccounts/s/token", "{}").is_write());
    }

    #[test]
    fn an_empty_body_has_no_hash() {
        assert_eq!(parsed("DELETE", "/api/v1/namespaces/a/pods/p", "").body_sha256, None);
    }
}
