//! What administrators do.

mod audit;
mod users;

use crate::state::State;
use std::sync::Arc;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<State>> {
    OpenApiRouter::new()
        .nest("/admin", OpenApiRouter::new().merge(users::routes()).routes(routes!(audit::list)))
}
