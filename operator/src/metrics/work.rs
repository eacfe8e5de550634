//! How the operator itself gets on: what waits, what is cached, how fresh it is, and its clock.

use super::page::{Page, count};
use crate::context::Context;
use std::{fmt, time::Instant};

/// Writes them.
pub(super) fn write(page: &mut Page<'_>, context: &Context, now: Instant) -> fmt::Result {
    page.gauge("backing_off", "Objects that wait after a failure", Some(count(context.backoff.waiting())))?;
    page.gauge(
        "backing_off_failures",
        "The most failures in a row that any object has",
        Some(f64::from(context.backoff.most())),
    )?;
    let caches = &context.caches;
    let pending = [
        ("instance", caches.wake_instances.pending(now)),
        ("tenant", caches.wake_tenants.pending(now)),
        ("template", caches.wake_templates.pending(now)),
        ("plan", caches.wake_plans.pending(now)),
    ];
    let by = |controller: &str| vec![("controller", controller.to_owned())];
    page.gauges(
        "pending",
        "Objects that were triggered and are not looked at yet",
        pending.iter().map(|(name, (waiting, _))| (by(name), count(*waiting))),
    )?;
    page.gauges(
        "pending_oldest_seconds",
        "For how long the oldest of them waits",
        pending.iter().map(|(name, (_, oldest))| (by(name), oldest.as_secs_f64())),
    )?;
    let ahead = context.metrics.skew().map(|ahead| ahead.as_secs_f64());
    page.gauge("clock_skew_seconds", "How far the clock is ahead of the API server's", ahead)?;
    let ages = context.metrics.watch_ages(now);
    page.gauges(
        "watch_age_seconds",
        "For how long the watch of a resource was not renewed",
        ages.into_iter().map(|(resource, age)| (vec![("resource", resource)], age.as_secs_f64())),
    )?;
    cached(page, context)
}

fn cached(page: &mut Page<'_>, context: &Context) -> fmt::Result {
    let caches = &context.caches;
    let own = [
        ("ServiceInstance", caches.instances.len()),
        ("TenantQuota", caches.tenants.len()),
        ("ServiceTemplate", caches.templates.len()),
        ("ServicePlan", caches.plans.len()),
        ("Node", context.nodes.count()),
        ("PodOnNode", context.nodes.pods.count()),
    ];
    let children = context.children.counts();
    let all = own.into_iter().chain(children.into_iter().map(|(kind, found)| (kind.name(), found)));
    page.gauges(
        "cached_objects",
        "Objects that are kept in memory",
        all.map(|(kind, found)| (vec![("kind", kind.to_owned())], count(found))),
    )
}
