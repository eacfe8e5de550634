//! The OpenAPI document, generated from the types, and the page to read it.

use super::problem;
use crate::state::State;
use axum::{
    Router,
    http::{HeaderValue, header},
    response::IntoResponse,
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
use utoipa_swagger_ui::{Config, SwaggerUi};

/// What the document says beside the routes.
#[derive(Debug, OpenApi)]
#[openapi(
    info(title = "Nakhoda", description = "Managed apps on your own Kubernetes: people, their wallets, and what they buy."),
    components(schemas(problem::Body, problem::FieldError)),
    tags(
        (name = "sign-in", description = "Accounts and sessions."),
        (name = "me", description = "One's own account."),
        (name = "users", description = "People, for administrators."),
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

/// The whole document as it is committed and served.
pub fn document() -> openapi::OpenApi {
    super::routes().split_for_parts().1
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
    let page = SwaggerUi::new("/docs")
        .config(Config::from("/openapi.json").try_it_out_enabled(true).persist_authorization(false));
    let page: Router<Arc<State>> = Router::from(page).layer(axum::middleware::map_response(async |response: axum::response::Response| {
        let mut response = response;
        // Its own scripts and styles, nothing from elsewhere.
        response.headers_mut().insert(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'",
            ),
        );
        response
    }));
    let serve =
        async move || ([(header::CONTENT_TYPE, "application/json")], json.to_string()).into_response();
    Router::new().route("/openapi.json", get(serve)).merge(page)
}
