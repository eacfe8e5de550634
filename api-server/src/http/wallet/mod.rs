//! One's own money.

mod balance;
mod summary;
mod transactions;
pub mod view;

use crate::state::State;
use std::sync::Arc;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<State>> {
    OpenApiRouter::new()
        .routes(routes!(balance::read))
        .routes(routes!(summary::read))
        .routes(routes!(transactions::list))
        .routes(routes!(transactions::read))
}
