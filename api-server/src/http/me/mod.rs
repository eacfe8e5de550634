//! One's own account.

mod account;
mod email;
mod export;
mod password;
mod profile;
mod quota;
mod sessions;

use crate::state::State;
use std::sync::Arc;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<State>> {
    OpenApiRouter::new()
        .routes(routes!(profile::read, profile::change, account::leave))
        .routes(routes!(password::change))
        .routes(routes!(email::change))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::end))
        .routes(routes!(quota::read))
        .routes(routes!(export::export))
}
