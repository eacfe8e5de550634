//! The tenants: their states, their quotas, and the data that is kept for them.

use super::page::{Page, Row, cores, count, units};
use crds::{Quantity, TenantQuota, conditions, quota::Limits, quota::Used};
use jiff::Timestamp;
use kube::ResourceExt as _;
use std::{collections::BTreeMap, fmt, sync::Arc};

/// From how many per cent of a limit on it counts as nearly used up.
const NEAR_PERCENT: u32 = 90;

/// Use and limit of each resource of a quota, in instances, cores and bytes.
fn figures(tenant: &TenantQuota) -> [(&'static str, Quantity, Quantity); 4] {
    let Limits { instances, cpu, memory, storage, per_plan: _ } = &tenant.spec.limits;
    let used = tenant.status.as_ref().and_then(|status| status.used.clone()).unwrap_or_default();
    let Used { instances: used_instances, cpu: used_cpu, memory: used_memory, storage: used_storage } = used;
    let whole = |number: i32| Quantity::from_units(u64::try_from(number).unwrap_or_default());
    [
        ("instances", whole(used_instances), whole(*instances)),
        ("cpu", used_cpu, *cpu),
        ("memory", used_memory, *memory),
        ("storage", used_storage, *storage),
    ]
}

fn value(resource: &str, amount: Quantity) -> f64 {
    if resource == "cpu" { cores(amount) } else { units(amount) }
}

fn state(tenant: &TenantQuota) -> String {
    if tenant.metadata.deletion_timestamp.is_some() {
        return "Terminating".to_owned();
    }
    let said = tenant.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions::find(said, conditions::READY).map_or_else(|| "New".to_owned(), |ready| ready.reason.clone())
}

/// Writes them.
pub(super) fn write(
    page: &mut Page<'_>,
    tenants: &[Arc<TenantQuota>],
    each: bool,
    now: Timestamp,
) -> fmt::Result {
    let mut states: BTreeMap<String, usize> = [("Ready".to_owned(), 0), ("Terminating".to_owned(), 0)].into();
    for tenant in tenants {
        *states.entry(state(tenant)).or_default() += 1;
    }
    page.gauges(
        "tenants",
        "Tenants by what their Ready condition says",
        states.into_iter().map(|(state, found)| (vec![("state", state)], count(found))),
    )?;
    let waiting: usize =
        tenants.iter().filter_map(|one| one.status.as_ref()).map(|one| one.waiting.len()).sum();
    page.gauge("instances_waiting", "Instances that wait for a place in a quota", Some(count(waiting)))?;
    quotas(page, tenants)?;
    let listed = |pick: fn(&(&'static str, Quantity, Quantity)) -> Quantity| {
        let each = tenants.iter().filter(|_| each);
        each.flat_map(move |tenant| {
            figures(tenant).map(|figure| {
                let labels = vec![("tenant", tenant.name_any()), ("resource", figure.0.to_owned())];
                (labels, value(figure.0, pick(&figure)))
            })
        })
    };
    page.gauges(
        "tenant_quota_used",
        "What the instances of a tenant use of its quota",
        listed(|figure| figure.1),
    )?;
    page.gauges("tenant_quota_limit", "The quota of a tenant", listed(|figure| figure.2))?;
    retained(page, tenants, now)
}

fn quotas(page: &mut Page<'_>, tenants: &[Arc<TenantQuota>]) -> fmt::Result {
    let mut sums: BTreeMap<&'static str, (f64, f64, usize)> = ["instances", "cpu", "memory", "storage"]
        .into_iter()
        .map(|resource| (resource, (0.0, 0.0, 0)))
        .collect();
    for (resource, used, limit) in tenants.iter().flat_map(|tenant| figures(tenant)) {
        let sum = sums.entry(resource).or_default();
        sum.0 += value(resource, used);
        sum.1 += value(resource, limit);
        sum.2 += usize::from(!limit.is_zero() && used >= limit.percent(NEAR_PERCENT));
    }
    let by = |resource: &str| vec![("resource", resource.to_owned())];
    let rows = |pick: fn(&(f64, f64, usize)) -> f64| -> Vec<Row> {
        sums.iter().map(|(resource, sum)| (by(resource), pick(sum))).collect()
    };
    page.gauges("quota_used", "What the instances of all tenants use of their quotas", rows(|sum| sum.0))?;
    page.gauges("quota_limit", "The quotas of all tenants together", rows(|sum| sum.1))?;
    page.gauges("tenants_near_limit", "Tenants that use 90 % or more of a limit", rows(|sum| count(sum.2)))
}

fn retained(page: &mut Page<'_>, tenants: &[Arc<TenantQuota>], now: Timestamp) -> fmt::Result {
    let all = || tenants.iter().filter_map(|one| one.status.as_ref()).flat_map(|status| &status.retained);
    let bytes = all().fold(Quantity::ZERO, |sum, one| sum.plus(one.storage));
    let ends = || all().filter_map(|one| Some(one.keep_until.as_ref()?.0));
    let overdue = ends().filter(|until| *until <= now).count();
    let next = ends().filter(|until| *until > now).min();
    page.gauge("retained_data", "Kept data whose instance is gone", Some(count(all().count())))?;
    page.gauge("retained_bytes", "The size of its volumes", Some(units(bytes)))?;
    page.gauge(
        "retained_overdue",
        "Kept data whose time is over and that is still there",
        Some(count(overdue)),
    )?;
    page.gauge(
        "retained_next_due_timestamp_seconds",
        "When the next of it is due",
        next.map(|next| next.as_duration().as_secs_f64()),
    )
}
