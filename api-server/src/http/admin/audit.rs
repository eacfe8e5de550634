//! `GET /admin/audit`

use crate::{
    audit::{self, Line},
    http::{
        App,
        auth::Administrator,
        pagination::{List, Page, SortField},
        problem::Result,
    },
};
use axum::{Json, extract::State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Which lines.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Of whom.
    actor_id: Option<Uuid>,
    /// Which verb: `user.deactivate`.
    action: Option<String>,
    /// About which kind of thing: `user`.
    entity_type: Option<String>,
    /// About which of them.
    entity_id: Option<String>,
}

/// The log is sorted by time.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct ByTime;

impl SortField for ByTime {
    const ALL: &'static [(&'static str, Self)] = &[("at", Self)];
    const DESCENDING: bool = true;
}

/// A line of the log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditLine {
    /// Its id.
    id: Uuid,
    /// When.
    at: Timestamp,
    /// Who; none: somebody at the command line.
    #[schema(required = true)]
    actor_id: Option<Uuid>,
    /// From where.
    #[schema(required = true)]
    address: Option<String>,
    /// What was done.
    #[schema(example = "user.deactivate")]
    action: String,
    /// To which kind of thing.
    #[schema(example = "user")]
    entity_type: String,
    /// To which of them.
    entity_id: String,
    /// What it was like.
    #[schema(required = true)]
    before: Option<Value>,
    /// What it is like.
    #[schema(required = true)]
    after: Option<Value>,
    /// Why, in the administrator's words.
    #[schema(required = true)]
    reason: Option<String>,
    /// By which request.
    #[schema(required = true)]
    request_id: Option<String>,
}

impl From<Line> for AuditLine {
    fn from(line: Line) -> Self {
        let Line {
            id,
            at,
            actor_id,
            address,
            action,
            entity_type,
            entity_id,
            before,
            after,
            reason,
            request_id,
        } = line;
        Self { id, at, actor_id, address, action, entity_type, entity_id, before, after, reason, request_id }
    }
}

/// Who changed what.
#[utoipa::path(
    get,
    path = "/audit",
    tag = "audit",
    security(("access_token" = [])),
    params(List<Filter, ByTime>),
    responses(
        (status = 200, body = Page<AuditLine>),
    ),
)]
pub(super) async fn list(
    State(state): App,
    _admin: Administrator,
    list: List<Filter, ByTime>,
) -> Result<Json<Page<AuditLine>>> {
    let Filter { actor_id, action, entity_type, entity_id } = &list.filter;
    let query = audit::Query {
        actor_id: *actor_id,
        action: action.clone(),
        entity_type: entity_type.clone(),
        entity_id: entity_id.clone(),
        beyond: list.beyond().map(|cursor| cursor.id),
        descending: list.reads_descending(),
        limit: list.limit(),
    };
    let lines = audit::list(&state.db, &query).await?;
    Ok(Json(list.page(lines, |line| (String::new(), line.id), None)))
}
