//! `GET /subscriptions/{id}/metrics`

use crate::{
    http::{
        App,
        auth::CurrentUser,
        instances::view::{Phase, UrlsView},
        path::Id,
        problem::{self, Code, Problem, Result},
    },
    instances::{
        own,
        usage::{Missing, Usage, percentage},
        why,
    },
    state,
    subscriptions::{Resources, Subscription, store},
};
use axum::{Json, extract::State};
use crds::{ServiceInstance, instance};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Why nothing is known of what it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = MetricsMissing)]
enum MissingView {
    /// It is not made yet, or nothing of it is left.
    NotThere,
    /// It does not run.
    NotRunning,
    /// It was not measured yet: it has just begun to run.
    NotMeasured,
    /// Nobody measures on this platform.
    NoSource,
    /// Whoever measures is in trouble.
    Failing,
    /// The cluster can't be asked.
    ClusterAway,
}

/// CPU over the last moments.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MetricsCpu)]
struct CpuView {
    /// What it uses, in millicores, rounded up.
    #[schema(required = true, example = 50)]
    used_millicores: Option<i64>,
    /// What it may take.
    #[schema(example = 1000)]
    limit_millicores: i64,
    /// The one of the other, in per cent.
    #[schema(required = true, example = 5)]
    percentage: Option<i64>,
}

/// Memory at the moment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MetricsMemory)]
struct MemoryView {
    /// What it uses, in bytes.
    #[schema(required = true, example = 67_108_864)]
    used_bytes: Option<i64>,
    /// What it may take.
    #[schema(example = 1_073_741_824_i64)]
    limit_bytes: i64,
    /// The one of the other, in per cent.
    #[schema(required = true, example = 6)]
    percentage: Option<i64>,
}

/// Storage.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MetricsStorage)]
struct StorageView {
    /// What it uses, in bytes; null where nobody measures it.
    #[schema(required = true)]
    used_bytes: Option<i64>,
    /// What it may take.
    #[schema(example = 10_737_418_240_i64)]
    limit_bytes: i64,
}

/// What an app uses.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriptionMetrics)]
pub(super) struct MetricsView {
    /// The app, as `/instances` names it.
    instance_id: Uuid,
    /// How it is; null where the cluster was not heard of for half a minute.
    #[schema(required = true)]
    status: Option<Phase>,
    /// Whether it is known what it uses.
    available: bool,
    /// Why not, where it is not.
    #[schema(required = true)]
    reason: Option<MissingView>,
    /// CPU.
    cpu: CpuView,
    /// Memory.
    memory: MemoryView,
    /// Storage.
    storage: StorageView,
    /// Where it can be reached.
    urls: UrlsView,
    /// When it was measured; where it was not, now.
    timestamp: Timestamp,
}

/// What is known of a subscription's app.
struct Known {
    phase: Option<Phase>,
    urls: UrlsView,
    usage: Result<Usage, MissingView>,
}

impl Known {
    async fn of(state: &state::State, row: &Subscription) -> Self {
        let Ok(resource) = own::resource_of(state, row) else {
            return Self { phase: None, urls: UrlsView::default(), usage: Err(MissingView::ClusterAway) };
        };
        let urls = UrlsView::of(resource.as_deref());
        // Nobody knows how it is now, and whoever measures is behind the API server that is silent.
        if state.cluster.watches().instances.is_stale() {
            return Self { phase: None, urls, usage: Err(MissingView::ClusterAway) };
        }
        let known = why::Known { row: Some(row), resource: resource.as_deref(), tenant: None };
        let phase = (resource.is_some() || row.end.is_none()).then(|| why::phase(known).into());
        let usage = match resource.as_deref() {
            Some(resource) => measured(state, resource).await,
            None => Err(MissingView::NotThere),
        };
        Self { phase, urls, usage }
    }
}

async fn measured(state: &state::State, resource: &ServiceInstance) -> Result<Usage, MissingView> {
    let does_not_run = [instance::Phase::Pending, instance::Phase::Stopped, instance::Phase::Suspended];
    if does_not_run.contains(&why::phase(resource.into())) {
        return Err(MissingView::NotRunning);
    }
    let metadata = &resource.metadata;
    let (Some(namespace), Some(uid)) = (&metadata.namespace, &metadata.uid) else {
        return Err(MissingView::NotThere);
    };
    state.readings.of(&state.cluster, namespace, uid).await.map_err(|missing| match missing {
        Missing::NoSource => MissingView::NoSource,
        Missing::Failing => MissingView::Failing,
        Missing::NotMeasured => MissingView::NotMeasured,
        Missing::Away => MissingView::ClusterAway,
    })
}

impl MetricsView {
    fn of(row: &Subscription, known: Known, now: Timestamp) -> Self {
        let Resources { cpu_millicores, memory_bytes, storage_bytes } = row.resources;
        let Known { phase: status, urls, usage } = known;
        let (cpu, memory) =
            (usage.ok().map(|one| one.cpu.millis()), usage.ok().map(|one| one.memory.units()));
        Self {
            instance_id: row.id,
            status,
            available: usage.is_ok(),
            reason: usage.err(),
            cpu: CpuView {
                used_millicores: cpu,
                limit_millicores: cpu_millicores,
                percentage: cpu.and_then(|used| percentage(used, cpu_millicores)),
            },
            memory: MemoryView {
                used_bytes: memory,
                limit_bytes: memory_bytes,
                percentage: memory.and_then(|used| percentage(used, memory_bytes)),
            },
            storage: StorageView { used_bytes: None, limit_bytes: storage_bytes },
            urls,
            timestamp: usage.map_or(now, |usage| usage.at),
        }
    }
}

/// What one's app uses at the moment, of what its plan gives it. For whoever asks every few seconds: it is read at most every three.
#[utoipa::path(
    get,
    path = "/subscriptions/{id}/metrics",
    tag = "subscriptions",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The subscription.")),
    responses(
        (status = 200, body = MetricsView, description = "Also where nothing is known: `available` and `reason` say so."),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "One has no such subscription."),
    ),
)]
pub(super) async fn metrics(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    Id(id): Id,
) -> Result<Json<MetricsView>> {
    let row = store::find_own(&state.db, principal.user_id, id).await?;
    let row = row.ok_or_else(|| Problem::new(Code::NotFound))?;
    let known = Known::of(&state, &row).await;
    Ok(Json(MetricsView::of(&row, known, state.clock.now())))
}
