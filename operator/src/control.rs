//! The four controllers: from a stream of triggers to bounded, per-object ordered reconciles with back-off.

use crate::{apply::CallError, context::Context, instance, own::Own, plan, template, tenant};
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture};
use kube::{
    ResourceExt as _,
    runtime::{
        controller::{Action, Config, Controller},
        reflector::{ObjectRef, Store},
    },
};
use serde::de::DeserializeOwned;
use std::{collections::HashSet, fmt::Debug, future::Future, sync::Arc, time::Duration, time::Instant};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;

/// How often everything is looked at whatever the watches say.
const SWEEP: Duration = Duration::from_secs(45);
/// At the how manieth failure in a row an event tells people: most pass within seconds.
const QUIET_FAILURES: u32 = 4;
/// How long use counts of plans and templates are gathered before they are written.
const GATHER: Duration = Duration::from_millis(1500);

/// Runs the controllers until `stop`, and ends once what was begun is done.
pub async fn run(context: Arc<Context>, stop: CancellationToken) {
    let caches = Arc::clone(&context.caches);
    let concurrency = context.settings.concurrency;
    let own = Config::default();
    let parts: Vec<BoxFuture<'static, ()>> = vec![
        drive(
            "instance",
            &context,
            &caches.instances,
            caches.wake_instances.open(),
            own.clone().concurrency(concurrency.instances),
            &stop,
            instance::reconcile,
        )
        .boxed(),
        drive(
            "tenant",
            &context,
            &caches.tenants,
            caches.wake_tenants.open(),
            own.clone().concurrency(concurrency.tenants),
            &stop,
            tenant::reconcile,
        )
        .boxed(),
        drive(
            "template",
            &context,
            &caches.templates,
            caches.wake_templates.open(),
            own.clone().concurrency(2).debounce(GATHER),
            &stop,
            template::reconcile,
        )
        .boxed(),
        drive(
            "plan",
            &context,
            &caches.plans,
            caches.wake_plans.open(),
            own.concurrency(2).debounce(GATHER),
            &stop,
            plan::reconcile,
        )
        .boxed(),
        sweep(Arc::clone(&context), stop.clone()).boxed(),
    ];
    futures::future::join_all(parts).await;
}

/// Looks at everything at once, and then again and again by the wall clock: what a watch has missed is found.
async fn sweep(context: Arc<Context>, stop: CancellationToken) {
    let mut interval = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            _ = interval.tick() => {
                forget_what_is_gone(&context);
                context.caches.wake_all();
            }
            () = stop.cancelled() => return,
        }
    }
}

/// What is remembered of objects does not outlive them.
fn forget_what_is_gone(context: &Context) {
    let uids = |metas: Vec<Option<String>>| metas.into_iter().flatten().collect::<HashSet<String>>();
    let instances = uids(context.caches.instances.state().iter().map(|one| one.uid()).collect());
    let tenants = uids(context.caches.tenants.state().iter().map(|one| one.uid()).collect());
    let templates = uids(context.caches.templates.state().iter().map(|one| one.uid()).collect());
    let plans = uids(context.caches.plans.state().iter().map(|one| one.uid()).collect());
    context.own_instances.keep_only(|uid| instances.contains(uid));
    context.own_tenants.keep_only(|uid| tenants.contains(uid));
    context.own_templates.keep_only(|uid| templates.contains(uid));
    context.own_plans.keep_only(|uid| plans.contains(uid));
    let all = [&instances, &tenants, &templates, &plans];
    context.backoff.keep_only(|uid| all.iter().any(|one| one.contains(uid)));
}

fn drive<K, F>(
    name: &'static str,
    context: &Arc<Context>,
    store: &Store<K>,
    triggers: UnboundedReceiver<ObjectRef<K>>,
    config: Config,
    stop: &CancellationToken,
    reconcile: fn(Arc<K>, Arc<Context>) -> F,
) -> impl Future<Output = ()> + Send + 'static
where
    K: Own + DeserializeOwned + Debug,
    F: Future<Output = Result<Action, CallError>> + Send + 'static,
{
    let on_error = move |object: Arc<K>, error: &CallError, context: Arc<Context>| {
        let (pause, failures) = context.backoff.failed(&object.uid().unwrap_or_default());
        if failures == QUIET_FAILURES {
            let (object, note) = (Arc::clone(&object), error.to_string());
            tokio::spawn(async move { context.report.failed(&*object, &note).await });
        }
        tracing::warn!(controller = name, object.namespace = object.namespace(), object.name = object.name_any(), %error,
            pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX), "a reconcile failed and is tried again");
        Action::requeue(pause)
    };
    let once = move |object: Arc<K>, context: Arc<Context>| async move {
        let (uid, begun) = (object.uid().unwrap_or_default(), Instant::now());
        let result = reconcile(object, Arc::clone(&context)).await;
        context.metrics.reconciled(name, result.is_ok(), begun.elapsed());
        if result.is_ok() {
            context.backoff.succeeded(&uid);
        }
        result
    };
    // Everything comes by trigger: the watches feed the store and say what changed.
    let stream = futures::stream::pending::<Result<K, kube::runtime::watcher::Error>>();
    Controller::for_stream(stream, store.clone())
        .with_config(config)
        .reconcile_on(UnboundedReceiverStream::new(triggers))
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(once, on_error, Arc::clone(context))
        .for_each(move |result| async move {
            if let Err(error) = result {
                tracing::debug!(controller = name, %error, "reconcile");
            }
        })
}
