//! Payments, and those that are not as they should be.

mod findings;
mod inquiry;

use crate::state::State;
use std::sync::Arc;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Arc<State>> {
    OpenApiRouter::new()
        .routes(routes!(findings::list))
        .routes(routes!(findings::settle))
        .routes(routes!(inquiry::read))
}
