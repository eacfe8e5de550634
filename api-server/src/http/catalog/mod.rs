//! The catalogue, for everybody.

mod categories;
mod plans;
mod services;
pub mod view;

use crate::state::State;
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
