//! What administrators do.

mod audit;
mod billing;
mod catalog;
mod emails;
mod jobs;
mod payments;
mod users;

use crate::{
    audit::Actor,
    http::{
        problem::{Code, Problem, Result},
        request::{ClientAddress, RequestId},
    },
    sessions::Principal,
    state::State,
};
use axum::extract::FromRequestParts;
use serde::Deserialize;
use std::{convert::Infallible, sync::Arc};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<State>> {
    OpenApiRouter::new().nest(
        "/admin",
        OpenApiRouter::new()
            .merge(users::routes())
            .merge(billing::routes())
            .merge(emails::routes())
            .merge(jobs::routes())
            .merge(payments::routes())
            .merge(catalog::routes())
            .routes(routes!(audit::list)),
    )
}

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Because {
    /// Why, for the audit log.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// From where and by which request somebody changes something.
pub(super) struct Trace {
    address: ClientAddress,
    request_id: RequestId,
}

impl<S: Send + Sync> FromRequestParts<S> for Trace {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        state: &S,
    ) -> Result<Self, Infallible> {
        Ok(Self {
            address: ClientAddress::from_request_parts(parts, state).await?,
            request_id: RequestId::from_request_parts(parts, state).await?,
        })
    }
}

impl Trace {
    pub(super) fn actor(self, principal: &Principal) -> Actor {
        Actor::of(principal, self.address, self.request_id.0)
    }
}

/// A reason that is bearable to read.
fn reason(reason: Option<String>) -> Result<Option<String>> {
    // As it came, spaces around it too: the document knows of no others.
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > 500) {
        return Err(Problem::field(Code::Invalid, "reason", "has more than 500 characters"));
    }
    Ok(reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty()))
}
