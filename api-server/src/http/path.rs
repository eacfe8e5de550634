//! Ids and names in paths.

use super::problem::{Code, Problem};
use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use crds::names;
use uuid::Uuid;

/// The one id in a path. What is none names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::new(Code::NotFound))?;
        text.parse().map(Self).map_err(|_| Problem::new(Code::NotFound))
    }
}

/// The one name in a path, such as a plan's. What is no name names nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let named = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = named.map_err(|_| Problem::new(Code::NotFound))?;
        Some(text).filter(|text| names::is_label(text)).map(Self).ok_or_else(|| Problem::new(Code::NotFound))
    }
}
