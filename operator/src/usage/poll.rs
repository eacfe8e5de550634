//! Asks `metrics.k8s.io`: one list over all namespaces by label, not one call for each instance.

use super::{ByPod, Source, read};
use crate::{apply::CallError, clock, context::Context};
use crds::labels;
use kube::{api::ListParams, core::ApiResource};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Pods on a page. A metrics-server that knows no pages answers with everything at once.
const PAGE: u32 = 500;
/// The most pages of one answer.
const MOST_PAGES: usize = 1000;
/// How soon a new leader asks for the first time.
const FIRST: Duration = Duration::from_secs(2);

/// Asks until `stop`. What was measured is forgotten then: another replica asks.
pub async fn run(context: Arc<Context>, stop: CancellationToken) {
    let settings = context.settings.usage;
    if !settings.enabled {
        return;
    }
    let interval = Duration::from_secs(u64::from(settings.interval_seconds));
    let mut failures: u32 = 0;
    let mut wait = FIRST;
    loop {
        tokio::select! {
            () = tokio::time::sleep(clock::jittered(wait)) => {}
            () = stop.cancelled() => break,
        }
        let answer = tokio::select! {
            answer = ask(&context, Duration::from_secs(u64::from(settings.timeout_seconds))) => answer,
            () = stop.cancelled() => break,
        };
        match answer {
            Ok(measured) => {
                failures = 0;
                let before = context.usage.measured(measured, context.clock.now());
                if before != Source::Present {
                    tracing::info!("the apps' use of CPU and memory is measured");
                }
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                say_once(&context, &error);
            }
        }
        wait = read::pause(interval, failures);
    }
    context.usage.forget();
}

/// One log line for each change, whatever goes on in between.
fn say_once(context: &Context, error: &CallError) {
    let source = read::means(error);
    if context.usage.missed(source) == source {
        return;
    }
    match source {
        Source::Absent => tracing::info!(
            "there is no metrics-server: what the apps use of CPU and memory is not known; it is looked for again"
        ),
        _ => tracing::warn!(%error, "the metrics-server does not answer as it should; it is asked again"),
    }
}

/// The kind that the metrics-server serves.
fn resource() -> ApiResource {
    ApiResource {
        group: "metrics.k8s.io".into(),
        version: "v1beta1".into(),
        api_version: "metrics.k8s.io/v1beta1".into(),
        kind: "PodMetrics".into(),
        plural: "pods".into(),
    }
}

async fn ask(context: &Context, patience: Duration) -> Result<ByPod, CallError> {
    let (resource, mut measured) = (resource(), ByPod::new());
    let mut params = ListParams::default().labels(labels::INSTANCE).limit(PAGE);
    for _ in 0..MOST_PAGES {
        let (page, next) = context.cluster.page(&resource, &params, patience).await?;
        read::take(&page, &mut measured);
        match next {
            Some(next) => params = params.continue_token(&next),
            None => return Ok(measured),
        }
    }
    Err(CallError::Answer("a list that does not end"))
}
