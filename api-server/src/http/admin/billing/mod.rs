//! Money, for administrators.

mod adjustments;
mod analytics;
mod ledger;
mod transactions;

use crate::state::State;
use std::sync::Arc;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Arc<State>> {
    OpenApiRouter::new()
        .routes(routes!(transactions::list))
        .routes(routes!(transactions::read))
        .routes(routes!(analytics::read))
        .routes(routes!(adjustments::adjust))
        .routes(routes!(ledger::verify))
        .routes(routes!(ledger::accounts))
}
