//! `POST /admin/users/bulk`

use crate::{
    http::{
        App,
        admin::{Trace, reason},
        auth::Administrator,
        body::Body,
        idempotency::{self, Begun, Key},
        problem::{Code, Problem, Result},
    },
    users::{
        Role, account,
        administration::{self, By, Verb},
        store,
    },
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use sqlx::Connection as _;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;
use uuid::Uuid;

/// The most users of one request.
const MOST: usize = 100;

/// What is done.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Action {
    /// They may log in again.
    Activate,
    /// They may not.
    Deactivate,
    /// They get the role that is named.
    Role,
    /// Everything personal goes.
    Delete,
}

/// What is done to whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Bulk {
    /// What.
    action: Action,
    /// To whom.
    #[schema(min_items = 1, max_items = 100)]
    ids: Vec<Uuid>,
    /// The role, where the action is `ROLE`.
    role: Option<Role>,
    /// Why, for the audit log.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// What became of one of them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RowResult {
    /// Whom.
    id: Uuid,
    /// Whether it is so now.
    done: bool,
    /// Why not: the code of the problem.
    #[schema(value_type = Option<Code>, required = true)]
    code: Option<&'static str>,
    /// Why not, for people.
    #[schema(required = true)]
    detail: Option<String>,
}

/// What became of each.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BulkResult {
    /// In the order they were named.
    results: Vec<RowResult>,
}

/// Do the same to many users. Each is done by itself: what can't be done to one keeps nothing from the others.
#[utoipa::path(
    post,
    path = "/users/bulk",
    tag = "users",
    security(("access_token" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = Bulk,
    responses(
        (status = 200, body = BulkResult),
    ),
)]
pub(super) async fn bulk(
    State(state): App,
    Administrator(principal): Administrator,
    trace: Trace,
    key: Key,
    body: Body<Bulk>,
) -> Result<Response> {
    let Bulk { action, ids, role, reason: why } = body.value;
    let verb = match (action, role) {
        (Action::Activate, None) => Verb::Activate,
        (Action::Deactivate, None) => Verb::Deactivate,
        (Action::Delete, None) => Verb::Delete,
        (Action::Role, Some(role)) => Verb::SetRole(role),
        (Action::Role, None) => {
            return Err(Problem::field(Code::Invalid, "role", "must be named with this action"));
        }
        (_, Some(_)) => return Err(Problem::field(Code::Invalid, "role", "has no meaning with this action")),
    };
    let distinct: BTreeSet<&Uuid> = ids.iter().collect();
    if ids.is_empty() || ids.len() > MOST || distinct.len() < ids.len() {
        return Err(Problem::field(Code::Invalid, "ids", format!("must name 1 to {MOST} users, each once")));
    }
    let (why, actor) = (reason(why)?, trace.actor(&principal));
    let route = "POST /admin/users/bulk";
    let mut once = match idempotency::begin(&state, &principal, route, key, &body.bytes).await? {
        Begun::Before(answer) => return Ok(answer),
        Begun::First(once) => once,
    };
    // All at once and in one order: two who do it to the same users would wait for each other.
    store::lock_all(once.db(), &ids).await?;
    let mut results = BTreeMap::new();
    // Wallets too are locked in the order of their users' ids.
    let in_order: BTreeSet<Uuid> = ids.iter().copied().collect();
    for id in in_order {
        let by = By { actor: &actor, reason: why.as_deref(), now: state.clock.now() };
        let mut point = once.db().begin().await?;
        let problem = administration::apply(&state, &mut point, by, id, verb).await.err();
        if problem.is_none() {
            point.commit().await?;
        } else {
            point.rollback().await?;
        }
        let detail = problem.as_ref().map(|problem| problem.body("").detail);
        let code = problem.map(|problem| problem.code().code());
        results.insert(id, RowResult { id, done: code.is_none(), code, detail });
    }
    let results = ids.iter().filter_map(|id| results.remove(id)).collect();
    let answer = once.finish(StatusCode::OK, &[], &BulkResult { results }).await?;
    account::settled(&state);
    Ok(answer)
}
