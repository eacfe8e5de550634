//! Users, for administrators.

mod bulk;
mod change;
mod create;
mod list;
mod quota;
mod read;
mod verbs;

use crate::state::State;
use std::sync::Arc;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Arc<State>> {
    OpenApiRouter::new()
        .routes(routes!(list::list, create::create))
        .routes(routes!(list::stats))
        .routes(routes!(bulk::bulk))
        .routes(routes!(read::read, change::change, verbs::delete))
        .routes(routes!(verbs::activate))
        .routes(routes!(verbs::deactivate))
        .routes(routes!(verbs::set_role))
        .routes(routes!(quota::read, quota::set))
}
