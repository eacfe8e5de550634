//! All users, as administrators look for them.

mod store;

use super::{Role, User};
use crate::http::{
    pagination::{List, Page, SortField},
    problem::Problem,
    view::{Status, UserView},
};
use jiff::Timestamp;
use serde::Deserialize;
use sqlx::PgPool;
pub use store::Stats;
use utoipa::IntoParams;

/// Which users.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// What address or name contain.
    pub search: Option<String>,
    /// What they may.
    pub role: Option<Role>,
    /// Whether they may log in. Deleted users are listed only when asked for.
    pub status: Option<Status>,
    /// Whether the address was proven.
    pub email_verified: Option<Flag>,
    /// Registered then or later.
    pub created_from: Option<Timestamp>,
    /// Registered before then.
    pub created_before: Option<Timestamp>,
}

/// Yes or no, as a query has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Flag {
    /// Yes.
    True,
    /// No.
    False,
}

/// What users are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// When they registered.
    CreatedAt,
    /// Their address.
    Email,
    /// Their name.
    Name,
}

impl SortField for Sort {
    const ALL: &'static [(&'static str, Self)] =
        &[("created_at", Self::CreatedAt), ("email", Self::Email), ("name", Self::Name)];
    const DESCENDING: bool = true;
}

/// A page of users.
///
/// # Errors
/// As the database's; 400 for a cursor that is none.
pub async fn list(db: &PgPool, list: &List<Filter, Sort>) -> Result<Page<UserView>, Problem> {
    let (rows, total) = store::page(db, list).await?;
    let key = |user: &User| {
        let value = match list.sort {
            Sort::CreatedAt => user.created_at.to_string(),
            Sort::Email => user.email.clone(),
            Sort::Name => user.name.clone(),
        };
        (value, user.id)
    };
    Ok(list.page(rows, key, Some(total)))
}

/// How many users there are of each kind.
///
/// # Errors
/// As the database's.
pub async fn stats(db: &PgPool, now: Timestamp) -> Result<Stats, Problem> {
    Ok(store::stats(db, now).await?)
}
