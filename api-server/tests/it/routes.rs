//! What holds for all routes: who may call them, how they answer what is not asked for, and that the document says so.

use std::collections::BTreeSet;

use anyhow::Result;
use api_server::http;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{Answer, User, World};

/// An id that nothing has.
const NOTHING: &str = "0192a000-0000-7000-8000-000000000000";

/// Every operation of the document: method, path, and what it says.
fn operations() -> Vec<(Method, String, Value)> {
    let document = serde_json::to_value(http::openapi::document()).unwrap();
    let paths = document["paths"].as_object().cloned().unwrap_or_default();
    let mut all = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().into_iter().flatten() {
            all.push((method.to_uppercase().parse().unwrap(), path.clone(), operation.clone()));
        }
    }
    all
}

fn is_public(method: &Method, path: &str) -> bool {
    http::PUBLIC.iter().any(|one| *one == (method.as_str(), path))
}

/// A call of an operation with ids that nothing has.
async fn call(world: &World, method: &Method, path: &str, user: Option<&User>) -> Result<Answer> {
    let mut filled = path.to_owned();
    while let (Some(from), Some(to)) = (filled.find('{'), filled.find('}')) {
        filled.replace_range(from..=to, NOTHING);
    }
    let mut request = world
        .api
        .request(method.clone(), &filled)
        .header("if-match", "*")
        .header("idempotency-key", "routes-test");
    if let Some(user) = user {
        request = request.bearer_auth(&user.access);
    }
    if *method != Method::GET {
        request = request.json(&json!({}));
    }
    world.api.send(request).await
}

#[tokio::test]
async fn every_route_but_the_public_ones_asks_who_it_is() -> Result<()> {
    let world = World::new().await?;
    let user = world.user("ayu").await?;
    let mut guarded = 0;
    for (method, path, operation) in operations() {
        let says_secured = operation["security"][0].get("access_token").is_some();
        assert_eq!(says_secured, !is_public(&method, &path), "{method} {path}: what the document says");
        let nobody = call(&world, &method, &path, None).await?;
        if is_public(&method, &path) {
            assert_ne!(nobody.status, StatusCode::UNAUTHORIZED, "{method} {path}");
            continue;
        }
        guarded += 1;
        assert_eq!(nobody.code(), "auth.required", "{method} {path} lets anybody in");
        if path.starts_with("/api/v1/admin/") {
            assert_eq!(
                call(&world, &method, &path, Some(&user)).await?.code(),
                "auth.forbidden",
                "{method} {path}"
            );
        }
    }
    assert!(guarded >= 8, "{guarded}");
    Ok(())
}

#[test]
fn everything_that_is_public_exists() {
    let known: BTreeSet<(String, String)> =
        operations().into_iter().map(|(method, path, _)| (method.to_string(), path)).collect();
    for (method, path) in http::PUBLIC.iter().filter(|(_, path)| *path != "/openapi.json") {
        assert!(known.contains(&((*method).to_owned(), (*path).to_owned())), "{method} {path}");
    }
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_meant_is_a_problem_with_the_requests_id() -> Result<()> {
    let world = World::new().await?;
    let request = world.api.request(Method::GET, "/nowhere").header("x-request-id", "0123456789-abc");
    let answer = world.api.send(request).await?.expect(StatusCode::NOT_FOUND)?;
    assert_eq!((answer.code(), answer.header("x-request-id")), ("request.no_such_route", "0123456789-abc"));
    assert_eq!(answer.body["request_id"], "0123456789-abc");
    let method = world.api.send(world.api.request(Method::DELETE, "/auth/login")).await?;
    assert_eq!(method.code(), "request.method_not_allowed");
    for header in [
        "x-content-type-options",
        "x-frame-options",
        "content-security-policy",
        "referrer-policy",
        "strict-transport-security",
    ] {
        assert!(!answer.header(header).is_empty(), "{header}");
    }
    assert_eq!(answer.header("cache-control"), "no-store");
    Ok(())
}

#[tokio::test]
async fn pages_of_known_origins_may_call_and_no_others() -> Result<()> {
    let world = World::new().await?;
    let preflight = async |origin: &str| {
        let request = world.api.request(Method::OPTIONS, "/auth/login").header("origin", origin);
        let asks = request
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type");
        world.api.send(asks).await
    };
    assert_eq!(
        preflight("https://app.example.com").await?.header("access-control-allow-origin"),
        "https://app.example.com"
    );
    assert_eq!(preflight("https://evil.example").await?.header("access-control-allow-origin"), "");
    Ok(())
}

#[tokio::test]
async fn the_document_and_its_page_are_served_and_counted() -> Result<()> {
    let world = World::new().await?;
    let document =
        world.api.send(world.api.request(Method::GET, "/openapi.json")).await?.expect(StatusCode::OK)?;
    assert_eq!(document.body["openapi"], "3.1.0");
    let page = world.api.send(world.api.request(Method::GET, "/docs/")).await?.expect(StatusCode::OK)?;
    assert!(page.body.as_str().unwrap_or_default().contains("swagger-ui"));
    assert!(page.header("content-security-policy").contains("default-src 'self'"));
    let metrics = world.api.send(world.api.request(Method::GET, "/metrics")).await?.expect(StatusCode::OK)?;
    let text = metrics.body.as_str().unwrap_or_default().to_owned();
    assert!(
        text.contains("nakhoda_api_requests_total{method=\"GET\",route=\"/openapi.json\",status=\"200\"} 1"),
        "{text}"
    );
    Ok(())
}

/// The committed document is what the types say.
#[test]
fn the_committed_document_is_fresh() -> Result<()> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    if std::env::var_os("NAKHODA_WRITE_DOCS").is_some() {
        std::fs::write(&path, http::openapi::text())?;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == http::openapi::text(), "write it anew: cargo openapi");
    Ok(())
}
