//! `DELETE /me`

use crate::{
    http::{
        App,
        auth::CurrentUser,
        body::Body,
        problem::{self, Result},
    },
    users::{
        account::{self, Leave},
        password::Password,
    },
};
use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

/// How one leaves.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Leaving {
    /// One's password.
    #[schema(example = "kapal layar putih 7", format = Password)]
    password: String,
    /// Whether everything personal is deleted, for good. Otherwise the account is deactivated: nobody can log in, and an administrator
    /// can activate it again.
    #[serde(default)]
    erase: bool,
}

/// Leave: deactivate one's account, or delete what is personal of it. Records of payments stay, without a name. Whoever has money in the wallet,
/// owes some or has a top-up pending is not deleted; a promotion that is left is forfeited.
#[utoipa::path(
    delete,
    path = "/me",
    tag = "me",
    security(("access_token" = [])),
    request_body = Leaving,
    responses(
        (status = 204, description = "Done; all sessions have ended."),
        (status = 403, body = problem::Body, content_type = "application/problem+json", description = "The password is wrong."),
        (status = 409, body = problem::Body, content_type = "application/problem+json", description = "The last administrator must stay; or the account is to be erased, and its wallet has or owes money, or top-ups are pending."),
    ),
)]
pub(super) async fn leave(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    body: Body<Leaving>,
) -> Result<StatusCode> {
    let Leaving { password, erase } = body.value;
    let how = if erase { Leave::Delete } else { Leave::Deactivate };
    account::leave(&state, &principal, &Password::given(&password), how).await?;
    Ok(StatusCode::NO_CONTENT)
}
