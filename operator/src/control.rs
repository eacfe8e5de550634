//! The four controllers: from a stream of triggers to bounded, per-object ordered reconciles with back-off.

use crate::{
    apply::CallError,
    backoff,
    context::Context,
    instance, nodes,
    own::Own,
    pace::Limit,
    plan,
    reflect::{Caches, Slot},
    template, tenant, usage,
};
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture};
use kube::{
    ResourceExt as _,
    runtime::{
        controller::{self, Action, Config, Controller},
        reflector::{ObjectRef, Store},
    },
};
use serde::de::DeserializeOwned;
use std::{collections::HashSet, fmt::Debug, future::Future, sync::Arc, time::Duration, time::Instant};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;

/// How often everything is looked at whatever the watches say.
const SWEEP: Duration = Duration::from_secs(45);
/// How often one instance or tenant is reconciled at the most.
const OFTEN: Limit = Limit { burst: 10, window: Duration::from_secs(2) };
/// How often one plan or template is: their use counts are gathered meanwhile.
const SELDOM: Limit = Limit { burst: 1, window: Duration::from_millis(1500) };

/// Runs the controllers until `stop`, and ends once what was begun is done.
pub async fn run(context: Arc<Context>, stop: CancellationToken) {
    let caches = Arc::clone(&context.caches);
    let concurrency = context.settings.concurrency;
    let own = Config::default();
    let (instances, tenants) =
        (own.clone().concurrency(concurrency.instances), own.clone().concurrency(concurrency.tenants));
    let (templates, plans) = (own.clone().concurrency(2), own.concurrency(2));
    let (i, t, a, p) = ((instances, OFTEN), (tenants, OFTEN), (templates, SELDOM), (plans, SELDOM));
    let parts: Vec<BoxFuture<'static, ()>> = vec![
        drive(
            "instance",
            &context,
            &caches.instances,
            |all| &all.wake_instances,
            i,
            &stop,
            instance::reconcile,
        )
        .boxed(),
        drive("tenant", &context, &caches.tenants, |all| &all.wake_tenants, t, &stop, tenant::reconcile)
            .boxed(),
        drive(
            "template",
            &context,
            &caches.templates,
            |all| &all.wake_templates,
            a,
            &stop,
            template::reconcile,
        )
        .boxed(),
        drive("plan", &context, &caches.plans, |all| &all.wake_plans, p, &stop, plan::reconcile).boxed(),
        sweep(Arc::clone(&context), stop.clone()).boxed(),
        nodes::lookout::run(Arc::clone(&context), stop.clone()).boxed(),
        usage::poll::run(Arc::clone(&context), stop.clone()).boxed(),
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
    context.pace.keep_only(|uid| all.iter().any(|one| one.contains(uid)));
    context.report.keep_only(|uid| all.iter().any(|one| one.contains(uid)));
    for owner in context.children.drop_phantoms(Instant::now()) {
        context.caches.wake_owner(&owner);
    }
}

fn drive<K, F>(
    name: &'static str,
    context: &Arc<Context>,
    store: &Store<K>,
    slot: fn(&Caches) -> &Slot<K>,
    (config, limit): (Config, Limit),
    stop: &CancellationToken,
    reconcile: fn(Arc<K>, Arc<Context>) -> F,
) -> impl Future<Output = ()> + Send + 'static
where
    K: Own + DeserializeOwned + Debug,
    F: Future<Output = Result<Action, CallError>> + Send + 'static,
{
    let triggers = slot(&context.caches).open();
    let on_error = move |object: Arc<K>, error: &CallError, context: Arc<Context>| {
        context.metrics.failed(name, error.label());
        let (uid, generation) = (object.uid().unwrap_or_default(), object.meta().generation);
        let (pause, failures) = context.backoff.failed(&uid);
        context.pace.pause(&uid, generation, Instant::now() + pause);
        if failures == backoff::QUIET_FAILURES {
            let (object, note) = (Arc::clone(&object), error.to_string());
            tokio::spawn(async move { context.report.failed(&*object, &note).await });
        }
        tracing::warn!(controller = name, object.namespace = object.namespace(), object.name = object.name_any(), %error,
            pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX), "a reconcile failed and is tried again");
        Action::requeue(pause)
    };
    let once = move |object: Arc<K>, context: Arc<Context>| async move {
        let (uid, begun) = (object.uid().unwrap_or_default(), Instant::now());
        slot(&context.caches).begun(&ObjectRef::from_obj(&*object));
        if let Err(rest) = context.pace.begin(&uid, object.meta().generation, limit, begun) {
            return Ok(Action::requeue(rest));
        }
        let result = reconcile(object, Arc::clone(&context)).await;
        context.metrics.reconciled(name, result.is_ok(), begun.elapsed());
        if result.is_ok() {
            context.backoff.succeeded(&uid);
        }
        result
    };
    let caches = Arc::clone(&context.caches);
    // Everything comes by trigger: the watches feed the store and say what changed.
    let stream = futures::stream::pending::<Result<K, kube::runtime::watcher::Error>>();
    Controller::for_stream(stream, store.clone())
        .with_config(config)
        .reconcile_on(UnboundedReceiverStream::new(triggers))
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(once, on_error, Arc::clone(context))
        .for_each(move |result| {
            if let Err(controller::Error::ObjectNotFound(gone)) = &result {
                let object = ObjectRef::<K>::new(&gone.name);
                slot(&caches).begun(&gone.namespace.iter().fold(object, |it, place| it.within(place)));
            }
            if let Err(error) = result {
                tracing::debug!(controller = name, %error, "reconcile");
            }
            std::future::ready(())
        })
}
