//! From the command line to running controllers, and back.

use crate::{
    args::Run,
    cache::ChildCache,
    clock::{Clock, SystemClock},
    context::{Context, Shared},
    control,
    health::{self, Health},
    leader::{Candidate, Lease},
    metrics::{Metrics, calls::CountCalls},
    nodes::{self, Nodes},
    reflect::{self, Caches},
    settings::Settings,
};
use anyhow::Context as _;
use jiff::SignedDuration;
use kube::{Client, Config, client::ClientBuilder};
use std::{sync::Arc, time::Duration};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

/// Runs the operator until it is told to stop or loses its lease.
///
/// # Errors
/// When it can't start, or when it lost its lease: the process must end then, since it may no longer act.
pub async fn run(run: Run) -> anyhow::Result<()> {
    let mut settings = Settings::load(&run.config)?;
    settings.updates.pod_note = run.pod_note;
    if settings.retention.allow_short_waits {
        tracing::warn!(
            "retention.allowShortWaits is on: data may be destroyed before anybody can stop a mistake"
        );
    }
    let clock: Arc<dyn Clock> =
        Arc::new(SystemClock { offset: SignedDuration::from_secs(run.clock_offset_seconds) });
    let metrics = Arc::new(Metrics::default());
    let client = client(&metrics, &clock).await?;
    let (caches, writers) = Caches::new();
    let (caches, children, nodes) =
        (Arc::new(caches), Arc::new(ChildCache::default()), Arc::new(Nodes::default()));
    let lease = Arc::new(Lease::default());
    let shared = Shared {
        clock: Arc::clone(&clock),
        caches: Arc::clone(&caches),
        children: Arc::clone(&children),
        metrics: Arc::clone(&metrics),
        nodes: Arc::clone(&nodes),
    };
    let names = (run.namespace.as_str(), run.identity.as_str());
    let context = Arc::new(Context::new(&client, Arc::clone(&lease), settings, names, shared));
    reflect::start(&client, &caches, &children, (&nodes, &metrics), writers);
    nodes::follow::start(&client, &nodes, &metrics, context.settings.nodes.count_foreign_pods);
    let stop = stop_on_signal()?;
    let health = Health::new(Arc::clone(&context));
    // The last to stop: a replica that hands over is still asked how it is.
    let stop_health = CancellationToken::new();
    let serving = tokio::spawn(health::serve(run.listen, health, stop_health.clone()));
    let candidate = Candidate::new(client, &run.namespace, run.identity.clone(), clock, lease);
    let result = tokio::select! {
        result = lead(&context, candidate, &stop) => result,
        served = serving => served.context("the health server broke")?.with_context(|| format!("can't listen on {}", run.listen)),
    };
    stop_health.cancel();
    tracing::info!("stopped");
    result
}

/// A client that never retries by itself: what to try again, and when, is the reconcile's to decide. Its calls are counted.
async fn client(metrics: &Arc<Metrics>, clock: &Arc<dyn Clock>) -> anyhow::Result<Client> {
    let mut config =
        Config::infer().await.context("no Kubernetes API server is configured: set KUBECONFIG")?;
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    let counted = CountCalls::new(Arc::clone(metrics), Arc::clone(clock));
    Ok(ClientBuilder::try_from(config)?.with_layer(&counted).build())
}

fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("told to stop");
        token.cancel();
    });
    Ok(stop)
}

/// Waits for caches and lease, runs the controllers, and gives the lease back once they have ended.
async fn lead(context: &Arc<Context>, candidate: Candidate, stop: &CancellationToken) -> anyhow::Result<()> {
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    while !(context.children.is_synced() && context.caches.unsynced().is_empty()) {
        tokio::select! {
            _ = looks.tick() => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
    let (sender, mut leads) = watch::channel(false);
    let release = CancellationToken::new();
    let election = tokio::spawn(candidate.run(sender, release.clone()));
    tokio::select! {
        changed = leads.wait_for(|leading| *leading) => { changed.context("the election broke")?; }
        () = stop.cancelled() => {
            release.cancel();
            return Ok(());
        }
    }
    context.metrics.leads(true);
    let controllers = control::run(Arc::clone(context), stop.clone());
    let result = tokio::select! {
        () = controllers => Ok(()),
        _ = leads.wait_for(|leading| !*leading) => Err(anyhow::anyhow!("the lease was lost: another replica leads now")),
    };
    context.metrics.leads(false);
    release.cancel();
    let _ = tokio::time::timeout(Duration::from_secs(5), election).await;
    result
}
