//! The catalogue, for everybody.

mod categories;
mod plans;
mod services;
pub mod view;

use super::{problem::Problem, rate, request::ClientAddress};
use crate::state::State;
use axum::{extract::FromRequestParts, http::request::Parts};
use std::sync::Arc;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<State>> {
    OpenApiRouter::new().nest(
        "/catalog",
        OpenApiRouter::new()
            .routes(routes!(categories::list))
            .routes(routes!(services::list))
            .routes(routes!(services::read))
            .routes(routes!(plans::of_service))
            .routes(routes!(plans::read)),
    )
}

/// Anybody, from a network that does not ask too often. It comes before whatever reads more of the request.
struct Visitor;

impl FromRequestParts<Arc<State>> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, Problem> {
        let Ok(address) = ClientAddress::from_request_parts(parts, state).await;
        rate::catalogue(state, &address.network()).await?;
        Ok(Self)
    }
}
