//! Who asks. Authorisation is in these extractors and nowhere else: a handler that takes neither is public, and a test compares
//! what is public with [`super::PUBLIC`].

use super::{
    problem::{Code, Problem},
    rate,
};
use crate::{
    sessions::{self, Principal},
    state::State,
    users::Role,
};
use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use std::sync::Arc;

/// Somebody who is logged in.
#[derive(Clone, Debug)]
pub struct CurrentUser(pub Principal);

/// An administrator who is logged in.
#[derive(Clone, Debug)]
pub struct Administrator(pub Principal);

impl FromRequestParts<Arc<State>> for CurrentUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, Problem> {
        let token = bearer(parts).ok_or_else(|| Problem::new(Code::Unauthenticated))?;
        let principal = sessions::authenticate(state, token).await?;
        tracing::Span::current().record("user.id", tracing::field::display(principal.user_id));
        rate::user(state, principal.user_id).await?;
        Ok(Self(principal))
    }
}

impl FromRequestParts<Arc<State>> for Administrator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, Problem> {
        let CurrentUser(principal) = CurrentUser::from_request_parts(parts, state).await?;
        match principal.role {
            Role::Administrator => Ok(Self(principal)),
            Role::User => Err(Problem::new(Code::Forbidden)),
        }
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
