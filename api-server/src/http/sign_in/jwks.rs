//! `GET /.well-known/jwks.json`

use crate::{http::App, sessions::keys::Jwk};
use axum::{
    Json,
    extract::State,
    http::{HeaderName, header},
};
use serde::Serialize;
use utoipa::ToSchema;

/// A set of keys, as RFC 7517 has it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Jwks {
    /// The keys.
    keys: Vec<Jwk>,
}

/// The keys that access tokens are signed with, or will be soon.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "sign-in", responses((status = 200, body = Jwks)))]
pub(super) async fn jwks(State(state): App) -> ([(HeaderName, &'static str); 1], Json<Jwks>) {
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(Jwks { keys: state.keys.public() }))
}
