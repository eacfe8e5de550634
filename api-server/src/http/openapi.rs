//! The OpenAPI document, generated from the types, and the page to read it.

use super::{
    inherited,
    problem::{self, Code, Problem},
};
use crate::{state::State, users::directory};
use axum::{
    Router,
    extract::Path,
    http::{HeaderValue, header},
    middleware::map_response,
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use std::sync::Arc;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::Config;

/// What the document says beside the routes.
#[derive(Debug, OpenApi)]
#[openapi(
    info(title = "Nakhoda", description = "Managed apps on your own Kubernetes: people, their wallets, and what they buy."),
    servers((url = "/", description = "Where this document is served.")),
    // Flag is named in a query only, from where it is not gathered.
    components(schemas(problem::Body, problem::FieldError, directory::Flag)),
    tags(
        (name = "sign-in", description = "Accounts and sessions."),
        (name = "me", description = "One's own account."),
        (name = "wallet", description = "One's own money."),
        (name = "subscriptions", description = "What one has bought, and can buy."),
        (name = "instances", description = "One's apps as they run."),
        (name = "catalog", description = "What can be bought, for everybody."),
        (name = "users", description = "People, for administrators."),
        (name = "webhooks", description = "What the payment gateway calls."),
        (name = "billing", description = "Money, for administrators."),
        (name = "emails", description = "What was sent to whom, for administrators."),
        (name = "jobs", description = "Background work, for administrators."),
        (name = "catalog-admin", description = "What is sold, for administrators."),
        (name = "audit", description = "Who changed what, for administrators."),
        (name = "operations", description = "How the service is."),
    ),
    modifiers(&AccessToken),
)]
pub struct Document;

struct AccessToken;

impl Modify for AccessToken {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("The access token of `POST /auth/login`, good for 15 minutes."))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("access_token", SecurityScheme::Http(scheme));
    }
}

/// Routes, and the whole document of them as it is committed and served.
pub fn split(documented: OpenApiRouter<Arc<State>>) -> (Router<Arc<State>>, openapi::OpenApi) {
    let (router, mut document) = documented.split_for_parts();
    inherited::complete(&mut document);
    (router, document)
}

/// The document alone.
pub fn document() -> openapi::OpenApi {
    split(super::routes()).1
}

/// The document as JSON, as it is committed.
pub fn text() -> String {
    let mut text = document().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// Where the document and its page are served.
pub fn routes(document: &openapi::OpenApi) -> Router<Arc<State>> {
    let json: Arc<str> = document.to_json().unwrap_or_default().into();
    let serve =
        async move || ([(header::CONTENT_TYPE, "application/json")], json.to_string()).into_response();
    Router::new().route("/openapi.json", get(serve)).merge(page())
}

/// Swagger UI in a frame and a style of ours. Its own frame says nothing of a viewport, so a phone would show it as wide as a desk.
fn page() -> Router<Arc<State>> {
    let config = Config::from("/openapi.json")
        .try_it_out_enabled(true)
        .persist_authorization(false)
        .default_models_expand_depth(0)
        // Otherwise every reader's browser would tell swagger.io where this is.
        .validator_url("none");
    let config = Arc::new(config);
    let file = async move |Path(name): Path<String>| match utoipa_swagger_ui::serve(&name, config) {
        Ok(Some(file)) => Ok(([(header::CONTENT_TYPE, file.content_type)], file.bytes.into_owned())),
        Ok(None) => Err(Problem::new(Code::NoRoute)),
        Err(error) => {
            tracing::error!(%error, "a file of the API's page can't be served");
            Err(Problem::new(Code::Internal))
        }
    };
    let ours =
        |kind: &'static str, text: &'static str| get(async move || ([(header::CONTENT_TYPE, kind)], text));
    Router::new()
        .route("/docs", get(async || Redirect::to("/docs/")))
        .route("/docs/", ours("text/html; charset=utf-8", include_str!("docs.html")))
        .route("/docs/docs.css", ours("text/css; charset=utf-8", include_str!("docs.css")))
        .route("/docs/{*name}", get(file))
        .layer(map_response(only_from_here))
}

/// The page's own scripts and styles, nothing from elsewhere.
async fn only_from_here(mut response: Response) -> Response {
    let policy =
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}
