//! One's apps as they run: `/instances`.

mod change;
mod credentials;
mod health;
mod list;
mod parts;
mod power;
mod read;
mod retained;
pub mod settings;
pub mod view;

use crate::state::State;
use std::sync::Arc;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<State>> {
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(read::read, change::change))
        .routes(routes!(power::start))
        .routes(routes!(power::stop))
        .routes(routes!(power::restart))
        .routes(routes!(health::health))
        .routes(routes!(credentials::credentials))
        .routes(routes!(retained::retained))
}
