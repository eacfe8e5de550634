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

/// What somebody is logged in by, for an answer that goes on: it ends with it.
#[derive(Clone)]
pub struct Login(String);

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login")
    }
}

impl<S: Sync> FromRequestParts<S> for Login {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let token = bearer(parts).ok_or_else(|| Problem::new(Code::Unauthenticated))?;
        Ok(Self(token.to_owned()))
    }
}

impl Login {
    /// Whether it is good no more. While that can't be said it is.
    pub async fn is_over(&self, state: &State) -> bool {
        let asked = sessions::authenticate(state, &self.0).await;
        asked.is_err_and(|problem| problem.code() == Code::BadToken)
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
