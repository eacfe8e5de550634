//! Custom domains: which of an instance's hosts are its own, by DNS and by who asked first.
//!
//! [`records`] and [`decide`] are pure. [`Domains`] holds what they decide by: the book of DNS answers, which a task of the leader
//! fills in the background, and who has which host in this process.

pub mod book;
pub mod claims;
pub mod decide;
pub mod holders;
pub mod records;
pub mod resolve;
mod slots;

use crate::{
    context::Context,
    instance::{fetch, power::Power},
    kinds::Kind,
    observed::Child,
};
use book::Book;
use crds::{ServiceInstance, ServiceTemplate, instance::DomainStatus, names};
use decide::{Decided, Place, Question, Rival};
use futures::StreamExt as _;
use holders::Holders;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use resolve::Resolver;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// The longest that the background task rests.
const LONGEST_REST: Duration = Duration::from_mins(1);

/// What is remembered of hosts while this process runs. What must outlive it is in the instances' status.
#[derive(Debug)]
pub struct Domains {
    book: Book,
    holders: Holders,
    resolver: Resolver,
}

impl Domains {
    /// Nothing is known yet.
    pub fn new(settings: &crate::settings::domains::Domains) -> Self {
        Self {
            book: Book::new(settings.clone()),
            holders: Holders::default(),
            resolver: Resolver::new(settings),
        }
    }

    /// Forgets who no longer asks for a host.
    pub fn keep_only(&self, asks: impl Fn(&str, &str) -> bool) {
        self.book.keep_only(&asks);
        self.holders.keep_only(asks);
    }
}

/// Whether DNS is asked about the hosts of an instance: one that has its place and may run, also where its owner has stopped it.
/// Anybody can order what there is no place for, and no order may be a way to have others' name servers asked.
pub fn may_ask(place: &fetch::Place, power: &Power) -> bool {
    matches!(place, fetch::Place::Admitted(_)) && !matches!(power, Power::Suspended { .. })
}

/// What is decided of each of an instance's hosts, in the order of its spec. None where the app speaks no HTTP.
pub fn decide(
    context: &Context,
    instance: &ServiceInstance,
    template: Option<&ServiceTemplate>,
    children: &[Arc<Child>],
    may_ask: bool,
    now: Timestamp,
) -> Vec<Decided> {
    if template.is_some_and(|template| template.spec.expose.http.is_none()) {
        return Vec::new();
    }
    let one = |host: &String| decide_one(context, instance, children, host, may_ask, now);
    instance.spec.domains.iter().map(one).collect()
}

fn decide_one(
    context: &Context,
    instance: &ServiceInstance,
    children: &[Arc<Child>],
    host: &str,
    may_ask: bool,
    now: Timestamp,
) -> Decided {
    let domains = &context.domains;
    let uid = instance.metadata.uid.as_deref().unwrap_or_default();
    let place = place(context, uid, host);
    let rivals = rivals(context, instance, host);
    let platform_host = names::platform_host(uid, &context.settings.zone);
    let tenant = instance.tenant().unwrap_or_default();
    let before =
        instance.status.as_ref().and_then(|status| status.domains.iter().find(|one| one.host == host));
    let is_custom = place == Place::Custom;
    let proof = domains.book.seen(host).map(|seen| seen.proof(tenant, &platform_host));
    let records = if is_custom { records::records(host, tenant, &platform_host) } else { Vec::new() };
    let lapse_after = context.settings.domains.lapse_after();
    let question =
        Question { host, uid, place, records, before, may_ask, proof, rivals: &rivals, lapse_after };
    let decided = question.decide(now);
    if is_custom && may_ask {
        let is_plain = decided.status.verified && decided.status.missing_since.is_none();
        domains.book.ask(host, uid, tenant, !is_plain);
    } else {
        domains.book.forgo(host, uid);
    }
    if !decided.is_ours {
        domains.holders.release(host, uid);
        return decided;
    }
    let is_routed = || children.iter().any(|child| child.routes(host));
    let still_asks = |other: &str| context.caches.claims(|claims| claims.asks(host, other));
    if domains.holders.take(host, uid, still_asks)
        && (is_routed() || !is_routed_elsewhere(context, uid, host))
    {
        return decided;
    }
    question.still_held(now)
}

fn place(context: &Context, uid: &str, host: &str) -> Place {
    let zone = &context.settings.zone;
    let Some(label) = host.strip_suffix(zone.as_str()) else { return Place::Custom };
    let owner =
        label.strip_suffix('.').and_then(|id| context.caches.claims(|all| all.of_platform_id(id).cloned()));
    match owner {
        Some(owner) if owner == uid => Place::Own,
        Some(_) => Place::Anothers,
        None if label.is_empty() || label.ends_with('.') => Place::Zone,
        None => Place::Custom,
    }
}

fn rivals(context: &Context, instance: &ServiceInstance, host: &str) -> Vec<Rival> {
    let others = context.caches.claimants(host).into_iter().filter(|other| other.uid() != instance.uid());
    others
        .map(|other| {
            let other = context.own_instances.newest(other);
            let said = other.status.as_ref().and_then(|all| all.domains.iter().find(|one| one.host == host));
            let verified = said.filter(|said| said.verified);
            let is_of_same_tenant = other.metadata.namespace == instance.metadata.namespace;
            Rival {
                uid: other.uid().unwrap_or_default(),
                name: is_of_same_tenant.then(|| other.name_any()),
                verified_since: verified.and_then(|said| said.verified_since.as_ref()).map(|time| time.0),
                missing: verified.is_some_and(|said| said.missing_since.is_some()),
                routed: said.is_some_and(|said| said.routed),
            }
        })
        .collect()
}

/// Whether an Ingress that is still there leads the host to another instance: one that dropped it or is gone. Asked only before a
/// host is routed anew.
fn is_routed_elsewhere(context: &Context, uid: &str, host: &str) -> bool {
    let others = |child: &Child| child.routes(host) && !child.is_owned_by(uid);
    !context.children.select(Kind::Ingress, others).is_empty()
}

/// The hosts of which something changed that decides who has them.
pub fn changed_hosts(before: &[DomainStatus], after: &[DomainStatus]) -> Vec<String> {
    let essence = |all: &[DomainStatus], host: &str| {
        let said = all.iter().find(|one| one.host == host)?;
        Some((said.verified, said.missing_since.is_some(), said.routed))
    };
    let mut hosts: Vec<&String> = before.iter().chain(after).map(|one| &one.host).collect();
    hosts.sort();
    hosts.dedup();
    hosts.into_iter().filter(|host| essence(before, host) != essence(after, host)).cloned().collect()
}

/// When the first of the hosts whose records are gone is taken off. One whose time is over and that is still there waits for DNS to
/// answer, and not for a time.
pub fn next_lapse(hosts: &[DomainStatus], lapse_after: SignedDuration, now: Timestamp) -> Option<Timestamp> {
    let missing = hosts.iter().filter_map(|host| host.missing_since.as_ref());
    missing.filter_map(|since| since.0.checked_add(lapse_after).ok()).filter(|at| *at > now).min()
}

/// Looks hosts up as they become due, until `stop`. Instances are woken when an answer changes.
pub async fn look(context: Arc<Context>, stop: CancellationToken) {
    let mut looking = futures::stream::FuturesUnordered::new();
    loop {
        let (due, next) = context.domains.book.take_due(Instant::now());
        looking.extend(due.into_iter().map(|host| look_up(&context, host)));
        let rest =
            next.map_or(LONGEST_REST, |at| at.saturating_duration_since(Instant::now()).min(LONGEST_REST));
        tokio::select! {
            Some(()) = looking.next() => {}
            () = tokio::time::sleep(rest) => {}
            () = context.domains.book.earlier.notified() => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn look_up(context: &Context, host: String) {
    let domains = &context.domains;
    let (seen, ttl) = domains.resolver.look(&host).await;
    context.metrics.looked_up(&seen);
    if domains.book.answered(&host, seen, ttl, Instant::now()) {
        tracing::info!(host, "what DNS says of a custom host has changed");
        context.caches.wake_claimants(&host);
    }
}

/// Wakes whoever asks for the hosts of an Ingress that is gone.
pub fn ingress_is_gone(caches: &crate::reflect::Caches, child: &Child) {
    for host in child.hosts() {
        caches.wake_claimants(host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_is_asked_for_what_has_its_place_and_may_run() {
        let admitted = fetch::Place::Admitted(crds::quota::Admitted {
            name: "shop".to_owned(),
            uid: "u".to_owned(),
            plan: "small".to_owned(),
        });
        let suspended = Power::Suspended { reason: crds::reasons::HELD_BY_BILLING, message: String::new() };
        let waiting = crds::quota::Waiting {
            name: "shop".to_owned(),
            uid: "u".to_owned(),
            plan: "small".to_owned(),
            reason: crds::reasons::QUOTA_EXCEEDED.to_owned(),
            message: String::new(),
        };
        assert!(may_ask(&admitted, &Power::On) && may_ask(&admitted, &Power::Stopped));
        assert!(!may_ask(&admitted, &suspended));
        for place in [fetch::Place::Unknown, fetch::Place::Waiting(waiting)] {
            assert!(!may_ask(&place, &Power::On));
        }
    }

    #[test]
    fn a_lapse_is_waited_for_while_it_lies_ahead() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let since = |second| DomainStatus {
            missing_since: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(second))),
            ..DomainStatus::default()
        };
        let (all, hour) = ([since(0), since(60)], SignedDuration::from_hours(1));
        assert_eq!(next_lapse(&all, hour, at(10)), Some(at(3600)));
        assert_eq!(next_lapse(&all, hour, at(3600)), Some(at(3660)), "the first is over");
        assert_eq!(next_lapse(&all, hour, at(9999)), None);
    }

    #[test]
    fn others_are_woken_only_for_what_decides_who_has_a_host() {
        let status = |routed, reason: &str| DomainStatus {
            host: "a.test".to_owned(),
            verified: true,
            routed,
            reason: reason.to_owned(),
            ..DomainStatus::default()
        };
        assert_eq!(changed_hosts(&[status(true, "x")], &[status(true, "y")]), [""; 0]);
        assert_eq!(changed_hosts(&[status(true, "x")], &[status(false, "x")]), ["a.test"]);
        assert_eq!(changed_hosts(&[status(true, "x")], &[]), ["a.test"]);
    }
}
